//go:build !noembedded

package main

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// maxLogLine bounds a line of another process, in bytes; a longer one is logged in pieces.
const maxLogLine = 8 << 10

// lineLog is an io.Writer that logs what the embedded store's process prints, line by line.
type lineLog struct {
	log   *slog.Logger
	level slog.Level

	mu   sync.Mutex
	rest []byte
	last string
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 && len(l.rest) < maxLogLine {
			return len(p), nil
		}
		if i < 0 {
			i = len(l.rest)
		}
		l.line(l.rest[:i])
		l.rest = l.rest[min(i+1, len(l.rest)):]
	}
}

func (l *lineLog) line(line []byte) {
	if line = bytes.TrimSpace(line); len(line) > 0 {
		l.last = string(line)
		l.log.Log(context.Background(), l.level, "embedded store: "+l.last)
	}
}

// end logs what is left without a line end, and gives the last line.
func (l *lineLog) end() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(l.rest)
	l.rest = nil
	return l.last
}
