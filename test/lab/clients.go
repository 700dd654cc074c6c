package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clients are programs that speak S3, built as servers are, and only if a test asks for one: some
// take minutes.
var clients = []server{
	{"gocloud", "what uses gocloud.dev/blob", ".", "clients/gocloud"},
	{"kopia", "kopia", "github.com/kopia/kopia", "clients/kopia"},
	{"litestream", "Litestream", "github.com/benbjohnson/litestream/cmd/litestream", "clients/litestream"},
	{"mc", "mc", "github.com/minio/mc", "clients/mc"},
	{"rclone", "rclone", "github.com/rclone/rclone", "clients/rclone"},
	{"registry", "the registry", "github.com/distribution/distribution/v3/cmd/registry", "clients/registry"},
	{"restic", "restic", "github.com/restic/restic/cmd/restic", "clients/restic"},
	{"thanos", "Thanos' acceptance test", ".", "clients/thanos"},
}

// Clients tells whether all clients are to be run. `make test-clients` sets it.
var Clients = os.Getenv("S3PROXY_TEST_CLIENTS") == "1"

// Client gives the path of a client that is built from test/servers/clients.
func Client(t testing.TB, name string) string { t.Helper(); return serverBinary(t, name) }

// ClientVersion gives the version of a module that a folder of test/servers/clients pins.
func ClientVersion(t testing.TB, folder, module string) string {
	t.Helper()
	text, err := os.ReadFile(Path(t, "test", "servers", "clients", folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(f) > 1 && f[0] == module {
			return strings.TrimPrefix(f[1], "v")
		}
	}
	t.Fatalf("%s pins no %s", folder, module)
	return ""
}

// Packaged gives the version of a package of Debian, or skips the test (see Skip).
func Packaged(t testing.TB, name string) string {
	t.Helper()
	needAll(t, name)
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil || len(out) == 0 {
		Skip(t, name+" is not installed")
	}
	return string(out)
}

// MinioGoTests gives the path of minio-go's functional tests. They lie beside minio-go's sources,
// of which they are no part: they are built in a copy of the module that pins minio-go.
func MinioGoTests(t testing.TB) string {
	t.Helper()
	needAll(t, "minio-go's functional tests")
	folder := Path(t, "test", "servers", "clients", "miniogo")
	path, err := made([]string{folder}, "miniogo", func(cache string) error {
		list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/minio/minio-go/v7")
		list.Dir, list.Env = folder, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		dir, err := list.Output()
		if err != nil {
			return err
		}
		source := filepath.Join(cache, "source")
		if err := copyFiles(folder, source, "go.mod", "go.sum"); err != nil {
			return err
		}
		const name = "functional_tests.go"
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), name))
		if err != nil {
			return err
		}
		// With the tag it would be built into minio-go itself, too.
		text = bytes.Replace(text, []byte("//go:build mint\n"), nil, 1)
		if err := os.WriteFile(filepath.Join(source, name), text, 0o644); err != nil {
			return err
		}
		out := filepath.Join(cache, "miniogo")
		if err := goBuild(source, out+".new", "."); err != nil {
			return err
		}
		return os.Rename(out+".new", out)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func copyFiles(from, to string, names ...string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Node gives the folder with the packages of Node.js that test/servers/clients/js pins.
func Node(t testing.TB) string {
	t.Helper()
	npm := Need(t, "npm")
	source := Path(t, "test", "servers", "clients", "js")
	whole, err := made([]string{source}, "whole", func(cache string) error {
		if err := copyFiles(source, cache, "package.json", "package-lock.json"); err != nil {
			return err
		}
		install := exec.CommandContext(t.Context(), npm, "ci", "--no-audit", "--no-fund")
		install.Dir = cache
		if out, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, out)
		}
		return os.WriteFile(filepath.Join(cache, "whole"), nil, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(whole)
}

// NodeVersion gives the version of a package that test/servers/clients/js pins.
func NodeVersion(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(Path(t, "test", "servers", "clients", "js", "package.json"))
	var pinned struct{ Dependencies map[string]string }
	if err == nil {
		err = json.Unmarshal(text, &pinned)
	}
	if err == nil && pinned.Dependencies[name] == "" {
		err = fmt.Errorf("it pins no %s", name)
	}
	if err != nil {
		t.Fatalf("package.json: %v", err)
	}
	return pinned.Dependencies[name]
}
