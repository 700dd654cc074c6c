package deploy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestTheServiceManagerHearsThatTheProxyServesAndThatItStops(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	p := lab.Launch(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Env: []string{"NOTIFY_SOCKET=" + socket}})
	wantState(t, manager, "READY=1")
	if !lab.Listens(p.Address) {
		t.Error("it was ready before it listened")
	}
	p.Term()
	wantState(t, manager, "STOPPING=1")
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 0 {
		t.Errorf("exit code %d (ended: %v)\n%s", code, ended, p.Log())
	}
}

func wantState(t *testing.T, manager *net.UnixConn, want string) {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(lab.AnswerWithin)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 1000)
	n, err := manager.Read(message)
	if err != nil || string(message[:n]) != want {
		t.Fatalf("the service manager was told %q (%v), want %s", message[:n], err, want)
	}
}

// withUnit gives a system's root with the proxy, its unit and its user, and the user's ids.
func withUnit(t *testing.T) (i image, user string) {
	t.Helper()
	i = theImage(t).copyOf(t)
	for from, to := range map[string]string{
		lab.Path(t, "deploy/systemd/s3proxy.service"):  "etc/systemd/system/s3proxy.service",
		lab.Path(t, "deploy/systemd/s3proxy.sysusers"): "usr/lib/sysusers.d/s3proxy.conf",
		"/usr/lib/systemd/system":                      "usr/lib/systemd/system",
		lab.Need(t, "kill"):                            "bin/kill",
	} {
		at := filepath.Join(i.root, to)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		lab.MustRun(t, lab.Env(), "cp", "-a", from, at)
	}
	lab.MustRun(t, lab.Env(), lab.Need(t, "systemd-sysusers"), "--root="+i.root)
	passwd, err := os.ReadFile(filepath.Join(i.root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(line, ":"); f[0] == setting(t, "User") {
			return i, f[2] + ":" + f[3]
		}
	}
	t.Fatalf("there is no user %s:\n%s", setting(t, "User"), passwd)
	return i, ""
}

// setting gives the value of a setting in the unit.
func setting(t *testing.T, name string) string {
	t.Helper()
	unit, err := os.ReadFile(lab.Path(t, "deploy/systemd/s3proxy.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(unit), "\n"+name+"=")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func TestTheUnitIsValidAndHardened(t *testing.T) {
	t.Parallel()
	i, _ := withUnit(t)
	analyze := lab.Need(t, "systemd-analyze")
	// It ignores what it does not know, and says so.
	if out, err := lab.RunBoth(t, lab.Env(), analyze, "verify", "--man=no", "--root="+i.root, "s3proxy.service"); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	const threshold = "20" // an exposure of 2.0
	if out, err := lab.RunBoth(t, lab.Env(), analyze, "security", "--offline=true", "--threshold="+threshold, lab.Path(t, "deploy/systemd/s3proxy.service")); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

func TestTheUnitStartsAProxyWithFilesThatBelongToItsGroup(t *testing.T) {
	t.Parallel()
	i, user := withUnit(t)
	store, address := lab.SharedVersitygw(t), lab.FreeAddress(t)
	_, path := lab.NewKeyset(t)
	keyset, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(i.root, "etc", "s3proxy")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	var gid int
	if _, err := fmt.Sscanf(user, "%d:%d", new(int), &gid); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"keyset.json": string(keyset),
		"config.yaml": fmt.Sprintf("listen: %s\nadmin-listen: \"\"\nupstream: %s\nkms: localfile:///etc/s3proxy/keyset.json\n", address, store.URL),
	} {
		at := filepath.Join(etc, name)
		if err := os.WriteFile(at, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(at, 0, gid); err != nil {
			t.Fatal(err)
		}
	}
	i.user, i.env = user, nil
	environment := map[string]string{ // of EnvironmentFile
		"AWS_ACCESS_KEY_ID": store.AccessKey, "AWS_SECRET_ACCESS_KEY": store.SecretKey,
		"S3PROXY_ACCESS_KEY_ID": lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY": lab.ClientSecretKey,
	}
	p := container{image: i, mounts: []mount{{to: "/tmp"}}}.with(environment).start(t, "s3proxy", strings.Fields(setting(t, "ExecStart"))...)
	p.AwaitListening(t, address)
	at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
	s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 100_000)
}
