package legacy

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAKeyThatIsNoneStopsTheStart(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	o := newOldBucket(t, lab.SharedVersitygw(t), "seventeen letters")
	p := lab.Launch(t, lab.ProxyOptions{Upstream: o.store, Args: []string{"--kms", o.kms, "--config", o.config}})
	code, ended := p.Wait(lab.AnswerWithin)
	if out := p.Log(); !ended || code != 2 || !strings.Contains(out, "bucket "+o.bucket+": legacy-key: the key is neither 16, 24 or 32 characters") || strings.Contains(out, "seventeen letters") {
		t.Errorf("exit code %d (ended: %v): %s", code, ended, out)
	}
}

func TestWithoutAKeyAnOldObjectIsRefusedAndTheSettingNamed(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	o := newOldBucket(t, lab.SharedVersitygw(t), testKey)
	o.put(t, "old", makeOld(t, plaintext(1000)))
	for _, args := range [][]string{nil, {"--allow-plaintext-reads"}} {
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: o.store, Args: append([]string{"--kms", o.kms}, args...)})
		for _, c := range []s3test.Call{
			{Method: "GET", Path: o.path("old")},
			{Method: "GET", Path: o.path("old"), Headers: map[string]string{"range": "bytes=0-9"}},
			{Method: "PUT", Path: o.path("copy"), Headers: map[string]string{"x-amz-copy-source": o.path("old")}},
		} {
			if a := c.Do(t, p.S3()); a.Status != http.StatusForbidden || a.Code != "AccessDenied" || !strings.Contains(a.Text, "legacy-key-file") {
				t.Errorf("%v: %s %v: %v", args, c.Method, c.Headers, a)
			}
		}
		if a := (s3test.Call{Method: "HEAD", Path: o.path("old")}).Do(t, p.S3()); a.Status != http.StatusForbidden {
			t.Errorf("%v: HEAD: %v", args, a)
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + o.bucket, Query: "list-type=2"}).Do(t, p.S3()); a.Status != 200 {
			t.Errorf("%v: the list: %v", args, a)
		}
	}
}

func TestPlaintextOfThatTimeIsReadUnlessThatIsRefused(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for setting, status := range map[string]int{"etag: opaque": 200, "allow-plaintext-reads: false": 403} {
		o := newOldBucket(t, lab.SharedVersitygw(t), testKey, setting)
		s3test.MustPut(t, o.store.S3(), o.path("plain"), plaintext(1000))
		o.put(t, "old", makeOld(t, plaintext(428))) // stored in 444 bytes, as an empty object of ours is
		p := o.proxy(t)
		if a := s3test.Get(t, p.S3(), o.path("plain")); a.Status != status {
			t.Errorf("%s: %v", setting, a)
		}
		s3test.MustGet(t, p.S3(), o.bucket, "old", plaintext(428))
		a := s3test.Call{Method: "GET", Path: "/" + o.bucket, Query: "list-type=2"}.Do(t, p.S3())
		if !strings.Contains(string(a.Body), "<Size>428</Size>") || !strings.Contains(string(a.Body), "<Size>1000</Size>") {
			t.Errorf("%s: the list: %s", setting, a.Body)
		}
	}
}

func TestReadsOfOldObjectsAreMarked(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	metrics := lab.FreeAddress(t)
	o := newOldBucket(t, lab.SharedVersitygw(t), testKey)
	p := o.proxy(t, "--audit-log", audit, "--metrics-listen", metrics)
	o.put(t, "old", makeOld(t, plaintext(1000)))
	damaged := makeOld(t, plaintext(1000))
	damaged.Body[500] ^= 1
	o.put(t, "damaged", damaged)
	s3test.MustGet(t, p.S3(), o.bucket, "old", plaintext(1000))
	s3test.MustPut(t, p.S3(), o.path("ours"), plaintext(1000))
	s3test.MustGet(t, p.S3(), o.bucket, "ours", plaintext(1000))
	s3test.Get(t, p.S3(), o.path("damaged"))
	_, _, text := s3test.Fetch(t, "GET", "http://"+metrics+"/metrics", "", nil)
	for _, want := range []string{"\ns3proxy_legacy_reads_total 1\n", "\ns3proxy_plaintext_reads_total 0\n", "\ns3proxy_integrity_failures_total{kind=\"legacy-md5\"} 1\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics have no %q", strings.TrimSpace(want))
		}
	}
	p.Term()
	p.Wait(lab.AnswerWithin)
	events, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range []string{string(events), p.Log()} {
		marked := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, `"legacy":true`) || strings.Contains(line, " legacy=true") {
				marked++
				if strings.Contains(line, "ours") {
					t.Errorf("an object of ours is marked: %s", line)
				}
			}
		}
		if marked != 1 {
			t.Errorf("%d requests are marked in\n%s", marked, log)
		}
	}
}
