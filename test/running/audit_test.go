package running

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestTheAuditLogTellsWhoDidWhatWithWhichKey(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	store := lab.SharedVersitygw(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--audit-log", path, "--allow-plaintext-reads", "--log-level", "error"}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	s3test.Call{Method: "GET", Path: "/" + bucket + "/k", Secret: "wrong"}.Do(t, p.S3())
	s3test.MustPut(t, store.S3(), "/"+bucket+"/plain", []byte(s3test.Marker))
	s3test.Get(t, p.S3(), "/"+bucket+"/plain")
	p.Term()
	if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
		t.Fatalf("exit code %d (ended: %v)", code, ok)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type event struct {
		Time                                                                          time.Time
		Event, Outcome, ID, Client, Operation, Bucket, Key, KEK, Code, Result, Remote string
		Plaintext                                                                     bool
	}
	var all []event
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time.IsZero() {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	has := func(what string, is func(event) bool) {
		t.Helper()
		for _, e := range all {
			if is(e) {
				return
			}
		}
		t.Errorf("%s is not in\n%s", what, text)
	}
	if all[0].Event != "start" || all[len(all)-1].Event != "stop" {
		t.Errorf("it does not begin with start and end with stop:\n%s", text)
	}
	has("the write", func(e event) bool {
		return e.Operation == "PutObject" && e.Client == lab.ClientAccessKey && e.Bucket == bucket && e.Key == "k" && e.KEK != "" && e.Outcome == "done" && e.ID != "" && e.Remote != ""
	})
	has("the read", func(e event) bool { return e.Operation == "GetObject" && e.Key == "k" && e.KEK != "" && !e.Plaintext })
	has("the refusal", func(e event) bool {
		return e.Outcome == "refused" && e.Code == "SignatureDoesNotMatch" && e.Client == ""
	})
	has("the read of plaintext", func(e event) bool { return e.Key == "plain" && e.Plaintext && e.KEK == "" })
	has("the window key", func(e event) bool { return e.Event == "wrap" && e.Bucket == bucket && e.Result == "ok" && e.KEK != "" })
	for _, secret := range []string{lab.ClientSecretKey, "Signature=", s3test.Marker} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in the audit log", secret)
		}
	}
}
