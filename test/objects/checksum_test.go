package objects

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Known answers: the "check" values of the CRC catalogue, RFC 1321, FIPS 180-4, and the empty input
// of the xxHash specification.
var knownChecksums = []struct{ name, body, sum string }{
	{"crc32", "123456789", "cbf43926"},
	{"crc32c", "123456789", "e3069283"},
	{"crc64nvme", "123456789", "ae8b14860a799888"},
	{"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
	{"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"sha512", "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	{"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
	{"xxhash64", "", "ef46db3751d8e999"},
	{"xxhash3", "", "2d06800538d394c2"},
	{"xxhash128", "", "99aa06d3014798d86001c324468d497f"},
}

func TestEveryChecksumOfS3IsVerifiedKeptAndGivenBack(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for _, known := range knownChecksums {
			raw, err := hex.DecodeString(known.sum)
			if err != nil {
				t.Fatal(err)
			}
			header, sum := "x-amz-checksum-"+known.name, base64.StdEncoding.EncodeToString(raw)
			path := "/" + bucket + "/" + known.name
			put := s3test.Call{Method: "PUT", Path: path, Body: []byte(known.body), Headers: map[string]string{header: sum}}.Do(t, at.S3)
			if put.Status != 200 || put.Header.Get(header) != sum {
				t.Errorf("%s: PUT: %v, checksum %q", known.name, put, put.Header.Get(header))
			}
			for _, method := range []string{"HEAD", "GET"} {
				a := s3test.Call{Method: method, Path: path, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at.S3)
				if a.Status != 200 || a.Header.Get(header) != sum || a.Header.Get("x-amz-checksum-type") != "FULL_OBJECT" {
					t.Errorf("%s: %s gives %q, type %q, status %d", known.name, method, a.Header.Get(header), a.Header.Get("x-amz-checksum-type"), a.Status)
				}
			}
			raw[0] ^= 1
			bad := s3test.Call{Method: "PUT", Path: path, Body: []byte(known.body), Headers: map[string]string{header: base64.StdEncoding.EncodeToString(raw)}}.Do(t, at.S3)
			if bad.Status != 400 || !bytes.Contains(bad.Body, []byte("<Code>BadDigest</Code>")) {
				t.Errorf("%s: a wrong one: %v", known.name, bad)
			}
		}
	})
}

func TestAChecksumOfALargeBodyComesFromItsTrailer(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		body := s3test.Content(11, 3_000_000)
		path := "/" + bucket + "/large"
		// A checksum in a trailer is known only after the body, so it is not in the metadata.
		put := s3test.Call{Method: "PUT", Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body}}.Do(t, at.S3)
		if put.Status != 200 {
			t.Fatal(put)
		}
		for _, method := range []string{"HEAD", "GET"} {
			a := s3test.Call{Method: method, Path: path, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at.S3)
			if a.Status != 200 || a.Header.Get(s3test.CRCTrailer) != s3test.CRC32Of(body) {
				t.Errorf("%s: status %d, checksum %q, want %q", method, a.Status, a.Header.Get(s3test.CRCTrailer), s3test.CRC32Of(body))
			}
		}
		// A checksum in a header is known before the body.
		sum := sha512.Sum512(body)
		encoded := base64.StdEncoding.EncodeToString(sum[:])
		put = s3test.Call{Method: "PUT", Path: path, Body: body, Headers: map[string]string{"x-amz-checksum-sha512": encoded}}.Do(t, at.S3)
		if put.Status != 200 || put.Header.Get("x-amz-checksum-sha512") != encoded {
			t.Errorf("PUT: status %d, checksum %q", put.Status, put.Header.Get("x-amz-checksum-sha512"))
		}
		a := s3test.Call{Method: "HEAD", Path: path, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at.S3)
		if a.Header.Get("x-amz-checksum-sha512") != encoded {
			t.Errorf("HEAD: %q", a.Header.Get("x-amz-checksum-sha512"))
		}
	})
}
