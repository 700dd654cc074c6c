package watch

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestEveryWayToChangeAFileIsTold(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	top := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{top}, names...)...) }
	for _, folder := range []string{at("..1"), at("elsewhere"), at("folder"), at("folder", "one")} {
		must(os.Mkdir(folder, 0o700))
	}
	for _, file := range []string{at("..1", "mounted"), at("elsewhere", "real"), at("plain"), at("folder", "one", "key")} {
		must(os.WriteFile(file, []byte("1"), 0o600))
	}
	must(os.Symlink("..1", at("..data")))
	must(os.Symlink("..data/mounted", at("mounted")))
	must(os.Symlink("elsewhere/real", at("linked")))

	paths := []string{at("plain"), at("mounted"), at("linked"), at("folder"), at("not-yet")}
	files := New(paths, slog.New(slog.DiscardHandler))
	defer files.Close()
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"written in place", func() error { return os.WriteFile(at("plain"), []byte("2"), 0o600) }},
		{"another mode", func() error { return os.Chmod(at("plain"), 0o644) }},
		{"another takes its place", func() error {
			must(os.WriteFile(at("elsewhere", "next"), []byte("3"), 0o600))
			return os.Rename(at("elsewhere", "next"), at("plain"))
		}},
		{"written where a link leads to", func() error { return os.WriteFile(at("elsewhere", "real"), []byte("2"), 0o600) }},
		{"a Secret that is updated", func() error {
			must(os.Mkdir(at("..2"), 0o700))
			must(os.WriteFile(at("..2", "mounted"), []byte("2"), 0o600))
			must(os.Symlink("..2", at("..data_tmp")))
			return os.Rename(at("..data_tmp"), at("..data"))
		}},
		{"a file in a folder", func() error { return os.WriteFile(at("folder", "two"), []byte("1"), 0o600) }},
		{"a file in a folder's folder", func() error { return os.WriteFile(at("folder", "one", "key"), []byte("2"), 0o600) }},
		{"a new folder", func() error { return os.Mkdir(at("folder", "three"), 0o700) }},
		{"a file in the new folder", func() error { return os.WriteFile(at("folder", "three", "key"), []byte("1"), 0o600) }},
		{"a file that was not there", func() error { return os.WriteFile(at("not-yet"), []byte("1"), 0o600) }},
		{"removed", func() error { return os.Remove(at("plain")) }},
	} {
		must(change.do())
		select {
		case <-files.Changed:
		case <-time.After(again / 2): // before it is told without an event
			t.Fatalf("%s: not told", change.what)
		}
		files.Set(paths)
	}
}

func TestAfterCloseNothingWaits(t *testing.T) {
	files := New(nil, slog.New(slog.DiscardHandler))
	files.Close()
	files.Set([]string{t.TempDir()})
}

func TestAChangeInAFolderThatIsNeverQuietIsTold(t *testing.T) {
	top := t.TempDir()
	log := filepath.Join(top, "a-log")
	files := New([]string{filepath.Join(top, "credentials")}, slog.New(slog.DiscardHandler))
	defer files.Close()
	for until := time.Now().Add(again / 2); time.Now().Before(until); time.Sleep(quiet / 10) {
		if err := os.WriteFile(log, []byte(time.Now().String()), 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case <-files.Changed:
			return
		default:
		}
	}
	t.Error("not told")
}
