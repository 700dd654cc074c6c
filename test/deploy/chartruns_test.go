package deploy

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// object is what a test looks at of a manifest of any kind.
type object struct {
	Kind string
	Data map[string]string
	Spec struct {
		Template    podTemplate
		JobTemplate struct {
			Spec struct{ Template podTemplate }
		}
	}
}

type podTemplate struct{ Spec podSpec }

type podSpec struct {
	EnableServiceLinks         *bool
	SecurityContext            struct{ RunAsUser, RunAsGroup, FSGroup int }
	Volumes                    []volume
	InitContainers, Containers []podContainer
}

type podContainer struct {
	Args                                        []string
	Env                                         []struct{ Name, Value string }
	EnvFrom                                     []struct{ SecretRef struct{ Name string } }
	VolumeMounts                                []struct{ Name, MountPath string }
	SecurityContext                             struct{ ReadOnlyRootFilesystem bool }
	StartupProbe, ReadinessProbe, LivenessProbe struct{ HTTPGet struct{ Path string } }
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string }
	EmptyDir  *struct{}
	Secret    *struct {
		SecretName  string
		DefaultMode os.FileMode
	}
}

// pod does what a kubelet does for the first container of a pod: Secrets and ConfigMaps as files of the pod's
// group, variables, user, groups.
func pod(t *testing.T, spec podSpec, files, secrets map[string]map[string]string) container {
	t.Helper()
	one, as := spec.Containers[0], spec.SecurityContext
	if !one.SecurityContext.ReadOnlyRootFilesystem || spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
		t.Error("its root can be written to, or the kubelet sets variables for each Service")
	}
	c := container{image: theImage(t).copyOf(t), groups: []string{fmt.Sprint(as.FSGroup)}}
	c.user = fmt.Sprintf("%d:%d", as.RunAsUser, as.RunAsGroup)
	env := map[string]string{}
	for _, from := range one.EnvFrom {
		if secrets[from.SecretRef.Name] == nil {
			t.Fatalf("there is no Secret %q", from.SecretRef.Name)
		}
		for name, value := range secrets[from.SecretRef.Name] {
			env[name] = value
		}
	}
	for _, e := range one.Env {
		env[e.Name] = e.Value
	}
	for _, at := range one.VolumeMounts {
		v := spec.Volumes[slices.IndexFunc(spec.Volumes, func(v volume) bool { return v.Name == at.Name })]
		if v.EmptyDir != nil {
			c.mounts = append(c.mounts, mount{to: at.MountPath})
			continue
		}
		content, mode := map[string]string(nil), os.FileMode(0o644)
		if v.Secret != nil {
			content, mode = secrets[v.Secret.SecretName], v.Secret.DefaultMode
		} else if v.ConfigMap != nil {
			content = files[v.ConfigMap.Name]
		}
		if content == nil {
			t.Fatalf("nothing is known of the volume %q", v.Name)
		}
		folder := lab.PublicFolder(t)
		lab.MountSecret(t, folder, as.FSGroup, mode, content)
		c.mounts = append(c.mounts, mount{from: folder, to: at.MountPath})
	}
	return c.with(env)
}

// atAddresses gives a container's arguments with other addresses: these pods have no network of
// their own.
func atAddresses(args []string, other map[string]string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		args[i] = cmp.Or(other[arg], arg)
	}
	return args
}

// release is what a release of the chart is made of, and what its pods find in the cluster.
type release struct {
	of             func(kind string) object
	files, secrets map[string]map[string]string
}

// released renders the chart before a store, with values that keep keyset and clients in Secrets.
func released(t *testing.T, values string, store *lab.Store) release {
	t.Helper()
	rendered, err := render(t, values, "--set", "config.upstream="+store.URL)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	if err := json.Unmarshal([]byte(asJSON(t, rendered)), &all); err != nil {
		t.Fatal(err)
	}
	of := func(kind string) object {
		i := slices.IndexFunc(all, func(o object) bool { return o.Kind == kind })
		if i < 0 {
			t.Fatalf("there is no %s in\n%s", kind, rendered)
		}
		return all[i]
	}
	_, keyset := lab.NewKeyset(t)
	raw, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]map[string]string{"prod-encrypting-s3-gateway": of("ConfigMap").Data}
	secrets := map[string]map[string]string{
		"s3proxy-store":  {"AWS_ACCESS_KEY_ID": store.AccessKey, "AWS_SECRET_ACCESS_KEY": store.SecretKey},
		"s3proxy-keyset": {"keyset.json": string(raw)},
		"s3proxy-clients": {
			"clients.yaml": "- {access-key-id: " + lab.ClientAccessKey + ", secret-access-key-file: /etc/s3proxy/clients/secret}\n",
			"secret":       lab.ClientSecretKey + "\n",
		},
	}
	return release{of, files, secrets}
}

