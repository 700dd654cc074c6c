package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// What the operator of a keyset file sees and does.

const passphrase = "correct horse battery staple"

// keys runs a keys command on the keyset at uri.
func keys(t *testing.T, uri string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(lab.S3proxy(t), append(append([]string{"keys"}, args...), "--kms", uri)...)
	cmd.Env = lab.Env(append([]string{"HOME=" + t.TempDir()}, env...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustKeys(t *testing.T, uri string, env []string, args ...string) string {
	t.Helper()
	out, err := keys(t, uri, env, args...)
	if err != nil {
		t.Fatalf("keys %q: %v: %s", args, err, out)
	}
	return out
}

type listedKey struct {
	Version, Status string
	Primary         bool
	Made            time.Time
}

func listKeys(t *testing.T, uri string, env ...string) (list []listedKey) {
	t.Helper()
	out := mustKeys(t, uri, env, "list", "--json")
	for line := range strings.Lines(out) {
		var one listedKey
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		list = append(list, one)
	}
	return list
}

func TestAProxyDoesNotStartWithAKeysetFileThatIsNotGood(t *testing.T) {
	bare, barePath := lab.NewKeyset(t)
	whole, err := os.ReadFile(barePath)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"S3PROXY_KEYFILE_PASSPHRASE=" + passphrase}
	encrypted := "localfile://" + filepath.Join(t.TempDir(), "encrypted.json")
	mustKeys(t, encrypted, env, "create")
	for what, c := range map[string]struct {
		uri     string
		content []byte
		mode    os.FileMode
		env     string
		says    []string
	}{
		"mode 0644":                 {"", whole, 0o644, "", []string{"mode 0644", "chmod 600"}},
		"cut in half":               {"", whole[:len(whole)/2], 0o600, "", []string{"not a complete and valid", "backup"}},
		"a wrong passphrase":        {encrypted, nil, 0, "S3PROXY_KEYFILE_PASSPHRASE=another", []string{"passphrase", "is wrong"}},
		"no passphrase":             {encrypted, nil, 0, "", []string{"is encrypted", "set S3PROXY_KEYFILE_PASSPHRASE"}},
		"a passphrase without need": {bare, nil, 0, env[0], []string{"not encrypted", "s3proxy keys passphrase"}},
		"a passphrase file that is not there": {encrypted, nil, 0, "S3PROXY_KEYFILE_PASSPHRASE_FILE=/nowhere/pass",
			[]string{"/nowhere/pass", "no such file"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			uri := c.uri
			if c.content != nil {
				path := filepath.Join(t.TempDir(), "keyset.json")
				if err := os.WriteFile(path, c.content, c.mode); err != nil {
					t.Fatal(err)
				}
				os.Chmod(path, c.mode) // regardless of the umask
				uri = "localfile://" + path
			}
			o := lab.ProxyOptions{Args: []string{"--kms", uri}, UpstreamURL: "http://127.0.0.1:1"}
			if c.env != "" {
				o.Env = []string{c.env}
			}
			lab.MustNotStart(t, o, true, append(c.says, strings.TrimPrefix(uri, "localfile://"))...)
		})
	}
}

func TestARunningProxyOutlivesABrokenKeysetFileAndSaysSo(t *testing.T) {
	uri, path := lab.NewKeyset(t)
	admin := lab.FreeAddress(t)
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--kms", uri, "--admin-listen", admin}})
	first, second := s3test.NewBucket(t, proxy.S3()), s3test.NewBucket(t, proxy.S3())
	s3test.RoundTrip(t, proxy.S3(), first, 1000)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	warns := func() bool {
		status, text := readyz(t, admin)
		return status == http.StatusOK && strings.Contains(text, "warning: ") && strings.Contains(text, "keyset")
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz warns", warns)
	s3test.MustGet(t, proxy.S3(), first, "k", s3test.Content(1000, 1000))
	s3test.RoundTrip(t, proxy.S3(), second, 1000) // needs a new window key
	if n := strings.Count(proxy.Log(), "keyset file is broken"); n != 1 || !strings.Contains(proxy.Log(), path) {
		t.Errorf("logged %d times:\n%s", n, proxy.Log())
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz is well again", func() bool { return !warns() })
}

// eventually waits a few seconds for a condition to become true.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("after a while it is still not true that %s", what)
}

func TestANewVersionIsUsedByRunningProxiesWithoutARestart(t *testing.T) {
	uri, _ := lab.NewKeyset(t)
	store := lab.SharedVersitygw(t)
	var proxies []*lab.ProxyProcess
	for range 2 {
		proxies = append(proxies, lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}}))
	}
	bucket := s3test.NewBucket(t, proxies[0].S3())
	s3test.RoundTrip(t, proxies[0].S3(), bucket, 1000)
	old := listKeys(t, uri)[0].Version
	mustKeys(t, uri, nil, "add")
	added := listKeys(t, uri)[1]
	if added.Primary || time.Since(added.Made) > time.Minute {
		t.Errorf("added: %+v", added)
	}
	mustKeys(t, uri, nil, "promote", added.Version)
	time.Sleep(1100 * time.Millisecond) // a proxy uses what it has read for at most a second
	other := s3test.NewBucket(t, proxies[0].S3())
	s3test.RoundTrip(t, proxies[0].S3(), other, 2000)
	if kek := s3test.RawGet(t, store.S3(), "/"+other+"/k").Meta["s3proxy-kek"]; kek != "localfile:#"+added.Version {
		t.Errorf("written under %s, not the new version %s", kek, added.Version)
	}
	s3test.MustGet(t, proxies[1].S3(), other, "k", s3test.Content(2000, 2000))
	s3test.MustGet(t, proxies[1].S3(), bucket, "k", s3test.Content(1000, 1000))

	// The old version is disabled and destroyed; what it opens is lost.
	if out, err := keys(t, uri, nil, "disable", added.Version); err == nil || !strings.Contains(out, "primary") {
		t.Errorf("the primary was disabled: %v: %s", err, out)
	}
	if out, err := keys(t, uri, nil, "destroy", old); err == nil || !strings.Contains(out, "--yes") {
		t.Errorf("destroyed without --yes: %v: %s", err, out)
	}
	mustKeys(t, uri, nil, "disable", old)
	fresh := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}})
	if a := s3test.Get(t, fresh.S3(), "/"+bucket+"/k"); a.Status != http.StatusInternalServerError {
		t.Errorf("with its version disabled: %v", a)
	}
	mustKeys(t, uri, nil, "enable", old)
	eventually(t, "the enabled version opens", func() bool { return s3test.Get(t, fresh.S3(), "/"+bucket+"/k").Status == http.StatusOK })
	mustKeys(t, uri, nil, "destroy", old, "--yes")
	if list := listKeys(t, uri); len(list) != 1 || list[0].Version != added.Version {
		t.Errorf("after destroy: %+v", list)
	}
}

