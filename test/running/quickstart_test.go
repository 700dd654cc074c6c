package running

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// mustFail matches a command that the page expects to fail; set -e ignores these.
var mustFail = regexp.MustCompile(`(?m)^! (.*)$`)

// The commands are one script, as a reader enters them in one shell.
func TestTheQuickstartWorksAsItIsWritten(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	script := strings.Join(lab.DocBlocks(t, "QUICKSTART.md", "sh"), "\n")
	script = mustFail.ReplaceAllString(script, "if $1; then exit 1; fi")
	bash, curl, aws := lab.Need(t, "bash"), lab.Need(t, "curl"), lab.NeedAWS(t, lab.Newest)
	// Not the shared stores: other tests may use the name of the page's bucket.
	for name, start := range map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.Versitygw, lab.OnMinIO: lab.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, home, listen := start(t), t.TempDir(), lab.FreeAddress(t)
			bin := filepath.Join(home, "bin")
			if err := os.Mkdir(bin, 0o755); err != nil {
				t.Fatal(err)
			}
			for program, at := range map[string]string{"s3proxy": lab.S3proxy(t), "aws": aws, "curl": curl} {
				if err := os.Symlink(at, filepath.Join(bin, program)); err != nil {
					t.Fatal(err)
				}
			}
			here := strings.NewReplacer("127.0.0.1:8080", listen, "127.0.0.1:9090", lab.FreeAddress(t), "https://s3.example.com", store.URL,
				"the-stores-access-key", store.AccessKey, "the-stores-secret-key", store.SecretKey)
			env := lab.Env("HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"), "S3PROXY_LISTEN="+listen, "S3PROXY_ADMIN_LISTEN=")
			out, err := lab.RunBoth(t, env, bash, "-c", "set -euo pipefail; trap 'kill ${PROXY:-} 2>/dev/null || true' EXIT; cd \"$HOME\"\n"+here.Replace(script))
			if err != nil {
				log, _ := os.ReadFile(filepath.Join(home, "s3proxy.log"))
				t.Fatalf("%v\n%s\n%s", err, out, log)
			}
			if strings.Count(out, "This is a cat.") != 2 || !strings.Contains(out, "This access key may only read.") ||
				!strings.Contains(out, `operation="PutObject"`) || !strings.Contains(out, "op=PutObject") {
				t.Errorf("it printed\n%s", out)
			}
		})
	}
}
