package deploy

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// composed is what a test looks at of a file for docker compose.
type composed struct {
	Services map[string]struct {
		Environment map[string]string
		Entrypoint  []string
		Command     []string
		Build       struct{ Context, Dockerfile string }
		Ports       []struct {
			Target int
			HostIP string `json:"host_ip"`
		}
		ReadOnly bool `json:"read_only"`
		Tmpfs    []string
	}
}

func TestTheProxyOfTheComposeFileServesWithMinIOAndVault(t *testing.T) {
	t.Parallel()
	file := lab.Path(t, "deploy/examples/compose.yaml")
	var c composed
	if err := json.Unmarshal([]byte(lab.MustRun(t, lab.Env(), lab.Compose(t), file)), &c); err != nil {
		t.Fatal(err)
	}
	service := c.Services["s3proxy"]
	if _, err := os.Stat(service.Build.Context + "/" + service.Build.Dockerfile); err != nil || !service.ReadOnly || len(service.Ports) != 1 || service.Ports[0].Target != 8080 || service.Ports[0].HostIP != "127.0.0.1" {
		t.Errorf("the service is built by %v (%v), read-only %v, with the ports %v", service.Build, err, service.ReadOnly, service.Ports)
	}
	store, vault := c.Services["minio"].Environment, c.Services["vault"]
	if store["MINIO_ROOT_USER"] != service.Environment["AWS_ACCESS_KEY_ID"] || store["MINIO_ROOT_PASSWORD"] != service.Environment["AWS_SECRET_ACCESS_KEY"] {
		t.Error("the proxy's credentials are not MinIO's")
	}
	if token := service.Environment["VAULT_TOKEN"]; !slices.Contains(vault.Command, "-dev-root-token-id="+token) {
		t.Errorf("Vault is started by %q, and the proxy has the token %s", vault.Command, token)
	}
	if mount, key, _ := strings.Cut(strings.TrimPrefix(service.Environment["S3PROXY_KMS"], "vault://"), "/"); !slices.Contains(c.Services["key"].Entrypoint, "vault secrets enable "+mount+" && vault write -f "+mount+"/keys/"+key) {
		t.Errorf("the key %s/%s is not the one that is made by %q", mount, key, c.Services["key"].Entrypoint)
	}
	// The servers of the laboratory stand for the images of others, under names and secrets of their own.
	minio, real, address := lab.SharedMinIO(t), lab.NewVault(t), lab.FreeAddress(t)
	real.CreateKey(t, "photos")
	env := maps.Clone(service.Environment)
	maps.Copy(env, map[string]string{
		"S3PROXY_UPSTREAM": minio.URL, "AWS_ACCESS_KEY_ID": minio.AccessKey, "AWS_SECRET_ACCESS_KEY": minio.SecretKey,
		"VAULT_ADDR": real.URL, "VAULT_TOKEN": real.RootToken, "S3PROXY_LISTEN": address,
	})
	run := container{image: theImage(t).copyOf(t)}
	for _, folder := range service.Tmpfs {
		run.mounts = append(run.mounts, mount{to: folder})
	}
	p := run.with(env).start(t, "s3proxy", slices.Concat(run.entrypoint, run.cmd)...)
	p.AwaitListening(t, address)
	at := lab.S3{URL: "http://" + address, AccessKey: env["S3PROXY_ACCESS_KEY_ID"], SecretKey: env["S3PROXY_SECRET_ACCESS_KEY"]}
	s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 100_000)
}

func TestTheSidecarServesTheApplicationBesideIt(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(lab.Path(t, "deploy/examples/sidecar.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var pods []struct{ Spec podSpec }
	if err := json.Unmarshal([]byte(asJSON(t, string(text))), &pods); err != nil || len(pods) != 1 {
		t.Fatalf("%d pods (%v)", len(pods), err)
	}
	spec := pods[0].Spec
	store := lab.SharedVersitygw(t)
	_, keyset := lab.NewKeyset(t)
	raw, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	beside, application := spec.InitContainers[0], spec.Containers[0]
	spec.Containers = spec.InitContainers
	c := pod(t, spec, nil, map[string]map[string]string{
		"s3proxy-store":  {"AWS_ACCESS_KEY_ID": store.AccessKey, "AWS_SECRET_ACCESS_KEY": store.SecretKey},
		"s3proxy-client": {"S3PROXY_ACCESS_KEY_ID": lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY": lab.ClientSecretKey},
		"s3proxy-keyset": {"keyset.json": string(raw)},
	})
	var where string
	for _, e := range application.Env {
		if e.Name == "AWS_ENDPOINT_URL_S3" {
			where = strings.TrimPrefix(e.Value, "http://")
		}
	}
	address, metrics := lab.FreeAddress(t), lab.FreeAddress(t)
	args := atAddresses(beside.Args, map[string]string{where: address, "0.0.0.0:9090": metrics})
	if !slices.Contains(args, address) {
		t.Fatalf("the proxy does not listen where the application looks for it, %s: %q", where, beside.Args)
	}
	p := c.with(map[string]string{"S3PROXY_UPSTREAM": store.URL, "S3PROXY_UPSTREAM_REGION": "us-east-1"}).start(t, "s3proxy", slices.Concat(c.entrypoint, args)...)
	p.AwaitListening(t, address)
	if status, _, body := s3test.Fetch(t, http.MethodGet, "http://"+metrics+beside.StartupProbe.HTTPGet.Path, "", nil); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
	s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 100_000)
}
