package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// buildWithin is how long a step of a build may take on a machine that runs other tests, too.
const buildWithin = 15 * time.Minute

// mount is a file or folder of this machine at a path of a container. An empty from is a
// temporary file system that everybody may write to.
type mount struct{ from, to string }

// container is a process in the root file system of an image, in a mount namespace of its own,
// as a container's runtime starts it: with nothing but the image's environment and what is given,
// and a root that is read-only.
type container struct {
	image
	mounts   []mount
	groups   []string // further ones of the user
	dir      string
	writable bool
}

// start runs a command in the container until the test ends.
func (c container) start(t *testing.T, name string, command ...string) *lab.Process {
	t.Helper()
	lab.NeedRoot(t)
	find := func(program string) string { return lab.Need(t, program) }
	script := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(script, format+"\n", args...) }
	mountBy := find("mount")
	line("%s --bind %q %q", mountBy, c.root, c.root)
	for _, m := range c.mounts {
		at := filepath.Join(c.root, m.to)
		if m.from == "" {
			line("%s -t tmpfs -o mode=1777 tmpfs %q", mountBy, at)
			continue
		}
		makeMountPoint(t, m.from, at)
		line("%s --rbind %q %q", mountBy, m.from, at)
	}
	if !c.writable {
		line("%s -o remount,bind,ro %q", mountBy, c.root)
	}
	line("cd %q", filepath.Join(c.root, c.dir))
	line(`exec "$@"`)
	// Where chroot stands it is not in the image, so that it has to come last.
	args := []string{"--mount", "--propagation", "private", "/bin/sh", "-ec", script.String(), "sh", find("env"), "-i"}
	for _, key := range slices.Sorted(maps.Keys(c.env)) {
		args = append(args, key+"="+c.env[key])
	}
	args = append(args, find("chroot"), "--userspec="+c.user, "--groups="+strings.Join(c.groups, ","))
	if c.dir != "" && c.dir != "/" {
		command = append([]string{"/usr/bin/env", "--chdir=" + c.dir}, command...)
	}
	return lab.Start(t, name, find("unshare"), slices.Concat(args, []string{c.root}, command), lab.Env())
}

func makeMountPoint(t *testing.T, from, at string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.MkdirAll(at, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(at), 0o755); err == nil {
		var f *os.File
		if f, err = os.OpenFile(at, os.O_CREATE, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// with gives the container's image further environment.
func (c container) with(env map[string]string) container {
	all := map[string]string{}
	maps.Copy(all, c.env)
	maps.Copy(all, env)
	c.env = all
	return c
}

// copyOf gives the image in a folder of the test's own, where there may be mount points.
func (i image) copyOf(t *testing.T) image {
	t.Helper()
	root := filepath.Join(lab.PublicFolder(t), "root")
	lab.MustRun(t, lab.Env(), "cp", "-a", i.root, root)
	i.root = root
	return i
}
