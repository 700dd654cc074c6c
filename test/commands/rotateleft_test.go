package commands

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Objects that cannot be renewed in place are counted and named for what they are. That is not a
// failure, because the records cover them. The test fakes the store's refusals to write locked
// objects and to read archived ones, because MinIO refuses neither.
func TestKeysRotateSaysWhatItCannotRenew(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		if !k.versioned() {
			return
		}
		k.bucket = lab.FreeName("locks")
		if _, err := k.raw().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &k.bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		bodies := map[string][]byte{"free": s3test.Content(1, 1000), "locked": s3test.Content(2, 1000), "archived": s3test.Content(3, 1000), "uploaded": s3test.Content(4, 1000)}
		var upload *s3test.Upload
		k.proxied(func(client *s3.Client) {
			for key, body := range bodies {
				if key != "uploaded" {
					k.put(client, key, body)
				}
			}
			k.put(client, "free", bodies["free"]) // makes the version before it noncurrent
			_, err := client.PutObjectLegalHold(t.Context(), &s3.PutObjectLegalHoldInput{Bucket: &k.bucket, Key: aws.String("locked"), LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}})
			if err != nil {
				t.Fatal(err)
			}
			upload = s3test.Begin(t, client, k.bucket, "uploaded")
		})
		forward := lab.WayTo(t, k.store)
		strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			code := ""
			switch {
			case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/locked"):
				code = "AccessDenied"
			case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/archived") && !r.URL.Query().Has("acl") && !r.URL.Query().Has("tagging"):
				code = "InvalidObjectState"
			}
			if code == "" {
				forward.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>No.</Message></Error>", code)
		}))
		t.Cleanup(strict.Close)
		first := k.primary()
		rotate := func(args ...string) string {
			out, code := lab.Command(t, k.store, append([]string{"keys", "rotate", "--objects", "--settle", "0", "s3://" + k.bucket, "--kms", k.kms, "--upstream", strict.URL}, args...)...)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
			return out
		}
		out := rotate("--new-version")
		for _, want := range []string{
			": 1 of 3 objects renewed", "1 locked, 1 archived, 0 failed", "1 objects under retention or legal hold cannot be renewed in place",
			"1 archived objects cannot be read until", "2 versions that are not current cannot be renewed in place", "1 uploads in progress have a key of another version", "ask keys status --objects",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q: %s", want, out)
			}
		}
		var shown struct {
			Objects struct{ Locked, Archived, Uploads int }
		}
		if out := rotate("--json"); json.Unmarshal([]byte(lab.JSONLine(out)), &shown) != nil || shown.Objects.Locked != 1 || shown.Objects.Archived != 1 || shown.Objects.Uploads != 1 {
			t.Errorf("as JSON: %s", out)
		}
		// The records cover them: the old version may be destroyed, and all of them read.
		k.wantAnswer(first, true, "yes", "--objects")
		k.command(0, "keys", "destroy", "--yes", first)
		k.proxied(func(client *s3.Client) {
			if _, err := upload.Complete(client, upload.Send(client, 1, bodies["uploaded"])); err != nil {
				t.Fatal(err)
			}
			for key, body := range bodies {
				s3test.MustRead(t, client, k.bucket, key, body)
			}
		})
		k.command(0, "keys", "verify", "--versions", "s3://"+k.bucket)
	})
}
