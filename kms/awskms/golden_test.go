package awskms_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
)

var update = flag.Bool("update", false, "write the golden files")

// The requests as they go over the wire, beside what AWS documents of each
// (testdata/*.documented: the request syntax of the API reference).
func TestTheRequestsAreAsDocumented(t *testing.T) {
	s := newFake(t)
	own, old := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/ExampleAlias", own)
	key := open(t, "awskms://alias/ExampleAlias")
	w := wrap(t, open(t, "awskms:///"+old))
	mustDo := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := key.Current(t.Context())
	mustDo(err)
	_, err = key.Wrap(t.Context(), secret, kms.Context{"bucket": "photos", "id": "00112233445566778899aabbccddeeff"})
	mustDo(err)
	_, err = key.Unwrap(t.Context(), w, bucket)
	mustDo(err)
	_, err = key.(kms.Rewrapper).Rewrap(t.Context(), w, bucket, kms.Context{"bucket": "photos", "id": "00112233445566778899aabbccddeeff"})
	mustDo(err)
	requests := s.Requests()
	for i, name := range []string{"Encrypt", "DescribeKey", "Encrypt", "Decrypt", "ReEncrypt"} {
		if i == 0 {
			continue // of the other key
		}
		r := requests[i]
		var body map[string]any
		mustDo(json.Unmarshal(r.Body, &body))
		for field := range body {
			if field == "CiphertextBlob" {
				body[field] = "BLOB"
			}
			if body[field] == old {
				body[field] = "arn:aws:kms:eu-west-1:111122223333:key/OLD"
			}
		}
		pretty, err := json.MarshalIndent(body, "", "  ")
		mustDo(err)
		got := fmt.Sprintf("%s %s HTTP/1.1\nX-Amz-Target: %s\nContent-Type: %s\n\n%s\n", r.Method, r.Path, r.Target, r.ContentType, pretty)
		path := filepath.Join("testdata", strings.ToLower(name)+".golden")
		if *update {
			mustDo(os.WriteFile(path, []byte(got), 0o644))
		}
		golden, err := os.ReadFile(path)
		mustDo(err)
		if got != string(golden) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, golden)
		}
		// Each field and header is one that AWS documents.
		documented, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(name)+".documented"))
		mustDo(err)
		for field := range body {
			if !strings.Contains(string(documented), `"`+field+`"`) {
				t.Errorf("%s: AWS documents no field %s", name, field)
			}
		}
		if !strings.Contains(string(documented), "X-Amz-Target: "+r.Target+"\n") || !strings.Contains(string(documented), "Content-Type: "+r.ContentType+"\n") {
			t.Errorf("%s: AWS documents another target or content type than %s, %s", name, r.Target, r.ContentType)
		}
	}
}
