package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAGroupMayReadOnlyWhatIsRootsOrOursAndOfAGroupOfOurs(t *testing.T) {
	process := owner{user: 1000, groups: []int{1000, 2000}}
	for _, c := range []struct {
		file owner
		want bool
	}{
		{owner{0, []int{2000}}, true},
		{owner{0, []int{1000}}, true},
		{owner{1000, []int{2000}}, true},
		{owner{0, []int{0}}, false},
		{owner{0, []int{3000}}, false},
		{owner{1000, []int{3000}}, false},
		{owner{1001, []int{2000}}, false},
	} {
		if got := c.file.trusted(process); got != c.want {
			t.Errorf("%+v: %v", c.file, got)
		}
	}
}

func TestAFileThatOthersCanUseIsNotRead(t *testing.T) {
	for mode, want := range map[fs.FileMode]bool{
		0o400: true, 0o600: true, 0o700: true, 0o440: true, 0o640: true,
		0o420: false, 0o460: false, 0o450: false, 0o444: false, 0o404: false, 0o402: false, 0o401: false, 0o644: false, 0o666: false, 0o777: false,
	} {
		// As the kubelet mounts it.
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "..2026"), 0o700); err != nil {
			t.Fatal(err)
		}
		real, path := filepath.Join(folder, "..2026", "key"), filepath.Join(folder, "key")
		if err := os.WriteFile(real, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		for link, to := range map[string]string{filepath.Join(folder, "..data"): "..2026", path: "..data/key"} {
			if err := os.Symlink(to, link); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(real, mode); err != nil {
			t.Fatal(err)
		}
		content, info, err := Read(path, 6)
		if (err == nil) != want || want && (string(content) != "secret" || info.Mode().Perm() != mode) {
			t.Errorf("mode %04o: %q, %v", mode, content, err)
		}
	}
}

func TestOnlyARegularFileOfBoundedSizeIsRead(t *testing.T) {
	folder := t.TempDir()
	pipe, long := filepath.Join(folder, "pipe"), filepath.Join(folder, "long")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(long, []byte("1234567"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, pipe, long, filepath.Join(folder, "none")} {
		if content, _, err := Read(path, 6); err == nil {
			t.Errorf("%s: %q", path, content)
		}
	}
}
