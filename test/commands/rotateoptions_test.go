package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// stored is what the store holds under the bucket's keys: bytes, ETag and date of each object.
func (k *keyed) stored(keys ...string) map[string]string {
	k.t.Helper()
	all := map[string]string{}
	for _, key := range keys {
		o, err := k.raw().GetObject(k.t.Context(), &s3.GetObjectInput{Bucket: &k.bucket, Key: &key})
		if err != nil {
			k.t.Fatalf("%s: %v", key, err)
		}
		body, err := io.ReadAll(o.Body)
		if err != nil {
			k.t.Fatal(err)
		}
		all[key] = fmt.Sprint(*o.ETag, *o.LastModified, o.Metadata, body)
	}
	return all
}

// keys rotate names what it could not do, and does the rest. With --dry-run and --from it leaves
// alone what it should.
func TestKeysRotateNamesWhatFailsAndDoesTheRest(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		const windows = 4
		var keys []string
		k.proxied(func(client *s3.Client) {
			for i := range 2 * windows {
				keys = append(keys, fmt.Sprintf("o%d", i))
				k.put(client, keys[i], s3test.Content(uint64(i), 1000))
			}
		}, "--key-window-objects", "2")
		s3url := "s3://" + k.bucket
		first := k.primary()
		type counts struct {
			KEK                               string
			Records, Rewrapped, Current, Left int
			Failed                            reasons
			Objects                           *struct {
				Objects, Rewritten, Done int
				Failed                   reasons
			}
		}
		rotate := func(code int, args ...string) (got counts) {
			t.Helper()
			out := k.command(code, append([]string{"keys", "rotate", "--settle", "0", "--json", s3url}, args...)...)
			if err := json.Unmarshal([]byte(lab.JSONLine(out)), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return got
		}
		want := func(got counts, rewrapped, current, left, failed int) {
			t.Helper()
			if got.Records != windows || got.Rewrapped != rewrapped || got.Current != current || got.Left != left || len(got.Failed) != failed {
				t.Errorf("wanted %d rewrapped, %d current, %d left and %d failed of %d: %+v", rewrapped, current, left, failed, windows, got)
			}
		}

		broken := k.recordOf("o4")
		before := k.stored(append(keys, k.records()...)...)
		o, err := k.raw().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &k.bucket, Key: &broken})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		k.put(k.raw(), broken, whole[:len(whole)/2])

		if out := k.command(2, "keys", "rotate", "--new-version", "--dry-run", s3url); !strings.Contains(out, "dry-run") {
			t.Errorf("a new version in a dry run: %s", out)
		}
		if k.primary() != first {
			t.Error("a dry run made a new version")
		}

		id := strings.TrimPrefix(broken, ".s3proxy/keys/")
		got := rotate(1, "--new-version")
		second := k.primary()
		if want(got, windows-1, 0, 0, 1); got.Failed[id] == "" || got.KEK != "localfile:#"+second || second == first {
			t.Errorf("with a broken record %s: %+v; version %s after %s", id, got, second, first)
		}
		if out := k.command(1, "keys", "rotate", "--settle", "0", s3url); !strings.Contains(out, id) || !strings.Contains(out, "0 of 4 records") || !strings.Contains(out, "1 failed") {
			t.Errorf("the failure is not named: %s", out)
		}
		k.put(k.raw(), broken, whole)
		now := k.stored(k.records()...)

		want(rotate(0, "--dry-run"), 1, windows-1, 0, 0)
		want(rotate(0, "--from", "localfile:#"+second), 0, windows-1, 1, 0)
		// A key may also be named as in --kms. An unknown name is not treated as a key that wraps
		// nothing.
		want(rotate(0, "--from", k.kms+"#"+second), 0, windows-1, 1, 0)
		want(rotate(0, "--from", k.kms, "--dry-run"), 1, windows-1, 0, 0)
		want(rotate(0, "--from", first, "--dry-run"), 1, windows-1, 0, 0)
		for _, none := range []string{"vault://transit/photos", "localfile:///elsewhere#" + first, "awskms:#" + first} {
			if out := k.command(2, "keys", "rotate", "--new-version", "--from", none, s3url); !strings.Contains(out, "no configured key") || k.primary() != second {
				t.Errorf("from %s: %s", none, out)
			}
		}
		if got := k.stored(k.records()...); !maps.Equal(got, now) {
			t.Error("a dry run, or one of another key, changed records")
		}
		want(rotate(0, "--from", "localfile:#"+first, "--concurrency", "1"), 1, windows-1, 0, 0)
		want(rotate(0), 0, windows, 0, 0)
		for key, is := range k.stored(keys...) {
			if is != before[key] {
				t.Errorf("%s was changed by a rotation of records", key)
			}
		}

		// The same with objects, one of which has metadata that nobody can read.
		_, err = k.raw().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: aws.String("odd"), Body: strings.NewReader("x"), Metadata: map[string]string{"s3proxy-format": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		objects := func(code, rewritten, done int, args ...string) {
			t.Helper()
			got := rotate(code, append(args, "--objects")...).Objects
			if got == nil || got.Rewritten != rewritten || got.Done != done || len(got.Failed) != code || code > 0 && got.Failed["odd"] == "" {
				t.Errorf("%q: wanted %d rewritten, %d done: %+v", args, rewritten, done, got)
			}
		}
		objects(1, 2*windows, 0, "--dry-run")
		objects(1, 0, 2*windows, "--from", "localfile:#"+second)
		if got := k.stored("o0", "o7"); got["o0"] != before["o0"] || got["o7"] != before["o7"] {
			t.Error("a dry run, or one of another key, changed objects")
		}
		objects(1, 2*windows, 0, "--from", "localfile:#"+first, "--rate", "100")
		if out := k.command(1, "keys", "rotate", "--objects", "--settle", "0", s3url); !strings.Contains(out, `"odd"`) || !strings.Contains(out, "1 failed") {
			t.Errorf("the failure is not named: %s", out)
		}
		k.purge("odd")
		objects(0, 0, 2*windows)
		k.proxied(func(client *s3.Client) {
			for i, key := range keys {
				s3test.WantObject(t, client, k.bucket, key, s3test.Content(uint64(i), 1000))
			}
		})
	})
}

