package attacks

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestNothingOfThePlaintextIsInTheStoresFolder(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		long := s3test.Content(17, 3<<20)
		for position := 0; position+len(s3test.Marker) < len(long); position += 100_003 {
			copy(long[position:], s3test.Marker)
		}
		folder := "/" + bucket + "/"
		s3test.MustPut(t, at.S3, folder+"small", []byte(s3test.Marker))
		s3test.MustPut(t, at.S3, folder+"long", long)
		if got := (s3test.Call{Method: http.MethodPut, Path: folder + "stream", Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: long}}).Do(t, at.S3); got.Status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		if got := (s3test.Call{Method: http.MethodPut, Path: folder + "text", Body: bytes.Repeat([]byte(s3test.Marker), 3000), Headers: map[string]string{"content-type": "text/plain"}}).Do(t, at.S3); got.Status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		// Failed uploads leave nothing either.
		s3test.Call{Method: http.MethodPut, Path: folder + "bad", Body: long, PayloadHash: s3test.HexSHA256(nil)}.Do(t, at.S3)
		s3test.Call{Method: http.MethodPut, Path: folder + "half", Body: long, PayloadHash: s3test.UnsignedPayload, SendNow: 2 << 20}.Do(t, at.S3)
		if got := s3test.Get(t, at.S3, folder+"long"); s3test.SameBytes(got.Body, long) != nil {
			t.Fatalf("read back: %v", got)
		}
		if found := lab.FindIn(t, at.Dir, []byte(bucket)); len(found) == 0 {
			t.Fatalf("the search does not even find the bucket's name below %s", at.Dir)
		}
		if found := lab.FindIn(t, at.Dir, []byte(s3test.Marker), []byte(hex.EncodeToString([]byte(s3test.Marker))), []byte(base64.StdEncoding.EncodeToString([]byte(s3test.Marker)))); len(found) > 0 {
			t.Errorf("the plaintext's marker is in %q", found)
		}
	})
}