func TestWhatTheChartDeploysServesAndItsJobRuns(t *testing.T) {
	t.Parallel()
	r := released(t, "keyset", lab.SharedVersitygw(t))
	of, files, secrets := r.of, r.files, r.secrets
	template := of("Deployment").Spec.Template
	c := pod(t, template.Spec, files, secrets)
	one, address, metrics := template.Spec.Containers[0], lab.FreeAddress(t), lab.FreeAddress(t)
	args := atAddresses(one.Args, map[string]string{"0.0.0.0:8080": address, "0.0.0.0:9090": metrics})
	p := c.start(t, "proxy", slices.Concat(c.entrypoint, args)...)
	p.AwaitListening(t, address)
	wantUser(t, p, c.user, template.Spec.SecurityContext.FSGroup)
	for _, path := range []string{one.ReadinessProbe.HTTPGet.Path, one.LivenessProbe.HTTPGet.Path, "/metrics"} {
		if status, _, body := s3test.Fetch(t, http.MethodGet, "http://"+metrics+path, "", nil); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
	bucket := s3test.NewBucket(t, at)
	s3test.RoundTrip(t, at, bucket, 100_000)

	job := of("CronJob").Spec.JobTemplate.Spec.Template
	run := pod(t, job.Spec, files, secrets)
	ran := run.start(t, "gc", slices.Concat(run.entrypoint, job.Spec.Containers[0].Args)...)
	if code, ended := ran.Wait(lab.AnswerWithin); !ended || code != 0 || !strings.Contains(ran.Log(), "s3://"+bucket+": state of 0 uploads removed") {
		t.Errorf("the job: exit code %d (ended: %v)\n%s", code, ended, ran.Log())
	}
	p.Term()
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 0 {
		t.Errorf("exit code %d (ended: %v)\n%s", code, ended, p.Log())
	}
	if left, err := os.ReadDir(filepath.Join(c.root, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("in its root is %v (%v)", left, err)
	}
}

func TestThePodsOfTheChartSpeakTLSByASecretAndTakeANewCertificate(t *testing.T) {
	t.Parallel()
	r := released(t, "tls", lab.SharedVersitygw(t))
	servers, clients, dir := lab.NewAuthority(t), lab.NewAuthority(t), t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	issue := func() map[string]string {
		servers.Issue(t, "storage.test", cert, key)
		return map[string]string{"tls.crt": content(t, cert), "tls.key": content(t, key), "ca.crt": content(t, servers.File)}
	}
	r.secrets["storage-tls"], r.secrets["storage-clients-ca"] = issue(), map[string]string{"ca.crt": content(t, clients.File)}
	r.secrets["s3proxy-clients"]["clients.yaml"] += "- {access-key-id: shop, certificate: shop}\n"

	template := r.of("Deployment").Spec.Template
	c, address, metrics := pod(t, template.Spec, r.files, r.secrets), lab.FreeAddress(t), lab.FreeAddress(t)
	args := atAddresses(template.Spec.Containers[0].Args, map[string]string{"0.0.0.0:8080": address, "0.0.0.0:9090": metrics})
	p := c.start(t, "proxy", slices.Concat(c.entrypoint, args)...)
	p.AwaitListening(t, address)

	shopCert, shopKey := filepath.Join(dir, "shop.crt"), filepath.Join(dir, "shop.key")
	clients.IssueClient(t, "shop", nil, shopCert, shopKey)
	shop, err := tls.LoadX509KeyPair(shopCert, shopKey)
	if err != nil {
		t.Fatal(err)
	}
	// Each call is a connection of its own: it shows the certificate that the proxy has by then.
	get := func(shown ...tls.Certificate) (status int, serial string) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: servers.Pool, Certificates: shown}, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport, Timeout: lab.AnswerWithin}).Get("https://" + address + "/")
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Log())
		}
		resp.Body.Close()
		return resp.StatusCode, resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	if status, _ := get(); status != http.StatusForbidden {
		t.Errorf("a client that neither signs nor shows a certificate got %d", status)
	}
	status, first := get(shop)
	if status != http.StatusOK {
		t.Errorf("a client with a certificate got %d", status)
	}

	// As the kubelet does when cert-manager has renewed the Secret.
	i := slices.IndexFunc(c.mounts, func(m mount) bool { return m.to == "/etc/s3proxy/tls" })
	lab.MountSecret(t, c.mounts[i].from, template.Spec.SecurityContext.FSGroup, 0o440, issue())
	for by := time.Now().Add(lab.AnswerWithin); ; {
		if _, serial := get(); serial != first {
			break
		}
		if time.Now().After(by) {
			t.Fatalf("new connections get the old certificate\n%s", p.Log())
		}
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
