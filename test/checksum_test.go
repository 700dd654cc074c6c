package test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Known answers: the "check" values of the CRC catalogue, RFC 1321, FIPS 180-4,
// and the empty input of the xxHash specification.
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
		bucket := newBucket(t, at.S3)
		for _, known := range knownChecksums {
			raw, err := hex.DecodeString(known.sum)
			if err != nil {
				t.Fatal(err)
			}
			header, sum := "x-amz-checksum-"+known.name, base64.StdEncoding.EncodeToString(raw)
			path := "/" + bucket + "/" + known.name
			put := call{method: "PUT", path: path, body: []byte(known.body), headers: map[string]string{header: sum}}.do(t, at.S3)
			if put.status != 200 || put.header.Get(header) != sum {
				t.Errorf("%s: PUT: %v, checksum %q", known.name, put, put.header.Get(header))
			}
			for _, method := range []string{"HEAD", "GET"} {
				a := call{method: method, path: path, headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.do(t, at.S3)
				if a.status != 200 || a.header.Get(header) != sum || a.header.Get("x-amz-checksum-type") != "FULL_OBJECT" {
					t.Errorf("%s: %s gives %q, type %q, status %d", known.name, method, a.header.Get(header), a.header.Get("x-amz-checksum-type"), a.status)
				}
			}
			raw[0] ^= 1
			bad := call{method: "PUT", path: path, body: []byte(known.body), headers: map[string]string{header: base64.StdEncoding.EncodeToString(raw)}}.do(t, at.S3)
			if bad.status != 400 || !bytes.Contains(bad.body, []byte("<Code>BadDigest</Code>")) {
				t.Errorf("%s: a wrong one: %v", known.name, bad)
			}
		}
	})
}

func TestAChecksumOfALargeBodyComesFromItsTrailer(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		body := content(11, 3_000_000)
		path := "/" + bucket + "/large"
		// In a trailer it is known only behind the body: not in the metadata.
		put := call{method: "PUT", path: path, stream: &stream{shape: signedStreamTrailer, body: body}}.do(t, at.S3)
		if put.status != 200 {
			t.Fatal(put)
		}
		for _, method := range []string{"HEAD", "GET"} {
			a := call{method: method, path: path, headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.do(t, at.S3)
			if a.status != 200 || a.header.Get(crcTrailer) != crc32Of(body) {
				t.Errorf("%s: status %d, checksum %q, want %q", method, a.status, a.header.Get(crcTrailer), crc32Of(body))
			}
		}
		// In a header it is known before.
		sum := sha512.Sum512(body)
		encoded := base64.StdEncoding.EncodeToString(sum[:])
		put = call{method: "PUT", path: path, body: body, headers: map[string]string{"x-amz-checksum-sha512": encoded}}.do(t, at.S3)
		if put.status != 200 || put.header.Get("x-amz-checksum-sha512") != encoded {
			t.Errorf("PUT: status %d, checksum %q", put.status, put.header.Get("x-amz-checksum-sha512"))
		}
		a := call{method: "HEAD", path: path, headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.do(t, at.S3)
		if a.header.Get("x-amz-checksum-sha512") != encoded {
			t.Errorf("HEAD: %q", a.header.Get("x-amz-checksum-sha512"))
		}
	})
}
