package lab

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// server is a program from a folder of test/servers.
type server struct {
	name    string // of the binary, and of the folder unless foreign names one
	title   string // in messages
	pkg     string // main package: in the folder, or pinned by a tool directive of its module
	foreign string // folder with a module of its own, because of hundreds of packages that nothing else needs
}

var servers = []server{
	{"gateway", "the small versitygw", ".", ""},
	{"versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw", "versitygw"},
	{"minio", "MinIO", "github.com/minio/minio", "minio"},
	{"vault", "Vault", ".", "vault"},
	{"helm", "helm", "helm.sh/helm/v3/cmd/helm", "helm"},
	{"manifests", "the reader of Kubernetes' manifests", ".", "manifests"},
	{"compose", "the reader of files for docker compose", ".", "compose"},
	{"cyclonedx", "cyclonedx-gomod", "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod", "cyclonedx"},
	{"promtool", "promtool", "github.com/prometheus/prometheus/cmd/promtool", "prometheus"},
	{"prometheus", "Prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "prometheus"},
	{"dashboards", "the reader of Grafana's dashboards", ".", "dashboards"},
	{"envoy", "the reader of Envoy's configuration", ".", "envoy"},
	{"toxiproxy", "Toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "toxiproxy"},
	{"localkms", "local-kms", "github.com/nsmithuk/local-kms", "localkms"},
	{"otlp", "OpenTelemetry's receiver", ".", "otlp"},
	{"browser", "what drives a browser", ".", "browser"},
}

// BuildServers builds what the tests will start. make runs it before the tests, so that the build
// does not count against a test's time limit.
func BuildServers() (map[string]string, error) {
	paths := map[string]string{}
	for _, s := range servers {
		if (s.foreign != "") != All() {
			continue
		}
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
	if path := os.Getenv("S3PROXY_TEST_BINARY"); path != "" {
		_, err := os.Stat(path) // makes Go forget cached results when the binary changes
		return path, err
	}
	if err := readSources(top); err != nil {
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

// readSources stats each file that the product is built from. Go caches a test's result until a
// file changes that the test itself has looked at; it does not see what the build reads.
func readSources(top string) error {
	for _, folder := range []string{"go.mod", "cmd", "envelope", "internal", "kms", "proxy"} {
		err := filepath.WalkDir(filepath.Join(top, folder), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// S3proxy is the path of the product's binary: the one named by S3PROXY_TEST_BINARY (make builds it
// once for all packages), or one built from this tree.
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
	for _, s := range slices.Concat(servers, clients) {
		if s.name == name {
			if s.foreign != "" {
				needAll(t, s.title)
			}
			path, err := buildServer(s)
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("lab: no server or client is called %q", name)
	return ""
}

func buildServer(s server) (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(top, "test", "servers", cmp.Or(s.foreign, s.name))
	sources := []string{folder}
	if s.foreign == "" {
		sources = append(sources, filepath.Join(top, "go.mod"))
	}
	// Build beside it and rename, so that an interrupted build leaves nothing that looks whole.
	return made(sources, s.name, func(cache string) error {
		out := filepath.Join(cache, s.name)
		if err := goBuild(folder, out+".new", s.pkg); err != nil {
			return err
		}
		return os.Rename(out+".new", out)
	})
}

// made returns the path of a name in the cache folder of these sources, and calls build if it is
// missing there. Test packages run in parallel: the second one waits here, then finds it.
func made(sources []string, name string, build func(cache string) error) (string, error) {
	cache, err := cacheDir(sources)
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	out := filepath.Join(cache, name)
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	return out, build(cache)
}

// cacheDir is the cache folder for what these files, and the files in these folders, build to.
func cacheDir(sources []string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, source := range sources {
		err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error { // in lexical order
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			fmt.Fprintln(sum, d.Name(), len(content))
			sum.Write(content)
			return err
		})
		if err != nil {
			return "", err
		}
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
