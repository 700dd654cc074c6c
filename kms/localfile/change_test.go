package localfile_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

var photos = kms.Context{"bucket": "photos"}

func mustWrap(t *testing.T, key kms.Key) kms.Wrapped {
	t.Helper()
	w, err := key.Wrap(t.Context(), []byte("a key"), photos)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustList(t *testing.T, path string, given ...localfile.Option) []localfile.KeyInfo {
	t.Helper()
	infos, err := localfile.List(path, given...)
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func TestOfManyRotationsAtOnceNoneIsLost(t *testing.T) {
	path := mustCreate(t)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	const rotations = 24
	made := make([]string, rotations)
	var all sync.WaitGroup
	for i := range rotations {
		all.Go(func() {
			name := []string{path, link}[i%2]
			var err error
			if made[i], err = localfile.Rotate(t.Context(), name); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		})
	}
	all.Wait()
	infos := mustList(t, path)
	if len(infos) != rotations+1 {
		t.Errorf("%d keys, want %d", len(infos), rotations+1)
	}
	for _, version := range made {
		at := slices.IndexFunc(infos, func(i localfile.KeyInfo) bool { return i.Version == version })
		if at < 0 || infos[at].Status != "enabled" || time.Since(infos[at].Made) > time.Minute {
			t.Errorf("version %s is not in the file as a new enabled key: %+v", version, infos)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is one no more: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file's mode: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keyset-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAChangeWaitsForAnothersButNotLongerThanItsContext(t *testing.T) {
	path := mustCreate(t)
	other, err := os.Open(path + ".history")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := localfile.Rotate(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Rotate beside another's change: %v, want its deadline", err)
	}
	if infos := mustList(t, path); len(infos) != 1 {
		t.Errorf("it rotated: %+v", infos)
	}
}

func TestAFailedRotationLeavesTheFileAsItWas(t *testing.T) {
	path := mustCreate(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := mustOpen(t, path)
	for what, spoil := range map[string]func() error{
		"cut":     func() error { return os.WriteFile(path, whole[:len(whole)/2], 0o600) },
		"mode":    func() error { return os.Chmod(path, 0o644) },
		"no file": func() error { return os.Remove(path) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if _, err := key.Rotate(t.Context()); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Rotate: %v, want unavailable and the path", what, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s: the file was changed", what)
		}
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, whole, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := key.Rotate(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("Rotate with a context that ended: %v", err)
	}
	if _, err := localfile.Rotate(t.Context(), path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Rotate of nothing: %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(path + "x.history"); err == nil {
		t.Error("a history was left beside nothing")
	}
}

func TestAVersionIsDisabledEnabledAndDestroyedButNeverThePrimary(t *testing.T) {
	path := mustCreate(t)
	key := mustOpen(t, path)
	w := mustWrap(t, key)
	old := mustList(t, path)[0].Version
	for what, change := range map[string]func(context.Context, string, string, ...localfile.Option) error{
		"Disable": localfile.Disable, "Destroy": localfile.Destroy,
	} {
		if err := change(t.Context(), path, old); err == nil || !strings.Contains(err.Error(), "primary") {
			t.Errorf("%s of the primary: %v, want a refusal that says so", what, err)
		}
		for _, version := range []string{"1", "0" + old, "", "#1", "x"} {
			if err := change(t.Context(), path, version); err == nil {
				t.Errorf("%s of %q: no error", what, version)
			}
		}
	}
	if _, err := localfile.Rotate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	opens := func() error {
		_, err := mustOpen(t, path).Unwrap(t.Context(), w, photos)
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context, string, string, ...localfile.Option) error
		want error
	}{
		{"Disable", localfile.Disable, kms.ErrNotFound},
		{"Enable", localfile.Enable, nil},
		{"Destroy", localfile.Destroy, kms.ErrNotFound},
	} {
		if err := step.do(t.Context(), path, old); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if err := opens(); !errors.Is(err, step.want) {
			t.Errorf("after %s: %v, want %v", step.what, err, step.want)
		}
	}
	if infos := mustList(t, path); len(infos) != 1 || infos[0].Version == old {
		t.Errorf("after Destroy: %+v", infos)
	}
}

func TestAnAddedVersionOpensEverywhereBeforeItIsPromoted(t *testing.T) {
	path := mustCreate(t)
	added, err := localfile.Add(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.json")
	content, err := os.ReadFile(path)
	if err := errors.Join(err, os.WriteFile(copied, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	if w := mustWrap(t, mustOpen(t, path)); w.KEK == "localfile:#"+added {
		t.Error("a version that was only added wraps")
	}
	if err := localfile.Promote(t.Context(), path, added); err != nil {
		t.Fatal(err)
	}
	w := mustWrap(t, mustOpen(t, path))
	if w.KEK != "localfile:#"+added {
		t.Errorf("%s wraps, not the promoted %s", w.KEK, added)
	}
	if _, err := mustOpen(t, copied).Unwrap(t.Context(), w, photos); err != nil {
		t.Errorf("the replica with the copy: %v", err)
	}
}

func TestAnotherOwnersFileStaysTheirs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := mustCreate(t)
	if err := errors.Join(os.Remove(path+".history"), os.Chown(path, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Rotate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".history"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is := info.Sys().(*syscall.Stat_t); is.Uid != 12345 || is.Gid != 12345 || info.Mode() != 0o600 {
			t.Errorf("%s: owner %d:%d, mode %v", name, is.Uid, is.Gid, info.Mode())
		}
	}
}

func TestTheHistoryHoldsNoKeyMaterial(t *testing.T) {
	path := mustCreate(t)
	if _, err := localfile.Rotate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	history, err := os.ReadFile(path + ".history")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range keyValues(t, path) {
		if strings.Contains(string(history), value[:12]) {
			t.Errorf("a key is in the history: %s", history)
		}
	}
	if lines := strings.Count(string(history), "\n"); lines != 2 {
		t.Errorf("%d lines, want 2: %s", lines, history)
	}
	if err := os.WriteFile(path+".history", []byte("not JSON\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if infos := mustList(t, path); !infos[0].Made.IsZero() {
		t.Error(fmt.Sprint("a time from nowhere: ", infos))
	}
}