func TestAStolenKeysetFileUnderAPassphraseIsOfNoUseAlone(t *testing.T) {
	lab.TakesLong(t)
	uri, path := lab.NewKeyset(t)
	store := lab.SharedVersitygw(t)
	plain := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}})
	bucket := s3test.NewBucket(t, plain.S3())
	s3test.RoundTrip(t, plain.S3(), bucket, 1000)

	env := []string{"S3PROXY_KEYFILE_PASSPHRASE=" + passphrase}
	if out, err := keys(t, uri, nil, "passphrase"); err == nil || !strings.Contains(out, "--new-file") {
		t.Errorf("without a terminal: %v: %s", err, out)
	}
	mustKeys(t, uri, env, "passphrase")
	if content, err := os.ReadFile(path); err != nil || bytes.Contains(content, []byte("keyData")) || !bytes.Contains(content, []byte(`"kdf":"argon2id","time":3,"memoryKiB":65536,"threads":4`)) {
		t.Errorf("%v: %s", err, content)
	}
	if out, err := keys(t, uri, nil, "list"); err == nil {
		t.Errorf("listed without the passphrase: %s", out)
	}
	if list := listKeys(t, uri, env...); len(list) != 1 {
		t.Errorf("%+v", list)
	}

	// From a file mounted by the orchestrator, to a new passphrase.
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte("another "+passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustKeys(t, uri, env, "passphrase", "--new-file", file)
	proxy := lab.Proxy(t, lab.ProxyOptions{
		Upstream: store, Args: []string{"--kms", uri, "--log-level", "trace"},
		Env: []string{"S3PROXY_KEYFILE_PASSPHRASE_FILE=" + file},
	})
	s3test.MustGet(t, proxy.S3(), bucket, "k", s3test.Content(1000, 1000))
	s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 500)
	if strings.Contains(proxy.Log(), passphrase) {
		t.Error("the passphrase is in the log")
	}
	if out, err := keys(t, uri, env, "passphrase", "--remove"); err == nil || !strings.Contains(out, "is wrong") || strings.Contains(out, passphrase) {
		t.Errorf("removed with the old one: %v: %s", err, out)
	}
	mustKeys(t, uri, []string{"S3PROXY_KEYFILE_PASSPHRASE_FILE=" + file}, "passphrase", "--remove")
	if list := listKeys(t, uri); len(list) != 1 {
		t.Errorf("in clear again: %+v", list)
	}
	s3test.MustGet(t, plain.S3(), bucket, "k", s3test.Content(1000, 1000))
}

func TestTheFirstStartWithAPassphraseMakesAnEncryptedKeyset(t *testing.T) {
	dir := t.TempDir()
	proxy := lab.Proxy(t, lab.ProxyOptions{DataDir: dir, Env: []string{"S3PROXY_KEYFILE_PASSPHRASE=" + passphrase}})
	s3test.RoundTrip(t, proxy.S3(), s3test.NewBucket(t, proxy.S3()), 1000)
	content, err := os.ReadFile(filepath.Join(dir, "keyset.json"))
	if err != nil || !bytes.HasPrefix(content, []byte(`{"s3proxyKeyset":1,`)) {
		t.Error(fmt.Sprint("the keyset is in clear: ", err))
	}
}
