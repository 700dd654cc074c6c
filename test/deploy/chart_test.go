package deploy

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

var update = flag.Bool("update", false, "write testdata anew")

// render gives what a release of the chart is, with a file of values in deploy/chart/ci.
func render(t *testing.T, values string, flags ...string) (manifests string, err error) {
	t.Helper()
	args := []string{"template", "prod", lab.Path(t, "deploy/chart"), "--namespace", "storage", "--kube-version", "1.34.0"}
	if values != "" {
		args = append(args, "--values", valuesFile(t, values))
	}
	return lab.Run(t, lab.Env(), lab.Helm(t), slices.Concat(args, flags)...)
}

func valuesFile(t *testing.T, name string) string {
	return lab.Path(t, "deploy/chart/ci", name+"-values.yaml")
}

// asJSON reads manifests strictly: a field that Kubernetes does not know is an error.
func asJSON(t *testing.T, manifests string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(path, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	return lab.MustRun(t, lab.Env(), lab.Manifests(t), path)
}

func TestTheChartMakesTheManifestsInTestdata(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keyset", "aws", "vault", "tls"} {
		if out, err := lab.RunBoth(t, lab.Env(), lab.Helm(t), "lint", "--strict", "--kube-version", "1.34.0", lab.Path(t, "deploy/chart"), "--values", valuesFile(t, name)); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		got, err := render(t, name)
		if err != nil {
			t.Fatal(err)
		}
		asJSON(t, got)
		golden := filepath.Join("testdata", "chart", name+".yaml")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s is other than the chart makes it (%v): go test ./test/deploy -run Chart -update, and look at the difference\n%s", golden, err, got)
		}
	}
}

func TestTheChartRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, flag, want string }{
		{"", "image.repository=r", "config.upstream"},
		{"keyset", "config.kms=null", "config.kms"},
		{"keyset", "image.repository=", "image.repository"},
		{"keyset", "config.listen=:80", "config.listen is the chart's"},
		{"keyset", "config.tls-cert=/tmp/cert.pem", "config.tls-cert is the chart's"},
		{"keyset", "tls.clientCASecretName=ca", "tls.secretName"},
		{"tls", "tls.clientAuth=maybe", "clientAuth"},
		{"keyset", "replica=3", "replica"},
		{"keyset", "fullnameOverride=s3proxy", "fullnameOverride"},
		{"keyset", "vault.address=https://vault", "vault.role"},
	} {
		if out, err := render(t, c.values, "--set", c.flag); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: no word of %q in %v\n%.200s", c.values, c.flag, c.want, err, out)
		}
	}
}

func TestAManifestWithAFieldThatKubernetesDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	for _, manifest := range []string{
		"apiVersion: v1\nkind: Service\nspec: {port: 80}\n",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: three}\n",
		"apiVersion: apps/v2\nkind: Deployment\n",
	} {
		path := lab.PrivateFile(t, manifest)
		if out, err := lab.Run(t, lab.Env(), lab.Manifests(t), path); err == nil {
			t.Errorf("it was read:\n%s%s", manifest, out)
		}
	}
}
