package commands

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// --all-buckets covers the buckets that the store lists and those configured elsewhere, each of them
// once and where it is served from. A failure of one does not stop the others.
func TestAllBucketsCoversTheStoresBucketsAndThoseElsewhere(t *testing.T) {
	k, elsewhere := onStore(t, lab.Versitygw(t)), lab.Versitygw(t)
	for _, name := range []string{"aa-photos", "ab-replica", "ac-plain", "ad-moved"} {
		s3test.MakeBucket(t, k.store.S3(), name)
	}
	s3test.MakeBucket(t, elsewhere.S3(), "ad-moved")
	s3test.MakeBucket(t, elsewhere.S3(), "ae-other")
	config := filepath.Join(t.TempDir(), "config.yaml")
	upstream := "upstream: {url: '" + elsewhere.URL + "'}"
	settings := "buckets:\n  ab-replica: {alias: aa-photos}\n  ac-plain: {encrypt: false}\n  ad-moved: {" + upstream + "}\n  ae-other: {" + upstream + "}\n  af-gone: {" + upstream + "}\n"
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	object := s3test.Content(1, 1000)
	k.proxied(func(client *s3.Client) {
		for _, bucket := range []string{k.bucket, "aa-photos", "ac-plain", "ad-moved", "ae-other"} {
			at := *k
			at.bucket = bucket
			at.put(client, "o", object)
		}
	}, "--config", config)
	copyAll(t, k.raw(), "aa-photos", "ab-replica")
	first := k.primary()

	type line struct {
		Bucket, Error, KEK          string
		Records, Rewrapped, Objects int
	}
	run := func(want int, args ...string) map[string]line {
		t.Helper()
		out, errs, code := k.apart(append(args, "--all-buckets", "--json", "--config", config)...)
		if code != want {
			t.Errorf("%q: exit code %d, not %d: %s", args, code, want, errs)
		}
		lines := map[string]line{}
		for text := range strings.Lines(out) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil || lines[l.Bucket] != (line{}) {
				t.Fatalf("%q: %v, or twice: %s", args, err, out)
			}
			lines[l.Bucket] = l
		}
		if len(lines) != 6 || lines["af-gone"].Error == "" {
			t.Errorf("%q: not all buckets, or no mention of the missing one: %s", args, out)
		}
		return lines
	}
	rotated := run(1, "keys", "rotate", "--new-version", "--settle", "0")
	second := k.primary()
	for _, bucket := range []string{k.bucket, "aa-photos", "ab-replica", "ad-moved", "ae-other"} {
		if l := rotated[bucket]; l.Records != 1 || l.Rewrapped != 1 || l.Error != "" || l.KEK != "localfile:#"+second {
			t.Errorf("keys rotate of %s: %+v", bucket, l)
		}
	}
	if first == second || strings.Count(k.command(0, "keys", "list"), "enabled") != 2 {
		t.Error("not one new version was made")
	}
	for _, l := range run(1, "keys", "verify") {
		if l.Objects != 1 && l.Bucket != "af-gone" {
			t.Errorf("keys verify: %+v", l)
		}
	}
	run(1, "gc")
	run(1, "keys", "status", "--objects", "--kek", first)

	out, code := lab.Command(t, k.store, "keys", "verify", "--all-buckets", "--config", config, "--kms", k.kms, "--upstream", k.store.URL)
	if code != 1 || !strings.Contains(out, "6 buckets: 5 done, 1 failed (af-gone)\n") || !strings.Contains(out, "ac-plain") {
		t.Errorf("exit code %d: %s", code, out)
	}
	s3test.MakeBucket(t, elsewhere.S3(), "af-gone")
	if out := k.command(0, "keys", "status", "--objects", "--kek", first, "--all-buckets", "--config", config); !strings.Contains(out, "6 buckets: 6 done\n") {
		t.Errorf("with all buckets there: %s", out)
	}
	if out := k.command(3, "keys", "status", "--objects", "--kek", second, "--all-buckets", "--config", config); !strings.Contains(out, "6 not safe (aa-photos, ab-replica, ") {
		t.Errorf("of the version in use: %s", out)
	}
}

// copyAll makes a raw copy of a bucket, as replication by the store would.
func copyAll(t *testing.T, store *s3.Client, from, to string) {
	t.Helper()
	all, err := store.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &from})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all.Contents {
		if _, err := store.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &to, Key: o.Key, CopySource: aws.String(from + "/" + *o.Key)}); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that does not list buckets is not a store without buckets.
func TestAllBucketsNeedAStoreThatListsThem(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	hostile := lab.Hostile(t, k.store)
	hostile.Preempt(func(r *http.Request) *lab.Reply {
		if r.URL.Path != "/" {
			return nil
		}
		return &lab.Reply{Status: http.StatusForbidden, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
	})
	out, code := lab.Command(t, k.store, "keys", "verify", "--all-buckets", "--kms", k.kms, "--upstream", hostile.URL)
	if code != 1 || !strings.Contains(out, "s3:ListAllMyBuckets") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
