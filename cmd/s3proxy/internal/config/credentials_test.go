package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// write makes a file that only its owner reads.
func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheFirstStartMakesAKeyOfTheClientsAndTheNextOneKeepsIt(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	c, err := load(t, "", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := LoadCredentials(c)
	if err != nil || !first.Own.Made || first.Own.ID == "" || len(first.Own.Secret) < 30 {
		t.Fatalf("made %v, id %q, %v", first.Own.Made, first.Own.ID, err)
	}
	found, ok := first.Find(first.Own.ID)
	if !ok || found.Secret != first.Own.Secret || !found.Manage {
		t.Error("it is not found, or may not manage")
	}
	next, err := LoadCredentials(c)
	if err != nil || next.Own.Made || next.Own.ID != first.Own.ID || next.Own.Secret != first.Own.Secret {
		t.Errorf("the next start: made %v, %v", next.Own.Made, err)
	}
	if err := os.Chmod(next.Own.File, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCredentials(c); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by others: %v", err)
	}
	if err := os.Chmod(write(t, next.Own.File, "[other]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCredentials(c); err == nil || !strings.Contains(err.Error(), "no access key") {
		t.Errorf("without a key: %v", err)
	}
}

func TestTheClientsKeyOfTheEnvironmentIsTakenAndNoneIsMade(t *testing.T) {
	clean(t)
	t.Setenv(EnvAccessKey, "own")
	t.Setenv(EnvSecretKey, "secret")
	dir := t.TempDir()
	c, err := load(t, "credentials:\n  - {access-key-id: other, secret-access-key-file: "+write(t, filepath.Join(dir, "secret"), "file's\n")+", buckets: [one], read-only: true}\n", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadCredentials(c)
	if err != nil || s.Own.ID != "own" || s.Own.File != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "credentials")); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
	other, ok := s.Find("other")
	if !ok || other.Secret != "file's" || !other.ReadOnly || other.Manage || len(other.Buckets) != 1 {
		t.Error("the credential of the file is not what it says")
	}
	if _, ok := s.Find("nobody"); ok {
		t.Error("nobody is somebody")
	}
}

func TestCredentialsThatCannotBeUsedAreRefusedByWhatIsWrong(t *testing.T) {
	for want, list := range map[string]string{
		"access-key-id is missing": "- {secret-access-key: x}",
		"give either":              "- {access-key-id: a, secret-access-key: x, secret-access-key-file: /s}",
		"exclude each other":       "- {access-key-id: a, secret-access-key: x, read-only: true, manage: true}",
		"used twice":               "- {access-key-id: a, secret-access-key: x}\n- {access-key-id: a, secret-access-key: y}",
		"not an absolute path":     "- {access-key-id: a, secret-access-key-file: secret}",
		"patterns":                 "- {access-key-id: a, secret-access-key: x, buckets: ['b-*']}",
		"no list":                  "{}",
	} {
		t.Run(want, func(t *testing.T) {
			clean(t)
			c, err := load(t, "", "--credentials", write(t, filepath.Join(t.TempDir(), "clients.yaml"), list+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := LoadCredentials(c); err == nil || want != "no list" && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAfterAHangupTheNewCredentialsHoldAndBrokenOnesDoNot(t *testing.T) {
	clean(t)
	path := write(t, filepath.Join(t.TempDir(), "clients.yaml"), "- {access-key-id: a, secret-access-key: one}\n")
	c, err := load(t, "", "--credentials", path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadCredentials(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Follow(c, slog.New(slog.DiscardHandler), func(error) {}, func(error) {})()
	secret := func() string { found, _ := s.Find("a"); return found.Secret }
	write(t, path, "- {access-key-id: a, secret-access-key: two}\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); secret() != "two" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if secret() != "two" {
		t.Fatalf("after the signal: %s", secret())
	}
	write(t, path, "- {access-key-id: a}\n")
	if _, err := s.reload(c); err == nil || secret() != "two" {
		t.Errorf("broken ones: %v, %s", err, secret())
	}
}

func TestACommandKnowsWhichFilesHoldSecrets(t *testing.T) {
	clean(t)
	c, err := load(t, "upstream: http://127.0.0.1:1\nkms: localfile:///keys/all.json\nkms-read: ['vault://transit/k']\nbuckets:\n  b-1: {kms: 'localfile:///keys/one.json'}\n", "--credentials", "/etc/clients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckKeys(); err != nil {
		t.Error(err)
	}
	files, err := c.SecretFiles()
	for _, want := range []string{c.Path, "/etc/clients.yaml", "/keys/all.json", "/keys/one.json"} {
		if !strings.Contains(strings.Join(files, "\n")+"\n", want+"\n") {
			t.Errorf("%s is not among %q, %v", want, files, err)
		}
	}
}

func TestABucketBeforeAnUpstreamWithoutAKeyIsNamed(t *testing.T) {
	clean(t)
	c, err := load(t, "buckets:\n  b-1: {upstream: {url: 'http://127.0.0.1:1'}}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckKeys(); err == nil || !strings.HasPrefix(err.Error(), "bucket b-1: an upstream is set but kms is not") {
		t.Errorf("got %v", err)
	}
	if _, err := c.SecretFiles(); err == nil {
		t.Error("its files are known all the same")
	}
}

func TestTheProxysKeyAtAStoreComesFromAFileOrTheEnvironment(t *testing.T) {
	clean(t)
	t.Setenv("STORE_ID", "id")
	t.Setenv("STORE_SECRET", "secret")
	file := write(t, filepath.Join(t.TempDir(), "secret"), "in the file\n")
	for _, c := range []struct {
		from       UpstreamCredentials
		id, secret string
	}{
		{UpstreamCredentials{AccessKeyID: "plain", SecretFile: file}, "plain", "in the file"},
		{UpstreamCredentials{AccessKeyIDEnv: "STORE_ID", SecretAccessKeyEnv: "STORE_SECRET"}, "id", "secret"},
		{UpstreamCredentials{AccessKeyIDEnv: "STORE_NOT_THERE", SecretFile: file}, "", ""},
		{UpstreamCredentials{AccessKeyID: "plain", SecretAccessKeyEnv: "STORE_NOT_THERE"}, "", ""},
		{UpstreamCredentials{AccessKeyID: "plain", SecretFile: "relative"}, "", ""},
	} {
		id, secret, err := c.from.Read()
		if id != c.id || secret != c.secret || (err != nil) != (c.id == "") {
			t.Errorf("%+v: %q %q %v", c.from, id, secret, err)
		}
	}
}
