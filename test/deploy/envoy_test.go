package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Envoy itself cannot be had as a package or a module, so that its example is only read: by its own
// schema and rules. Each setting that S3 needs must be there.
func TestTheExampleForEnvoyIsOneByEnvoysOwnSchema(t *testing.T) {
	t.Parallel()
	reader, path := lab.Envoy(t), lab.Path(t, "deploy/examples/envoy.yaml")
	lab.MustRun(t, lab.Env(), reader, path)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{
		"normalize_path: false", "merge_slashes: false", "path_with_escaped_slashes_action: KEEP_UNCHANGED", "proxy_100_continue: true",
		"request_timeout: 0s", "timeout: 0s", "headers_with_underscores_action: ALLOW",
	} {
		if !strings.Contains(string(raw), setting) {
			t.Errorf("no %s", setting)
		}
	}
	for what, change := range map[string][2]string{
		"a name that Envoy does not know": {"normalize_path", "normalise_path"},
		"a value that it does not know":   {"KEEP_UNCHANGED", "KEEP"},
		"a rule that is broken":           {"stat_prefix: s3", "stat_prefix: ''"},
		"a type that it does not know":    {"router.v3.Router", "router.v3.Rooter"},
	} {
		wrong := filepath.Join(t.TempDir(), "envoy.yaml")
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(raw), change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := lab.Run(t, lab.Env(), reader, wrong); err == nil {
			t.Errorf("%s is taken: %s", what, out)
		}
	}
}
