package test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestNothingOfThePlaintextIsInTheStoresFolder(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		long := content(17, 3<<20)
		for position := 0; position+len(marker) < len(long); position += 100_003 {
			copy(long[position:], marker)
		}
		folder := "/" + bucket + "/"
		mustPut(t, at.S3, folder+"small", []byte(marker))
		mustPut(t, at.S3, folder+"long", long)
		if got := (call{method: http.MethodPut, path: folder + "stream", stream: &stream{shape: signedStreamTrailer, body: long}}).do(t, at.S3); got.status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		if got := (call{method: http.MethodPut, path: folder + "text", body: bytes.Repeat([]byte(marker), 3000), headers: map[string]string{"content-type": "text/plain"}}).do(t, at.S3); got.status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		// Uploads that failed leave nothing either.
		call{method: http.MethodPut, path: folder + "bad", body: long, payloadHash: hexSHA256(nil)}.do(t, at.S3)
		call{method: http.MethodPut, path: folder + "half", body: long, payloadHash: unsignedPayload, sendNow: 2 << 20}.do(t, at.S3)
		if got := get(t, at.S3, folder+"long"); sameBytes(got.body, long) != nil {
			t.Fatalf("read back: %v", got)
		}
		if found := lab.FindIn(t, at.Dir, []byte(bucket)); len(found) == 0 {
			t.Fatalf("the search finds not even the bucket's name below %s", at.Dir)
		}
		if found := lab.FindIn(t, at.Dir, []byte(marker), []byte(hex.EncodeToString([]byte(marker))), []byte(base64.StdEncoding.EncodeToString([]byte(marker)))); len(found) > 0 {
			t.Errorf("the plaintext's marker is in %q", found)
		}
	})
}
