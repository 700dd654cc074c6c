package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how long lines may still go to a file that was moved away.
const lookEvery = time.Second

// Log is safe for concurrent use. A nil Log writes nothing.
type Log struct {
	path string // "" for a writer that is no file
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	to     io.Writer
	file   *os.File
	looked time.Time
	failed bool // the last line is not where it should be
	torn   bool // the last line has no end
}

// Open appends to the file at path, which it makes with mode 0600; "-" stands for out. When
// the file is moved away or removed, as log rotation does, it makes a new one within a second.
// That lines cannot be written is told to log, once until one can be written again.
func Open(path string, out io.Writer, log *slog.Logger) (*Log, error) {
	l := &Log{log: log, now: time.Now}
	if path == "-" {
		l.to = out
		return l, nil
	}
	l.path = path
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("audit-log: %w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.to, l.looked = f, f, l.now()
	return nil
}

// write appends one event as one line, by one system call: lines of several processes that
// share a file do not mix.
func (l *Log) write(event any) {
	line, err := json.Marshal(event)
	if err != nil {
		l.log.Error("an audit event could not be encoded", "error", err)
		return
	}
	line = append(escape(line), '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := l.follow() // without a new file, the old one still takes the line
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.to.Write(line)
	l.torn = err != nil && (n > 0 || l.torn)
	if err = errors.Join(moved, err); err != nil && !l.failed {
		l.log.Error("the audit log cannot be written where it should be: what happens now may not be in it", "error", err)
	}
	l.failed = err != nil
}

// follow opens a new file when the old one is no longer at the path.
func (l *Log) follow() error {
	if l.path == "" || l.now().Sub(l.looked) < lookEvery {
		return nil
	}
	there, err := os.Stat(l.path)
	if err == nil {
		var ours os.FileInfo
		if ours, err = l.file.Stat(); err == nil && os.SameFile(there, ours) {
			l.looked = l.now()
			return nil
		}
	}
	return l.open()
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil || l.file == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