// The log of a KMS driver has the format and level that the command was given.
func TestTheLogOfACommandsKMSIsInItsFormat(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		out := k.command(0, "keys", "rotate", "--new-version", "--json", "--settle", "0", "--log-format", "json", "s3://"+k.bucket)
		if !strings.Contains(out, "the keyset file was read again") {
			k.t.Errorf("the driver logged nothing: %s", out)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				k.t.Errorf("not JSON: %s", line)
			}
		}
		if out := k.command(0, "keys", "rotate", "--new-version", "--settle", "0", "--log-level", "error", "s3://"+k.bucket); strings.Contains(out, "was read again") {
			k.t.Errorf("logged at level error: %s", out)
		}
	})
}

// On AWS, an object uploaded in parts is dated at the start of its upload. If the upload completes
// between the passes of a rotation, the object therefore seems older than the rotation.
func TestKeysRotateRenewsAnUploadThatEndsMeanwhile(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		date := regexp.MustCompile(`<LastModified>[^<]*</LastModified>`)
		forward := lab.WayTo(t, k.store)
		forward.ModifyResponse = func(resp *http.Response) error {
			if resp.Request.URL.Query().Get("list-type") == "" {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			body = date.ReplaceAll(body, []byte("<LastModified>2020-01-02T03:04:05.000Z</LastModified>"))
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
			return nil
		}
		aged := httptest.NewServer(forward)
		t.Cleanup(aged.Close)
		k.proxied(func(client *s3.Client) {
			upload := s3test.Begin(t, client, k.bucket, "uploaded")
			part := upload.Send(client, 1, s3test.Content(1, 1000))
			rotate := lab.Start(t, "rotate", lab.S3proxy(t), []string{"keys", "rotate", "--new-version", "--objects", "--settle", "5s", "--kms", k.kms, "--upstream", aged.URL, "s3://" + k.bucket}, k.store.S3().Env())
			time.Sleep(3 * time.Second)
			if _, err := upload.Complete(client, part); err != nil {
				t.Fatal(err)
			}
			if code, ended := rotate.Wait(lab.AnswerWithin); code != 0 || !ended {
				t.Fatalf("keys rotate: exit code %d: %s", code, rotate.Log())
			}
		})
		if out := k.command(0, "inspect", "--json", "s3://"+k.bucket+"/uploaded"); !strings.Contains(out, "localfile:#"+k.primary()) {
			t.Errorf("the object is not under version %s: %s", k.primary(), out)
		}
	})
}
