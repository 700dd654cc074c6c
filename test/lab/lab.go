// Package lab runs what the black-box tests need: the real s3proxy binary and
// real S3 stores, each as a process of its own on a free loopback port with a
// folder of its own, and stops what it started.
//
// The stores are built from nested modules under test/servers, which pin their
// versions, so that their dependencies stay out of the product's go.mod. They
// are built once for each set of pinned versions, into the user's cache folder.
package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

var shared struct {
	sync.Mutex
	processes []*Process
	folders   []string
}

// Main runs a package's tests, stops the shared processes, and says which
// foreign programs were missing. TestMain calls it and nothing else.
//
// go test hides what a passing package prints, so the line also goes to the
// file that S3PROXY_TEST_SUMMARY names, for make to show.
func Main(m *testing.M) {
	// The Go clients in this process get what foreign ones get from Env.
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
		p.Kill()
	}
	for _, dir := range shared.folders {
		os.RemoveAll(dir)
	}
	shared.Unlock()
	if line := skipped(); line != "" {
		fmt.Println(line)
		if file := os.Getenv("S3PROXY_TEST_SUMMARY"); file != "" {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err == nil {
				fmt.Fprintln(f, line)
				f.Close()
			}
		}
	}
	os.Exit(code)
}

// place says where a process lives: as long as one test, or as long as the package.
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

func (p place) keep(proc *Process) {
	if p.shared {
		shared.Lock()
		shared.processes = append(shared.processes, proc)
		shared.Unlock()
		return
	}
	p.t.Cleanup(func() {
		proc.Kill()
		if p.t.Failed() {
			p.t.Log(proc.tail())
		}
	})
}

// ShowOnFailure adds the end of a shared process's log to a failed test's output.
func ShowOnFailure(t testing.TB, p *Process) {
	from := p.logSize()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.tailFrom(from))
		}
	})
}

// root is the folder of the product's go.mod.
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

var skips struct {
	sync.Mutex
	count int
	names map[string]bool
}

// Skip skips a test for want of a foreign program, and counts it. With
// S3PROXY_TEST_REQUIRE=1 (as .ci/run sets it) a skip is a failure.
func Skip(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("S3PROXY_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is not here, and S3PROXY_TEST_REQUIRE=1 allows no skip", what)
	}
	skips.Lock()
	skips.count++
	if skips.names == nil {
		skips.names = map[string]bool{}
	}
	skips.names[what] = true
	skips.Unlock()
	t.Skipf("%s is not here", what)
}

func skipped() string {
	skips.Lock()
	defer skips.Unlock()
	if skips.count == 0 {
		return ""
	}
	var names []string
	for n := range skips.names {
		names = append(names, n)
	}
	sort.Strings(names)
	return fmt.Sprintf("%d skipped for want of: %s", skips.count, strings.Join(names, ", "))
}
