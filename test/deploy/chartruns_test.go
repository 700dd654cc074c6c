package deploy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

func TestWhatTheChartDeploysServesAndItsJobRuns(t *testing.T) {
	t.Parallel()
	store := lab.SharedVersitygw(t)
	rendered, err := render(t, "keyset", "--set", "config.upstream="+store.URL)
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
