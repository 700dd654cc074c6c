// Package lab starts and stops what the black-box tests need: the real s3proxy binary, real S3
// stores, Vault and local-kms. Each is a separate process with its own folder on a free loopback
// port.
//
// The servers are built once from test/servers and kept in the user's cache folder. Other people's
// servers are nested modules there, which pin their versions and keep their dependencies out of the
// product's go.mod. They run only with S3PROXY_TEST_ALL=1.
package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var shared struct {
	sync.Mutex
	processes []*Process
	folders   []string
}

// Main runs a package's tests and stops the shared processes. It is the whole of TestMain.
func Main(m *testing.M) {
	// Give the Go clients in this process the settings that foreign clients get from Env.
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	code := m.Run()
	shared.Lock()
	for _, p := range shared.processes {
		p.finish()
	}
	for _, dir := range shared.folders {
		os.RemoveAll(dir)
	}
	shared.Unlock()
	os.Exit(code)
}

// place says how long a process lives: as long as one test, or as long as the package's tests.
type place struct {
	t      testing.TB
	shared bool
}

func (p place) folder(name string) string {
	if !p.shared {
		return p.t.TempDir()
	}
	dir, err := os.MkdirTemp("", "s3proxy-test-"+name+"-")
	if err != nil {
		p.t.Fatal(err)
	}
	shared.Lock()
	shared.folders = append(shared.folders, dir)
	shared.Unlock()
	return dir
}

// SharedFolder makes a folder that every user can enter. It lives as long as the package's tests.
func SharedFolder(t testing.TB) string {
	t.Helper()
	dir := place{t: t, shared: true}.folder("shared")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p place) keep(proc *Process) {
	if p.shared {
		shared.Lock()
		shared.processes = append(shared.processes, proc)
		shared.Unlock()
		return
	}
	p.t.Cleanup(func() {
		proc.finish()
		if p.t.Failed() {
			p.t.Log(proc.tail())
		}
	})
}

// ShowOnFailure adds the end of a shared process's log to the output of a failed test.
func ShowOnFailure(t testing.TB, p *Process) {
	from := p.logSize()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.tailFrom(from))
		}
	})
}

// Path returns the path of a file or folder in this repository.
func Path(t testing.TB, elements ...string) string {
	t.Helper()
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{top}, elements...)...)
}

// root returns the folder of the product's go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/s3proxy/s3proxy\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod of s3proxy above the working folder")
		}
		dir = up
	}
}
