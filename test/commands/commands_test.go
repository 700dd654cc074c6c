package commands

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestInspectSaysWhatIsStoredWithoutARunningProxy(t *testing.T) {
	store := lab.SharedVersitygw(t)
	uri, _ := lab.NewKeyset(t)
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}})
	bucket := s3test.NewBucket(t, proxy.S3())
	s3test.RoundTrip(t, proxy.S3(), bucket, 100_000)
	proxy.Term()
	proxy.Wait(lab.AnswerWithin)
	object := "s3://" + bucket + "/k"

	out, code := lab.Command(t, store, "inspect", object, "--upstream", store.URL, "--kms", uri)
	for _, want := range []string{"single", "localfile:#", "100000", "100472", "CRC32", "Opens:", "yes"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q in:\n%s", code, want, out)
		}
	}
	out, code = lab.Command(t, store, "inspect", object, "--json", "--upstream", store.URL, "--kms", uri)
	var shown struct {
		Size, Format int
		Kind         string
		Opens        bool
		Parts        []struct{ Number, Size int }
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || code != 0 || shown.Size != 100_000 || shown.Format != 1 || shown.Kind != "single" || !shown.Opens || len(shown.Parts) != 1 || shown.Parts[0].Size != 100_000 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}

	other, _ := lab.NewKeyset(t)
	if out, code = lab.Command(t, store, "inspect", object, "--upstream", store.URL, "--kms", other); code != 1 || !strings.Contains(out, "100000") || !strings.Contains(out, "does not open") {
		t.Errorf("with another key: exit code %d:\n%s", code, out)
	}
	if out, code = lab.Command(t, store, "inspect", object+"x", "--upstream", store.URL, "--kms", uri); code != 1 {
		t.Errorf("of nothing: exit code %d:\n%s", code, out)
	}
	if _, err := s3test.SDK(t, store.S3()).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("plain"), Body: bytes.NewReader([]byte("x"))}); err != nil {
		t.Fatal(err)
	}
	if out, code = lab.Command(t, store, "inspect", "s3://"+bucket+"/plain", "--upstream", store.URL, "--kms", uri); code != 0 || !strings.Contains(out, "did not write") {
		t.Errorf("of plaintext: exit code %d:\n%s", code, out)
	}
}

func TestInspectOpensTheEmbeddedStoreToo(t *testing.T) {
	dir := t.TempDir()
	proxy := lab.Proxy(t, lab.ProxyOptions{DataDir: dir})
	bucket := s3test.NewBucket(t, proxy.S3())
	s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
	proxy.Term()
	proxy.Wait(lab.AnswerWithin)
	if out, err := lab.RunS3proxy(t, "inspect", "s3://"+bucket+"/k", "--data-dir", dir); err != nil || !strings.Contains(out, "1000") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestKeysAreMadeOnceAndListedWithoutTheirMaterial(t *testing.T) {
	uri, path := lab.NewKeyset(t)
	if out, err := lab.RunS3proxy(t, "keys", "create", "--kms", uri); err == nil || !strings.Contains(out, "never replaced") {
		t.Errorf("made again: %v: %s", err, out)
	}
	out, err := lab.RunS3proxy(t, "keys", "list", "--json", "--kms", uri)
	var key struct {
		Version string
		Primary bool
	}
	if json.Unmarshal([]byte(out), &key) != nil || err != nil || !key.Primary || key.Version == "" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = lab.RunS3proxy(t, "keys", "list", "--kms", uri); err != nil || !strings.Contains(out, key.Version) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = lab.RunS3proxy(t, "keys", "list", "--kms", "localfile://"+path+".gone"); err == nil {
		t.Errorf("a missing file: %s", out)
	}
}

func TestVersionAndCompletionAnswer(t *testing.T) {
	if out, err := lab.RunS3proxy(t, "version"); err != nil || !strings.Contains(out, "object format 1") {
		t.Errorf("%v: %s", err, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := lab.RunS3proxy(t, "completion", shell); err != nil || !strings.Contains(out, "s3proxy") {
			t.Errorf("%s: %v", shell, err)
		}
	}
}
