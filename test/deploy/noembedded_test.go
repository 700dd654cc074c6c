package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// withoutStore is the tag of images and packages.
const withoutStore = "noembedded"

func TestTheBuildForImagesHasNothingOfTheEmbeddedStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tags string
		want bool
	}{{"", true}, {withoutStore, false}} {
		cmd := exec.Command("go", "list", "-deps", "-tags", c.tags, "./cmd/s3proxy")
		cmd.Dir = lab.Path(t)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(out), "github.com/versity/versitygw"); got != c.want {
			t.Errorf("with the tags %q: imports versitygw: %v", c.tags, got)
		}
	}
}

func TestABuildWithoutTheEmbeddedStoreIsSmallAndAsksForAStore(t *testing.T) {
	t.Parallel()
	lab.TakesLong(t)
	program := filepath.Join(t.TempDir(), "s3proxy")
	cmd := exec.Command("go", "build", "-tags", withoutStore, "-ldflags", "-s -w", "-o", program, "./cmd/s3proxy")
	cmd.Dir = lab.Path(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", info.Size())
	if info.Size() > 32<<20 {
		t.Errorf("it has %d bytes", info.Size())
	}
	home := t.TempDir()
	p := lab.Start(t, "s3proxy", program, []string{"serve", "--listen", lab.FreeAddress(t)}, lab.Env("HOME="+home))
	code, ended := p.Wait(lab.AnswerWithin)
	if !ended || code != 2 || !strings.Contains(p.Log(), "--upstream") || !strings.Contains(p.Log(), "--kms") {
		t.Errorf("exit code %d (ended: %v)\n%s", code, ended, p.Log())
	}
	if made, err := os.ReadDir(home); err != nil || len(made) > 0 {
		t.Errorf("it made %v (%v)", made, err)
	}
	if out := lab.MustRun(t, lab.Env("HOME="+home), program, "serve", "--help"); !strings.Contains(out, "This build has no embedded store") {
		t.Errorf("its help does not say that it has no embedded store:\n%s", out)
	}
}
