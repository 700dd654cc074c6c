package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// If it were encrypted again, nobody would know that the object has two layers.
func TestWhatAnotherToolHasEncryptedIsNotEncryptedUnasked(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	store := lab.SharedVersitygw(t)
	kms, _ := lab.NewKeyset(t)
	bucket := s3test.NewBucket(t, store.S3())
	body := s3test.Content(1, 1000)
	put := func(key string, body []byte, headers map[string]string) {
		t.Helper()
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + key, Body: body, Headers: headers}).Do(t, store.S3()); a.Status != 200 {
			t.Fatal(a)
		}
	}
	foreign := map[string]string{ // key, and what the report must say
		"cfb": "the older s3proxy", "v1": "Amazon S3 Encryption Client", "v2": "Amazon S3 Encryption Client", "v3": "Amazon S3 Encryption Client",
		"v2.instruction": "Amazon S3 Encryption Client", "gaul.s3enc": "gaul's S3Proxy", "crypt": "rclone crypt", "empty": "the older s3proxy",
	}
	put("cfb", body, map[string]string{"x-amz-meta-s3proxy": strings.Repeat("00", 50)})
	put("empty", nil, map[string]string{"x-amz-meta-s3proxy": strings.Repeat("00", 50)})
	put("v1", body, map[string]string{"x-amz-meta-x-amz-key": "a", "x-amz-meta-x-amz-iv": "b"})
	put("v2", body, map[string]string{"x-amz-meta-x-amz-key-v2": "a"})
	put("v3", body, map[string]string{"x-amz-meta-x-amz-c": "115"})
	put("v2.instruction", []byte(`{"x-amz-key-v2":"a","x-amz-iv":"b"}`), nil)
	put("gaul.s3enc", body, nil)
	put("crypt", append([]byte("RCLONE\x00\x00"), body...), nil)
	plain := map[string][]byte{"plain": body, "none": nil, "not.instruction": []byte("assemble it"), "rclone.conf": []byte("RCLONE"), "s3enc": body}
	for key, body := range plain {
		put(key, body, map[string]string{"x-amz-meta-key": "mine"})
	}
	run := func(args ...string) (out string, code int) {
		return lab.Command(t, store, append([]string{"encrypt-existing", "s3://" + bucket, "--upstream", store.URL, "--kms", kms, "--allow-plaintext-reads"}, args...)...)
	}
	for _, args := range [][]string{{"--dry-run"}, nil} {
		out, code := run(args...)
		if code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		for key, tool := range foreign {
			named := false
			for line := range strings.Lines(out) {
				named = named || strings.Contains(line, key) && strings.Contains(line, tool)
			}
			if !named {
				t.Errorf("%v: the report does not attribute %s to %s:\n%s", args, key, tool, out)
			}
		}
	}
	encrypted := func(key string) bool {
		t.Helper()
		_, ours := s3test.RawGet(t, store.S3(), "/"+bucket+"/"+key).Meta["s3proxy-commit"]
		return ours
	}
	for key := range foreign {
		if encrypted(key) {
			t.Errorf("%s was encrypted once more", key)
		}
	}
	for key := range plain {
		if !encrypted(key) {
			t.Errorf("%s was not encrypted", key)
		}
	}
	if out, code := run("--also-ciphertext"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	for key := range foreign {
		if !encrypted(key) {
			t.Errorf("%s was not encrypted, although the flag asks for it", key)
		}
	}
}

// The real rclone writes the objects, and can still read them through the proxy.
func TestWhatRcloneHasEncryptedIsReadByItThroughTheProxy(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	rclone := lab.Need(t, "rclone")
	store := lab.SharedVersitygw(t)
	kms, _ := lab.NewKeyset(t)
	bucket := s3test.NewBucket(t, store.S3())
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", kms}})
	up, down := t.TempDir(), t.TempDir()
	body := s3test.Content(2, 300_000)
	if err := os.WriteFile(filepath.Join(up, "file"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(lab.MustRun(t, lab.Env(), rclone, "obscure", "secret"))
	at := func(at lab.S3) []string {
		return at.Env("RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true", "RCLONE_CONFIG_X_ENDPOINT="+at.URL,
			"RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_CONFIG_C_TYPE=crypt", "RCLONE_CONFIG_C_REMOTE=x:"+bucket, "RCLONE_CONFIG_C_PASSWORD="+password)
	}
	lab.MustRun(t, at(store.S3()), rclone, "copy", up, "c:")
	args := []string{"encrypt-existing", "s3://" + bucket, "--upstream", store.URL, "--kms", kms, "--allow-plaintext-reads"}
	if out, code := lab.Command(t, store, args...); code != 1 || !strings.Contains(out, "rclone crypt") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := lab.Command(t, store, append(args, "--also-ciphertext")...); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	lab.MustRun(t, at(p.S3()), rclone, "copy", "c:", down)
	if got, err := os.ReadFile(filepath.Join(down, "file")); err != nil || s3test.SameBytes(got, body) != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
