package test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mayImport are the arrows between the packages: what each may import of the
// project. A folder's line holds for what is below it.
var mayImport = []struct {
	folder  string
	imports []string
}{
	{"envelope", []string{"envelope"}},
	{"kms/kmstest", []string{"kms"}},
	{"kms/awskms", []string{"kms"}},
	{"kms/localfile", []string{"kms"}},
	{"kms/vault", []string{"kms"}},
	{"kms", []string{"envelope"}},
	{"proxy/s3err", []string{"proxy/s3xml"}},
	{"proxy/s3name", nil},
	{"proxy/s3xml", nil},
	{"proxy/sigv4", []string{"proxy/s3err"}},
	{"proxy/upstream", []string{"proxy/sigv4", "proxy/s3err", "proxy/s3name"}},
	{"proxy", []string{"envelope", "kms", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4", "proxy/upstream"}},
	{"cmd/s3proxy/internal/config", []string{"kms/localfile", "kms/vault", "proxy"}},
	{"cmd/s3proxy", []string{"cmd/s3proxy/internal/config", "envelope", "kms", "kms/awskms", "kms/localfile", "kms/vault", "proxy", "proxy/s3err", "proxy/s3name", "proxy/s3xml", "proxy/sigv4", "proxy/upstream"}},
	{"test", []string{"test/lab"}},
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	const module = "github.com/s3proxy/s3proxy/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		importer, list, _ := strings.Cut(strings.TrimSpace(line), ":")
		importer = strings.TrimPrefix(importer, module)
		allowed, known := []string(nil), false
		for _, row := range mayImport {
			if importer == row.folder || strings.HasPrefix(importer, row.folder+"/") {
				allowed, known = row.imports, true
				break
			}
		}
		if !known {
			t.Errorf("%s is in no row of the table of arrows", importer)
		}
		for _, imported := range strings.Fields(list) {
			name, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			ok := false
			for _, a := range allowed {
				ok = ok || name == a || a == importer && strings.HasPrefix(name, a+"/")
			}
			if !ok {
				t.Errorf("%s imports %s", importer, name)
			}
		}
		for _, ofTests := range []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine"} {
			if strings.Contains(list, ofTests) {
				t.Errorf("%s imports %s, which is for tests", importer, ofTests)
			}
		}
		// The embedded store's gateway is known to one file of the command only.
		if importer != "cmd/s3proxy" && strings.Contains(list, "github.com/versity/versitygw") {
			t.Errorf("%s imports versitygw", importer)
		}
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
