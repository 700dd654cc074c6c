//go:build !noembedded

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"github.com/s3proxy/s3proxy/test/lab"
)

// tryConfined tells, in a process of its own that is confined to the folder "store" of its
// working directory, what of many things it can do. A thread that was there before tries.
func tryConfined() {
	tries := map[string]func() error{
		"read inside":  func() error { _, err := os.ReadFile("store/object"); return err },
		"write inside": func() error { return os.WriteFile("store/new", nil, 0o600) },
		"move inside": func() error {
			return errors.Join(os.Mkdir("store/folder", 0o700), os.Rename("store/object", "store/folder/object"))
		},
		"read outside": func() error { _, err := os.ReadFile("keyset.json"); return err },
		"list outside": func() error { _, err := os.ReadDir("."); return err },
		"write outside": func() error {
			f, err := os.OpenFile("keyset.json", os.O_WRONLY, 0)
			f.Close()
			return err
		},
		"truncate outside": func() error { return os.Truncate("keyset.json", 0) },
		"make outside":     func() error { return os.WriteFile("new", nil, 0o600) },
		"mkdir outside":    func() error { return os.Mkdir("folder", 0o700) },
		"link inside":      func() error { return os.Link("keyset.json", "store/linked") },
		"symlink inside":   func() error { return os.Symlink("../keyset.json", "store/symlink") },
		"move outside":     func() error { return os.Rename("store/new", "moved") },
		"move inwards":     func() error { return os.Rename("keyset.json", "store/keyset") },
		"remove outside":   func() error { return os.Remove("keyset.json") },
		"rmdir outside":    func() error { return os.Remove("empty") },
		"run a program":    func() error { return exec.Command("/proc/self/exe", "-test.run=^$").Run() },
		"signal":           func() error { return syscall.Kill(os.Getppid(), 0) },
	}
	address, _ := os.ReadFile("address")
	tries["TCP out"] = func() error {
		c, err := net.Dial("tcp", string(address))
		if err == nil {
			c.Close()
		}
		return err
	}
	tries["TCP in"] = func() error {
		conf := net.ListenConfig{}
		conf.SetMultipathTCP(false) // which Landlock does not know
		l, err := conf.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	}
	work, done := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for try := range work {
			done <- try()
		}
	}()
	work <- func() error { return nil } // the thread is there now
	<-done
	if err := confine(storeFolders{data: []string{"store"}, socket: "socket"}); err != nil {
		fmt.Println("confine:", err)
		return
	}
	for _, name := range append(orderedTries, slices.DeleteFunc(slices.Sorted(maps.Keys(tries)), func(name string) bool { return slices.Contains(orderedTries, name) })...) {
		work <- tries[name]
		fmt.Printf("%s: %t\n", name, <-done == nil)
	}
}

// orderedTries come first: they need what others change.
var orderedTries = []string{"read inside", "write inside", "move inside"}

func TestAConfinedProcessCanDoNothingButUseItsFolders(t *testing.T) {
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < landlockNeeded {
		lab.Skip(t, fmt.Sprintf("there is no Landlock that confines the store (version %d, %v)", version, err))
	}
	since := map[string]int{"TCP out": 4, "TCP in": 4, "signal": 6, "truncate outside": 3}
	dir := t.TempDir()
	for _, folder := range []string{"store", "socket", "empty"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, text := range map[string]string{"keyset.json": "secret", "store/object": "text", "address": l.Addr().String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "try-confined")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tried := 0
	for line := range strings.Lines(string(out)) {
		name, can, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%s", out)
		}
		if want := slices.Contains(orderedTries, name); can != fmt.Sprint(want) && version >= since[name] {
			t.Errorf("%s: %s", name, can)
		}
		tried++
	}
	if tried != 19 {
		t.Errorf("%d things were tried:\n%s", tried, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "keyset.json")); err != nil || string(text) != "secret" {
		t.Errorf("the keyset is %q, %v", text, err)
	}
}
