package deploy

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestTheSameSourceInAnotherFolderBuildsToTheSameProgram(t *testing.T) {
	t.Parallel()
	i := theImage(t)
	folder := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range buildContext(t) {
		lab.MustRun(t, lab.Env(), "cp", "-a", lab.Path(t, name), folder)
	}
	again := filepath.Join(t.TempDir(), "s3proxy")
	cmd := exec.Command("go", "build", "-tags", withoutStore, "-trimpath", "-ldflags", "-s -w", "-o", again, "./cmd/s3proxy")
	cmd.Dir, cmd.Env = folder, lab.Env("CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if one, two := hashOf(t, i.program()), hashOf(t, again); one != two {
		t.Errorf("%x in the image, %x elsewhere", one, two)
	}
}

func hashOf(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}

// allowed are licences that ask for no more than their text to go along or, MPL-2.0, for the
// source of their own files.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MIT", "MPL-2.0"}

// either are modules with a choice of licences, of which the bill of materials names one.
var either = map[string]string{
	"kernel.org/pub/linux/libs/security/libcap/psx": "GPL-2.0-or-later", // or BSD-3-Clause
}

func TestTheBillOfMaterialsNamesEachModuleAndALicenceThatIsAllowed(t *testing.T) {
	t.Parallel()
	lister, program, list := lab.CycloneDX(t), lab.S3proxy(t), filepath.Join(t.TempDir(), "s3proxy.cdx.json")
	// All modules are here, and were checked when they came; without a version it would ask for this one, too.
	lab.MustRun(t, lab.Env("GOPROXY=off", "GONOSUMDB=*"), lister, "bin", "-json", "-licenses", "-version", "v0.0.0", "-output", list, program)
	raw, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	type license struct{ License struct{ ID, Name string } }
	var bill struct {
		Components []struct {
			Name, Version string
			Licenses      []license
			Evidence      struct{ Licenses []license }
		}
	}
	if err := json.Unmarshal(raw, &bill); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, c := range bill.Components {
		versions[c.Name] = c.Version
		found := append(c.Licenses, c.Evidence.Licenses...)
		if len(found) == 0 {
			t.Errorf("%s has no licence", c.Name)
		}
		for _, l := range found {
			if id := l.License.ID; !slices.Contains(allowed, id) && either[c.Name] != id {
				t.Errorf("%s has the licence %q %q", c.Name, id, l.License.Name)
			}
		}
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range info.Deps {
		if versions[module.Path] != module.Version {
			t.Errorf("%s is %s in the bill, and %s in the program", module.Path, versions[module.Path], module.Version)
		}
	}
}
