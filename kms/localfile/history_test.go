package localfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/localfile"
)

// The folder may belong to the proxy's user while root changes the keyset: what that user
// puts in the history's place must not have root write elsewhere, or give a file away.
func TestOnlyARegularFileOfOneNameIsTakenForTheHistory(t *testing.T) {
	for what, plant := range map[string]func(victim, history string) error{
		"a link":           os.Symlink,
		"a second name":    os.Link,
		"a link to no one": func(victim, history string) error { return os.Symlink(victim+".new", history) },
		"a pipe":           func(_, history string) error { return syscall.Mkfifo(history, 0o600) },
		"a folder":         func(_, history string) error { return os.Mkdir(history, 0o700) },
	} {
		t.Run(what, func(t *testing.T) {
			path, victim := mustCreate(t), filepath.Join(t.TempDir(), "victim")
			if err := errors.Join(os.WriteFile(victim, []byte("of root"), 0o600), os.Remove(path+".history"), plant(victim, path+".history")); err != nil {
				t.Fatal(err)
			}
			giveAway(t, path)
			before := mustList(t, path)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := localfile.Rotate(ctx, path); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), path+".history") {
				t.Errorf("Rotate: %v, want an error that names the history", err)
			}
			if after := mustList(t, path); len(after) != len(before) {
				t.Errorf("it rotated: %+v", after)
			}
			if content, err := os.ReadFile(victim); err != nil || string(content) != "of root" {
				t.Errorf("the other file holds %q, %v", content, err)
			}
			if uid := ownerOf(t, victim); uid != os.Getuid() {
				t.Errorf("the other file was given to user %d", uid)
			}
			if _, err := os.Lstat(victim + ".new"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file was made where a link leads: %v", err)
			}
			// A new keyset is made nevertheless, without a history.
			other := filepath.Join(t.TempDir(), "keyset.json")
			if err := errors.Join(plant(victim, other+".history"), localfile.Create(other)); err != nil {
				t.Errorf("Create: %v", err)
			}
			if content, _ := os.ReadFile(victim); string(content) != "of root" {
				t.Errorf("Create wrote %q into the other file", content)
			}
		})
	}
}

func TestAHistoryThatWasThereKeepsItsOwner(t *testing.T) {
	path := mustCreate(t)
	if !giveAway(t, path) {
		t.Skip("only root can give a file away")
	}
	if _, err := localfile.Rotate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if uid := ownerOf(t, path+".history"); uid != os.Getuid() {
		t.Errorf("it was given to user %d", uid)
	}
}

func TestWhoPutsAnotherFileInAKeysetsPlaceIsNotGivenTheKeys(t *testing.T) {
	path, theirs := filepath.Join(t.TempDir(), "keyset.json"), filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(theirs, nil, 0o600); err != nil || !giveAway(t, theirs) {
		t.Skip("only root can give a file away")
	}
	asked := 0 // the second time is between reading the file and replacing it
	passphrase := localfile.WithPassphrase(func() ([]byte, error) {
		if asked++; asked == 2 {
			if err := errors.Join(os.Rename(path, path+".old"), os.Symlink(theirs, path)); err != nil {
				t.Error(err)
			}
		}
		return []byte("correct horse"), nil
	})
	if err := localfile.Create(path, localfile.WithPassphrase(func() ([]byte, error) { return []byte("correct horse"), nil })); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Rotate(t.Context(), path, passphrase); err != nil || asked != 2 {
		t.Fatalf("Rotate: %v, the passphrase was asked for %d times", err, asked)
	}
	if uid := ownerOf(t, path); uid != os.Getuid() {
		t.Errorf("the keyset was given to user %d", uid)
	}
	if content, err := os.ReadFile(theirs); err != nil || len(content) != 0 {
		t.Errorf("the keys were written to where a link leads: %d bytes, %v", len(content), err)
	}
}

// giveAway gives a file to another user, and tells whether this one may.
func giveAway(t *testing.T, path string) bool {
	t.Helper()
	return os.Getuid() == 0 && os.Chown(path, 12345, 12345) == nil
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
