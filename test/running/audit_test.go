package running

import (
	"encoding/json"
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
		t.Errorf("the audit log does not begin with start and end with stop:\n%s", text)
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

func TestTheAuditLogTellsOfNewCredentialsAndOfOtherSitesPages(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	dir := t.TempDir()
	list, audited := filepath.Join(dir, "clients.yaml"), filepath.Join(dir, "audit.jsonl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("- {access-key-id: one, secret-access-key: hidden-1}\n")
	told := func(path string, texts ...string) {
		t.Helper()
		var got []byte
		for deadline := time.Now().Add(lab.AnswerWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			got, _ = os.ReadFile(path)
			for line := range strings.Lines(string(got)) {
				if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
					return
				}
			}
		}
		t.Errorf("no line with %q:\n%s", texts, got)
	}
	admin := lab.FreeAddress(t)
	lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--credentials", list, "--audit-log", audited, "--admin-listen", admin}}).AwaitListening(t, admin)
	resp, err := http.Get("http://" + admin + "/debug/pprof/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	told(audited, `"event":"admin"`, `"path":"/debug/pprof/cmdline"`, `"remote":"127.0.0.1:`)
	write("- {access-key-id: two}\n")
	told(audited, `"event":"reload"`, `"what":"credentials"`, `"result":"error"`, "secret-access-key")
	write("- {access-key-id: two, secret-access-key: hidden-2}\n")
	told(audited, `"event":"reload"`, `"what":"credentials"`, `"result":"ok"`)

	unasked := filepath.Join(dir, "unasked.jsonl")
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), NoKeys: true, Args: []string{"--auth", "none", "--audit-log", unasked}})
	a := s3test.Call{Method: "PUT", Path: "/page/k", Body: []byte("forged"), Unsigned: true, Headers: map[string]string{"origin": "https://elsewhere.example"}}.Do(t, p.S3())
	if a.Status != 403 {
		t.Error(a)
	}
	told(unasked, `"event":"request"`, `"outcome":"refused"`, `"bucket":"page"`, `"code":"AccessDenied"`)
	for _, path := range []string{audited, unasked} {
		if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "hidden") {
			t.Errorf("%v, or a secret in the audit log:\n%s", err, text)
		}
	}
}
