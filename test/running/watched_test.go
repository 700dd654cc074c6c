package running

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// becomes waits until requests with a key are answered with this status.
func becomes(t *testing.T, at lab.S3, want int) {
	t.Helper()
	for deadline := time.Now().Add(lab.AnswerWithin); ; time.Sleep(10 * time.Millisecond) {
		got := s3test.Call{Method: "GET", Path: "/"}.Do(t, at).Status
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s still gets %d, want %d", at.AccessKey, got, want)
		}
	}
}

func awaitLog(t *testing.T, p *lab.ProxyProcess, text string) {
	t.Helper()
	for deadline := time.Now().Add(lab.AnswerWithin); !strings.Contains(p.Log(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in the log:\n%s", text, p.Log())
		}
	}
}

// An update of a Secret sends no signal.
func TestMountedCredentialsThatChangeAreReadWithoutASignal(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	const one, two = "- {access-key-id: one, secret-access-key: hidden-1}\n", "- {access-key-id: two, secret-access-key: hidden-2}\n"
	mount := func(folder string, files map[string]string) { lab.MountSecret(t, folder, os.Getgid(), 0o440, files) }
	start := func(args ...string) (first, second lab.S3, p *lab.ProxyProcess) {
		p = lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: args})
		return lab.ProxyAs(p, "one", "hidden-1"), lab.ProxyAs(p, "two", "hidden-2"), p
	}
	t.Run("a file", func(t *testing.T) {
		dir := t.TempDir()
		mount(dir, map[string]string{"clients.yaml": one})
		first, second, p := start("--credentials", filepath.Join(dir, "clients.yaml"))
		becomes(t, first, 200)
		mount(dir, map[string]string{"clients.yaml": "- {access-key-id: two}\n"})
		awaitLog(t, p, "the old ones stay valid")
		becomes(t, first, 200)
		mount(dir, map[string]string{"clients.yaml": two})
		becomes(t, second, 200)
		becomes(t, first, 403)
		awaitLog(t, p, "the credentials were reloaded")
		if strings.Contains(p.Log(), "hidden-") {
			t.Error("a secret is in the log")
		}
	})
	t.Run("in the configuration", func(t *testing.T) {
		dir := t.TempDir()
		mount(dir, map[string]string{"config.yaml": "credentials:\n" + one})
		first, second, _ := start("--config", filepath.Join(dir, "config.yaml"))
		becomes(t, first, 200)
		mount(dir, map[string]string{"config.yaml": "credentials:\n" + two})
		becomes(t, second, 200)
		becomes(t, first, 403)
	})
	t.Run("a secret that a list names", func(t *testing.T) {
		dir := t.TempDir()
		mount(dir, map[string]string{"secret": "old\n"})
		list := lab.PrivateFile(t, "- {access-key-id: one, secret-access-key-file: "+dir+"/secret}\n")
		first, _, p := start("--credentials", list)
		becomes(t, lab.ProxyAs(p, "one", "old"), 200)
		mount(dir, map[string]string{"secret": "hidden-1\n"})
		becomes(t, first, 200)
	})
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a", "b"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		mount(filepath.Join(dir, "a"), map[string]string{"access-key-id": "one", "secret-access-key": "old"})
		mount(filepath.Join(dir, "b"), map[string]string{"more.yaml": two})
		if err := os.Rename(filepath.Join(dir, "b"), dir+"-b"); err != nil {
			t.Fatal(err)
		}
		first, second, p := start("--credentials", dir)
		becomes(t, lab.ProxyAs(p, "one", "old"), 200)
		mount(filepath.Join(dir, "a"), map[string]string{"access-key-id": "one", "secret-access-key": "hidden-1"})
		becomes(t, first, 200)
		if err := os.WriteFile(filepath.Join(dir, "b.yaml"), []byte("access-key-id: two\nsecret-access-key: hidden-2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		becomes(t, second, 200)
		if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
			t.Fatal(err)
		}
		becomes(t, second, 403)
		becomes(t, first, 200)
	})
}

func TestAMountedKeysetThatChangesIsReadWithoutASignal(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	_, path := lab.NewKeyset(t)
	read := func() string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	dir := t.TempDir()
	mount := func() { lab.MountSecret(t, dir, os.Getgid(), 0o440, map[string]string{"keyset.json": read()}) }
	mount()
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--kms", "localfile://" + dir + "/keyset.json", "--key-window", "0"}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	key, err := localfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	mount()
	for deadline := time.Now().Add(lab.AnswerWithin); !strings.Contains(p.Log(), "the keyset file was read again"); time.Sleep(50 * time.Millisecond) {
		s3test.RoundTrip(t, p.S3(), bucket, 1000)
		if time.Now().After(deadline) {
			t.Fatalf("it was not read again:\n%s", p.Log())
		}
	}
}
