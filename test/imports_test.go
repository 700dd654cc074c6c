// Package test proves s3proxy from outside, in a folder for each matter: the real binary
// between real clients and real stores. What stands here is about the source itself.
package test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// arrows is what a folder, and it alone, may import of the project. Its tests
// may import the folder itself and tests besides.
type arrows struct {
	folder         string
	imports, tests []string
}

var mayImport = []arrows{
	{"envelope", nil, nil},
	{"envelope/internal/vectorgen", []string{"envelope"}, nil},
	{"internal/secretfile", nil, nil},
	{"kms", []string{"envelope"}, []string{"kms/kmstest"}},
	{"kms/kmstest", []string{"kms"}, nil},
	{"kms/awskms", []string{"kms"}, []string{"kms/awskms/fakekms", "kms/kmstest", "test/lab"}},
	{"kms/awskms/fakekms", nil, nil},
	{"kms/localfile", []string{"internal/secretfile", "kms"}, []string{"kms/kmstest"}},
	{"kms/vault", []string{"kms"}, []string{"kms/kmstest", "test/lab"}},
	{"proxy/s3err", []string{"proxy/s3xml"}, nil},
	{"proxy/checksum", []string{"envelope", "proxy/s3err", "proxy/s3xml"}, nil},
	{"proxy/cors", []string{"proxy/s3err", "proxy/s3xml"}, nil},
	{"proxy/s3name", nil, nil},
	{"proxy/s3xml", nil, nil},
	{"proxy/sigv4", []string{"proxy/s3err"}, nil},
	{"proxy/legacy", []string{"envelope"}, nil},
	{"proxy/upstream", []string{"proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4"}, nil},
	{"proxy/state", []string{"kms", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/upstream"}, nil},
	{"proxy/object", []string{"envelope", "kms", "proxy/checksum", "proxy/legacy", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/state", "proxy/upstream"}, []string{"kms/localfile"}},
	{"proxy/inplace", []string{"envelope", "kms", "proxy/checksum", "proxy/legacy", "proxy/object", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/state", "proxy/upstream"}, []string{"kms/localfile", "test/lab"}},
	{"proxy/multipart", []string{"envelope", "kms", "proxy/checksum", "proxy/object", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/state", "proxy/upstream"}, []string{"kms/localfile", "test/lab"}},
	{"proxy", []string{"envelope", "kms", "proxy/checksum", "proxy/cors", "proxy/inplace", "proxy/legacy", "proxy/multipart", "proxy/object", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4", "proxy/state", "proxy/upstream"},
		[]string{"kms/localfile", "test/lab"}},
	{"cmd/s3proxy/internal/watch", nil, nil},
	{"cmd/s3proxy/internal/certs", []string{"internal/secretfile"}, nil},
	{"cmd/s3proxy/internal/forward", []string{"proxy/s3err"}, nil},
	{"cmd/s3proxy/internal/limit", []string{"proxy/s3err"}, nil},
	{"cmd/s3proxy/internal/config", []string{"cmd/s3proxy/internal/forward", "cmd/s3proxy/internal/watch", "internal/secretfile", "kms/localfile", "kms/vault", "proxy", "proxy/inplace", "proxy/object", "proxy/state"}, nil},
	{"cmd/s3proxy/internal/ops", []string{"envelope", "kms", "proxy/inplace", "proxy/legacy", "proxy/multipart", "proxy/object", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/state", "proxy/upstream"}, []string{"kms/localfile", "proxy", "test/lab"}},
	{"cmd/s3proxy/internal/audit", []string{"cmd/s3proxy/internal/forward", "kms", "proxy"}, nil},
	{"cmd/s3proxy/internal/doctor", []string{"kms", "proxy", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4", "proxy/state", "proxy/upstream"}, nil},
	{"cmd/s3proxy/internal/metrics", []string{"cmd/s3proxy/internal/forward", "kms", "proxy", "proxy/upstream"}, nil},
	{"cmd/s3proxy/internal/oldconfig", []string{"proxy/legacy", "proxy/state"}, nil},
	{"cmd/s3proxy/internal/origin", nil, nil},
	{"cmd/s3proxy/internal/page", []string{"cmd/s3proxy/internal/origin", "proxy"}, nil},
	{"cmd/s3proxy/internal/tracing", []string{"kms", "proxy", "proxy/upstream"}, nil},
	{"cmd/s3proxy", []string{"cmd/s3proxy/internal/audit", "cmd/s3proxy/internal/certs", "cmd/s3proxy/internal/config", "cmd/s3proxy/internal/doctor", "cmd/s3proxy/internal/forward", "cmd/s3proxy/internal/limit", "cmd/s3proxy/internal/metrics", "cmd/s3proxy/internal/oldconfig", "cmd/s3proxy/internal/ops", "cmd/s3proxy/internal/origin", "cmd/s3proxy/internal/page", "cmd/s3proxy/internal/tracing", "cmd/s3proxy/internal/watch", "envelope", "internal/secretfile", "kms", "kms/awskms", "kms/localfile", "kms/vault", "proxy", "proxy/inplace", "proxy/legacy", "proxy/multipart", "proxy/object", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4", "proxy/state", "proxy/upstream"},
		[]string{"test/lab"}},
	{"test", nil, nil},
	{"test/deploy", nil, []string{"test/lab", "test/s3test"}},
	{"test/soak", nil, []string{"test/lab", "test/s3test"}},
	{"test/forward", nil, []string{"test/lab", "test/s3test"}},
	{"test/limits", nil, []string{"test/lab", "test/s3test"}},
	{"test/hostile", nil, []string{"envelope", "test/lab", "test/s3test"}},
	{"test/clients", nil, []string{"test/lab", "test/s3test"}},
	{"test/everyclient", nil, []string{"test/lab", "test/s3test"}},
	{"test/attacks", nil, []string{"test/lab", "test/s3test"}},
	{"test/multipart", nil, []string{"test/lab", "test/s3test"}},
	{"test/objects", nil, []string{"test/lab", "test/s3test"}},
	{"test/running", nil, []string{"kms", "kms/localfile", "test/lab", "test/s3test"}},
	{"test/keys", nil, []string{"envelope", "kms", "kms/awskms/fakekms", "kms/localfile", "test/lab", "test/s3test"}},
	{"test/legacy", nil, []string{"test/lab", "test/s3test"}},
	{"test/commands", nil, []string{"envelope", "kms", "kms/awskms/fakekms", "kms/localfile", "test/lab", "test/s3test"}},
	{"test/random", nil, []string{"test/lab", "test/s3test"}},
	{"test/bench", nil, []string{"test/lab"}},
	{"test/lab", []string{"kms/awskms/fakekms"}, nil},
	{"test/report", nil, nil},
	{"test/s3test", []string{"envelope", "kms", "kms/localfile", "test/lab"}, nil},
	{"test/servers", []string{"test/lab"}, nil},
	{"test/servers/gateway", nil, nil},
}

const module = "github.com/s3proxy/s3proxy/"

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports " "}}:{{join .TestImports " "}} {{join .XTestImports " "}}`, module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	unseen := map[string]bool{}
	for _, row := range mayImport {
		unseen[row.folder] = true
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		folder := strings.TrimPrefix(fields[0], module)
		if !unseen[folder] {
			t.Errorf("%s is in no row of the table of arrows", folder)
			continue
		}
		delete(unseen, folder)
		row := mayImport[slices.IndexFunc(mayImport, func(a arrows) bool { return a.folder == folder })]
		refuseImports(t, folder, fields[1], row.imports)
		refuseImports(t, folder+"'s tests", fields[2], slices.Concat(row.imports, row.tests, []string{folder}))
		for _, ofTests := range []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine"} {
			if strings.Contains(fields[1], ofTests) {
				t.Errorf("%s imports %s, which is for tests", folder, ofTests)
			}
		}
		// The embedded store's gateway is known to the command, and to the one that tests run.
		if folder != "cmd/s3proxy" && folder != "test/servers/gateway" && strings.Contains(fields[1], "github.com/versity/versitygw") {
			t.Errorf("%s imports versitygw", folder)
		}
	}
	for folder := range unseen {
		t.Errorf("%s has a row in the table of arrows and is no package", folder)
	}
}

func refuseImports(t *testing.T, importer, list string, allowed []string) {
	for _, imported := range strings.Fields(list) {
		if name, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(allowed, name) {
			t.Errorf("%s imports %s", importer, name)
		}
	}
}

// What is below proxy/ knows nothing of the request that it serves, s3err's
// writer of error documents aside.
func TestOnlyTheHTTPPackageAnswersRequests(t *testing.T) {
	err := filepath.WalkDir("../proxy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == "../proxy" || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "../proxy/s3err/write.go" {
			return err
		}
		source, err := os.ReadFile(path)
		if bytes.Contains(source, []byte("http.ResponseWriter")) {
			t.Errorf("%s knows an http.ResponseWriter", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// encoding/xml alone takes as much memory and stack as a store's document asks for.
func TestXMLIsReadWithinBoundsEverywhere(t *testing.T) {
	unbounded := regexp.MustCompile(`\bxml\.(NewDecoder|NewTokenDecoder|Unmarshal)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../test/") || strings.HasPrefix(path, "../proxy/s3xml/") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, call := range unbounded.FindAll(source, -1) {
			t.Errorf("%s calls %s) and not s3xml", path, call)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
