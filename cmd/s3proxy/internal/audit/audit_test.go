package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAFileThatIsMovedAwayGetsASuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	now := time.Now()
	l.now = func() time.Time { return now }
	l.Process("start", "1", 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Process("at once", "1", 2)
	now = now.Add(lookEvery)
	l.Process("later", "1", 3)
	if old := contents(t, path+".1"); strings.Count(old, "\n") != 2 || !strings.Contains(old, "at once") {
		t.Errorf("the old file: %s", old)
	}
	if fresh := contents(t, path); strings.Count(fresh, "\n") != 1 || !strings.Contains(fresh, `"event":"later"`) {
		t.Errorf("the new file: %s", fresh)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookEvery)
	l.Process("after", "1", 4)
	if fresh := contents(t, path); !strings.Contains(fresh, "after") {
		t.Errorf("after the file was removed: %s", fresh)
	}
}

func TestALineIsNotLostWhereNoNewFileCanBeMade(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	path := filepath.Join(folder, "audit.jsonl")
	l, err := Open(path, nil, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	now := time.Now()
	l.now = func() time.Time { return now }
	if err := os.Rename(folder, folder+".1"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(lookEvery)
		l.Process("start", "1", 1)
		l.Process("stop", "1", 1)
	}
	if old := contents(t, filepath.Join(folder+".1", "audit.jsonl")); strings.Count(old, "\n") != 6 {
		t.Errorf("the old file has %q, want six lines", old)
	}
	if n := strings.Count(told.String(), "no such file"); n != 1 {
		t.Errorf("told %d times, want once: %s", n, &told)
	}
}

// small takes only some bytes of what does not fit.
type small struct {
	bytes.Buffer
	room int
}

func (s *small) Write(p []byte) (int, error) {
	if len(p) > s.room {
		s.Buffer.Write(p[:s.room])
		return s.room, errors.New("no space left on device")
	}
	return s.Buffer.Write(p)
}

func TestALineAfterATornOneIsALineOfItsOwn(t *testing.T) {
	to := &small{room: 10}
	l, err := Open("-", to, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Process("torn", "1", 1)
	to.room = 0
	l.Process("lost", "1", 1)
	to.room = 1000
	l.Process("whole", "1", 1)
	l.Process("whole", "1", 2)
	lines := strings.Split(to.String(), "\n")
	if len(lines) != 4 || len(lines[0]) != 10 || !json.Valid([]byte(lines[1])) || !json.Valid([]byte(lines[2])) {
		t.Errorf("%q", lines)
	}
}

type full struct{ bytes.Buffer }

func (f *full) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "lost") {
		return 0, errors.New("no space left on device")
	}
	return f.Buffer.Write(p)
}

func TestALogThatCannotBeWrittenIsToldOnceAndGoesOn(t *testing.T) {
	var told bytes.Buffer
	to := &full{}
	l, err := Open("-", to, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"lost", "lost", "kept", "lost"} {
		l.Process(event, "1", 1)
	}
	if n := strings.Count(told.String(), "no space left"); n != 2 {
		t.Errorf("told %d times, want once for each time that it begins: %s", n, &told)
	}
	if !strings.Contains(to.String(), "kept") {
		t.Errorf("%s", to)
	}
	if _, err := Open(t.TempDir(), nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder is taken for a file")
	}
}

func TestTheOutcomeOfARequestIsWhatTheClientSaw(t *testing.T) {
	broken := errors.New("broken")
	for want, s := range map[string]proxy.Served{
		"done": {Status: 206}, "refused": {Status: 404, Err: broken}, "failed": {Status: 503, Err: broken}, "cut": {Status: 200, Err: broken},
	} {
		if got := outcome(s); got != want {
			t.Errorf("%+v is %s, want %s", s, got, want)
		}
	}
	if got := outcome(proxy.Served{Err: broken}); got != "cut" {
		t.Errorf("an answer without a status is %s", got)
	}
}

type vault struct {
	kms.Key
	err error
}

func (vault) URI() string { return "vault://transit/photos" }

func (v vault) Wrap(context.Context, []byte, kms.Context) (kms.Wrapped, error) {
	return kms.Wrapped{KEK: "vault://transit/photos#7"}, v.err
}

func (v vault) Unwrap(context.Context, kms.Wrapped, kms.Context) ([]byte, error) {
	return []byte("the key in clear"), v.err
}

func TestEachUseOfAKeyIsAnEventWithoutTheKey(t *testing.T) {
	var to bytes.Buffer
	l, err := Open("-", &to, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	bucket := kms.Context{"bucket": "photos"}
	for _, err := range []error{nil, fmt.Errorf("sealed: %w", kms.ErrUnavailable)} {
		k := l.Key(vault{err: err})
		k.Wrap(t.Context(), []byte("the key in clear"), bucket)
		k.Unwrap(t.Context(), kms.Wrapped{KEK: "vault://transit/photos#6", Blob: []byte("wrapped")}, bucket)
	}
	lines := strings.Split(strings.TrimSpace(to.String()), "\n")
	for n, want := range []string{
		`"event":"wrap","kek":"vault://transit/photos#7","bucket":"photos","result":"ok"}`,
		`"event":"unwrap","kek":"vault://transit/photos#6","bucket":"photos","result":"ok"}`,
		`"event":"wrap","kek":"vault://transit/photos","bucket":"photos","result":"unavailable","error":"sealed: KMS unavailable"}`,
		`"event":"unwrap","kek":"vault://transit/photos#6","bucket":"photos","result":"unavailable","error":"sealed: KMS unavailable"}`,
	} {
		if len(lines) != 4 || !strings.HasSuffix(lines[n], want) {
			t.Errorf("%s has no %s", lines, want)
		}
	}
	if strings.Contains(to.String(), "in clear") {
		t.Error("a key is in the log")
	}
	var none *Log
	none.Request(proxy.Served{})
	none.Process("start", "", 1)
	if k := none.Key(vault{}); k != (vault{}) {
		t.Error("without a log, keys are wrapped all the same")
	}
}
