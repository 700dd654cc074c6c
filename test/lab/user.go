package lab

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// User is a user without a home and without rights, like that of a container's process.
type User struct {
	ID, Group uint32
	Groups    []uint32 // further ones
}

// StartAs is Start for a program that runs as another user, in the folder /. Only root can do that.
func StartAs(t testing.TB, u User, name, bin string, args, env []string) *Process {
	t.Helper()
	NeedRoot(t)
	return startAs(place{t: t}, name, bin, args, env, &syscall.Credential{Uid: u.ID, Gid: u.Group, Groups: u.Groups})
}

// NeedRoot skips a test that only root can run.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "only root can run a program as another user")
	}
}

// PublicFolder makes a folder that every user can enter.
func PublicFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3proxy-test-public-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// PublicS3proxy returns the path of an s3proxy that every user can run.
func PublicS3proxy(t testing.TB) string {
	t.Helper()
	from, err := os.Open(S3proxy(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(PublicFolder(t), "s3proxy"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

// MountSecret lays out files as the kubelet mounts a Secret: each is a link into a folder that an
// update replaces as a whole. They belong to root and to a group, which may read them.
func MountSecret(t testing.TB, folder string, group int, mode os.FileMode, files map[string]string) {
	t.Helper()
	version, err := os.MkdirTemp(folder, "..2026_")
	if err == nil {
		err = os.Chmod(version, 0o755)
	}
	for name, content := range files {
		path := filepath.Join(version, name)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err == nil {
			err = os.Chown(path, 0, group)
		}
		if err == nil {
			err = os.Chmod(path, mode)
		}
		link := filepath.Join(folder, name)
		if _, there := os.Lstat(link); err == nil && there != nil {
			err = os.Symlink(filepath.Join("..data", name), link)
		}
	}
	data := filepath.Join(folder, "..data")
	old, _ := os.Readlink(data)
	if err == nil {
		err = os.Symlink(filepath.Base(version), data+"_tmp")
	}
	if err == nil {
		err = os.Rename(data+"_tmp", data)
	}
	if err == nil && old != "" {
		err = os.RemoveAll(filepath.Join(folder, old))
	}
	if err != nil {
		t.Fatal(err)
	}
}
