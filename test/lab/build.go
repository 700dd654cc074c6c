package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// server is a program that a nested module test/servers/<name> builds.
type server struct {
	name string // of the folder and of the binary
	pkg  string // main package: of the module itself, or pinned by its tool directive
}

// servers is the list; one line each.
var servers = []server{
	{"versitygw", "github.com/versity/versitygw/cmd/versitygw"},
	{"minio", "github.com/minio/minio"},
	{"vault", "."},
	{"localkms", "github.com/nsmithuk/local-kms"},
}

// Binaries are the paths of the built programs.
type Binaries struct {
	S3proxy   string
	Versitygw string
	MinIO     string
}

// Build gives the built programs; the first call of a process builds what is
// not there yet. The product is built anew in each process, as its source may
// have changed; Go's own cache makes that quick.
func Build(t testing.TB) Binaries {
	t.Helper()
	return Binaries{S3proxy: S3proxy(t), Versitygw: serverBinary(t, "versitygw"), MinIO: serverBinary(t, "minio")}
}

// BuildServers builds all stores; make does it before the tests, so that no
// test's time limit pays for it.
func BuildServers() (map[string]string, error) {
	paths := map[string]string{}
	for _, s := range servers {
		path, err := buildServer(s)
		if err != nil {
			return nil, err
		}
		paths[s.name] = path
	}
	return paths, nil
}

var productBuild = sync.OnceValues(func() (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "s3proxy-test-bin-")
	if err != nil {
		return "", err
	}
	shared.Lock()
	shared.folders = append(shared.folders, dir)
	shared.Unlock()
	out := filepath.Join(dir, "s3proxy")
	return out, goBuild(top, out, "./cmd/s3proxy")
})

// S3proxy is the path of the product's binary, built from this tree.
func S3proxy(t testing.TB) string {
	t.Helper()
	path, err := productBuild()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func serverBinary(t testing.TB, name string) string {
	t.Helper()
	for _, s := range servers {
		if s.name == name {
			path, err := buildServer(s)
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("lab: no server is called %q", name)
	return ""
}

func buildServer(s server) (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(top, "test", "servers", s.name)
	cache, err := cacheDir(module)
	if err != nil {
		return "", err
	}
	// Test packages run in parallel; the second waits here and finds the binary.
	lock, err := os.OpenFile(filepath.Join(cache, s.name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	out := filepath.Join(cache, s.name)
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	// Built beside and renamed: a build that was interrupted leaves nothing that looks whole.
	if err := goBuild(module, out+".new", s.pkg); err != nil {
		return "", err
	}
	return out, os.Rename(out+".new", out)
}

// cacheDir is a folder for what a module's pinned versions build to.
func cacheDir(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	entries, err := os.ReadDir(module)
	if err != nil {
		return "", err
	}
	for _, e := range entries { // in order of name: go.mod, go.sum, sources
		content, err := os.ReadFile(filepath.Join(module, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, e.Name(), len(content))
		sum.Write(content)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(user, "s3proxy-test", hex.EncodeToString(sum.Sum(nil))[:16])
	return dir, os.MkdirAll(dir, 0o755)
}

func goBuild(dir, out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=local")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, strings.TrimSpace(string(output)))
	}
	return nil
}
