package test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
)

// attack is a PUT that must not become an object.
type attack struct {
	name   string
	status int
	code   string // S3's; empty: no answer is needed
	call   func(path string, body []byte) call
}

// attacks are the bad uploads that the issue lists, in each shape of signature
// that can carry them.
var attacks = []attack{
	{"signed with a wrong secret", 403, "SignatureDoesNotMatch", func(path string, body []byte) call {
		return call{path: path, body: body, secret: "not-the-secret"}
	}},
	{"signed with a wrong secret, payload unsigned", 403, "SignatureDoesNotMatch", func(path string, body []byte) call {
		return call{path: path, body: body, secret: "not-the-secret", payloadHash: unsignedPayload}
	}},
	{"a key that nobody has", 403, "InvalidAccessKeyId", func(path string, body []byte) call {
		return call{path: path, body: body, accessKey: "nobody"}
	}},
	{"unsigned", 403, "AccessDenied", func(path string, body []byte) call {
		return call{path: path, body: body, unsigned: true}
	}},
	{"body is not what was signed", 400, "XAmzContentSHA256Mismatch", func(path string, body []byte) call {
		return call{path: path, body: flipped(body, len(body)-1), payloadHash: hexSHA256(body)}
	}},
	{"wrong Content-MD5", 400, "BadDigest", func(path string, body []byte) call {
		return call{path: path, body: body, headers: map[string]string{"content-md5": md5Of(flipped(body, 0))}}
	}},
	{"wrong Content-MD5 of an unsigned payload", 400, "BadDigest", func(path string, body []byte) call {
		return call{path: path, body: body, payloadHash: unsignedPayload, headers: map[string]string{"content-md5": md5Of(flipped(body, 0))}}
	}},
	{"Content-MD5 that is none", 400, "InvalidDigest", func(path string, body []byte) call {
		return call{path: path, body: body, headers: map[string]string{"content-md5": "bm90IGFuIE1ENQ=="}}
	}},
	{"wrong CRC32 in the header", 400, "BadDigest", func(path string, body []byte) call {
		return call{path: path, body: body, headers: map[string]string{crcTrailer: crc32Of(flipped(body, 0))}}
	}},
	{"wrong SHA256 in the header", 400, "BadDigest", func(path string, body []byte) call {
		sum := sha256.Sum256(flipped(body, 0))
		return call{path: path, body: body, payloadHash: unsignedPayload,
			headers: map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum[:])}}
	}},
	{"wrong CRC32 in a trailer", 400, "BadDigest", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, checksum: crc32Of(flipped(body, 0))}}
	}},
	{"wrong CRC32 in a signed trailer", 400, "BadDigest", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStreamTrailer, body: body, checksum: crc32Of(flipped(body, 0))}}
	}},
	{"forged signature of the first chunk", 403, "SignatureDoesNotMatch", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, forge: 1}}
	}},
	{"forged signature of the final chunk", 403, "SignatureDoesNotMatch", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, forge: 1 + (len(body)+65535)/65536}}
	}},
	{"forged signature of the trailer", 403, "SignatureDoesNotMatch", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStreamTrailer, body: body, forgeTrailer: true}}
	}},
	{"signed chunks without the final one", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, noFinal: true}}
	}},
	{"unsigned chunks without the final one", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, noFinal: true}}
	}},
	{"signed chunks cut short", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, noFinal: true, cut: 2 + len(body)/2}}
	}},
	{"unsigned chunks cut short", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, noFinal: true, cut: 2 + len(body)/2}}
	}},
	{"signed chunks shorter than the decoded length", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, decoded: len(body) + 1}}
	}},
	{"signed chunks longer than the decoded length", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body, decoded: len(body) - 1}}
	}},
	{"unsigned chunks longer than the decoded length", 400, "IncompleteBody", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, decoded: len(body) - 1}}
	}},
	{"a promised trailer that is missing", 400, "MalformedTrailerError", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, noTrailer: true}}
	}},
	{"a promised signed trailer that is missing", 400, "MalformedTrailerError", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStreamTrailer, body: body, noTrailer: true}}
	}},
	{"another trailer than was promised", 400, "MalformedTrailerError", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, otherTrailer: "x-amz-checksum-crc32c:AAAAAA=="}}
	}},
	{"metadata that only the proxy may set", 400, "InvalidArgument", func(path string, body []byte) call {
		return call{path: path, body: body, headers: map[string]string{"x-amz-meta-s3proxy-dek": "AAAA"}}
	}},
	{"metadata that only the proxy may set, of no known name", 400, "InvalidArgument", func(path string, body []byte) call {
		return call{path: path, body: body, headers: map[string]string{"x-amz-meta-s3proxy-note": "mine"}}
	}},
	{"a client gone at half", 0, "", func(path string, body []byte) call {
		return call{path: path, body: body, sendNow: len(body) / 2}
	}},
	{"a client gone at half, payload unsigned", 0, "", func(path string, body []byte) call {
		return call{path: path, body: body, payloadHash: unsignedPayload, sendNow: len(body) / 2}
	}},
	{"a client whose connection is reset at half", 0, "", func(path string, body []byte) call {
		return call{path: path, body: body, payloadHash: unsignedPayload, sendNow: len(body) / 2, vanish: true}
	}},
	{"a client gone at half of its chunks", 0, "", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: signedStream, body: body}, sendNow: len(body) / 2}
	}},
	{"a client gone behind its last chunk of data", 0, "", func(path string, body []byte) call {
		return call{path: path, stream: &stream{shape: unsignedStreamTrailer, body: body, noFinal: true}, length: int64(len(body)) + 100<<10, sendNow: len(body)}
	}},
	{"dated too early", 403, "RequestTimeTooSkewed", func(path string, body []byte) call {
		return call{path: path, body: body, at: time.Now().Add(-16 * time.Minute)}
	}},
	{"dated too late", 403, "RequestTimeTooSkewed", func(path string, body []byte) call {
		return call{path: path, body: body, at: time.Now().Add(16 * time.Minute)}
	}},
	{"signed for another region", 400, "AuthorizationHeaderMalformed", func(path string, body []byte) call {
		return call{path: path, body: body, region: "eu-central-1"}
	}},
}

// Bodies that the proxy holds whole, holds several segments of, and streams.
var attackSizes = []int{10, 100 << 10, 3 << 20}

func TestBadUploadsLeaveWhatWasThereBefore(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) { wantNoBadUpload(t, at.S3, newBucket(t, at.S3)) })
}

// versitygw keeps what came of a bare body that is cut.
func TestBadUploadsLeaveWhatWasThereBeforeThoughTheStoreChecksNoBodies(t *testing.T) {
	store := lab.SharedVersitygw(t)
	encrypted, plain := newBucket(t, store.S3()), newBucket(t, store.S3())
	settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", plain))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-payload", "unsigned", "--config", settings}})
	t.Run("encrypted", func(t *testing.T) { wantNoBadUpload(t, proxy.S3(), encrypted) })
	t.Run("plain", func(t *testing.T) { wantNoBadUpload(t, proxy.S3(), plain) })
	for _, bucket := range []string{encrypted, plain} {
		left, err := sdk(t, store.S3()).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil || len(left.Uploads) > 0 {
			t.Errorf("uploads that are left: %v, %v", left.Uploads, err)
		}
	}
}

// wantNoBadUpload tries all attacks on objects of a bucket, old and new.
func wantNoBadUpload(t *testing.T, at lab.S3, bucket string) {
	t.Helper()
	for _, size := range attackSizes {
		for n, a := range attacks {
			t.Run(fmt.Sprintf("%s with %d bytes", a.name, size), func(t *testing.T) {
				body := content(uint64(n), size)
				before := content(uint64(1000+n), size+1)
				old := fmt.Sprintf("/%s/old-%d-%d", bucket, size, n)
				fresh := fmt.Sprintf("/%s/new-%d-%d", bucket, size, n)
				mustPut(t, at, old, before)
				for _, path := range []string{old, fresh} {
					c := a.call(path, body)
					c.method = http.MethodPut
					got := c.do(t, at)
					if a.code != "" && (got.status != a.status || got.code != a.code) {
						t.Errorf("the answer is %v, want %d %s", got, a.status, a.code)
					}
					if a.code == "" && got.status != 0 && got.status < 400 {
						t.Errorf("the answer is %v to half a body", got)
					}
				}
				if got := get(t, at, old); got.status != 200 || sameBytes(got.body, before) != nil {
					t.Errorf("the object that was there before is now %v", got)
				}
				if got := get(t, at, fresh); got.status != 404 || got.code != "NoSuchKey" {
					t.Errorf("there is a new object: %v", got)
				}
			})
		}
	}
	// A client gone is noticed a little after it went; whatever came of it is there now.
	list, err := sdk(t, at).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(attackSizes) * len(attacks); len(list.Contents) != want {
		t.Errorf("%d objects are listed, want the %d that were there before", len(list.Contents), want)
	}
}

func TestGoodUploadsOfTheSameShapesBecomeObjects(t *testing.T) {
	shapes := map[string]func(path string, body []byte) call{
		"signed":           func(p string, b []byte) call { return call{path: p, body: b} },
		"unsigned payload": func(p string, b []byte) call { return call{path: p, body: b, payloadHash: unsignedPayload} },
		"signed chunks":    func(p string, b []byte) call { return call{path: p, stream: &stream{shape: signedStream, body: b}} },
		"signed trailer": func(p string, b []byte) call {
			return call{path: p, stream: &stream{shape: signedStreamTrailer, body: b}}
		},
		"unsigned trailer": func(p string, b []byte) call {
			return call{path: p, stream: &stream{shape: unsignedStreamTrailer, body: b}}
		},
		"Content-MD5": func(p string, b []byte) call {
			return call{path: p, body: b, headers: map[string]string{"content-md5": md5Of(b)}}
		},
		"CRC32 in a header": func(p string, b []byte) call {
			return call{path: p, body: b, headers: map[string]string{crcTrailer: crc32Of(b)}}
		},
	}
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		for name, shape := range shapes {
			for _, size := range append([]int{0}, attackSizes...) {
				t.Run(fmt.Sprintf("%s with %d bytes", name, size), func(t *testing.T) {
					body := content(7, size)
					c := shape("/"+bucket+"/key", body)
					c.method = http.MethodPut
					if got := c.do(t, at.S3); got.status != 200 {
						t.Fatalf("the answer is %v", got)
					}
					got := get(t, at.S3, "/"+bucket+"/key")
					if err := sameBytes(got.body, body); got.status != 200 || err != nil {
						t.Errorf("read back: %v %v", got, err)
					}
				})
			}
		}
	})
}

func TestIfNoneMatchKeepsAnExistingObject(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) { wantConditions(t, at.S3, newBucket(t, at.S3)) })
}

func TestConditionsHoldForBodiesThatTheStoreCannotCheck(t *testing.T) {
	for _, store := range lab.SharedStores(t) {
		encrypted, plain := newBucket(t, store.S3()), newBucket(t, store.S3())
		settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", plain))
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-payload", "unsigned", "--config", settings}})
		wantConditions(t, proxy.S3(), encrypted)
		wantConditions(t, proxy.S3(), plain)
	}
}

// wantConditions writes on If-None-Match and If-Match.
func wantConditions(t *testing.T, at lab.S3, bucket string) {
	t.Helper()
	for _, size := range attackSizes {
		path := fmt.Sprintf("/%s/%d", bucket, size)
		first := content(1, size)
		put := call{method: http.MethodPut, path: path, body: first, headers: map[string]string{"if-none-match": "*"}}
		got := put.do(t, at)
		if got.status != 200 || got.header.Get("Content-Type") != "" || got.header.Get("Content-Length") != "0" {
			t.Fatalf("the first PUT of %d bytes: %v %v", size, got, got.header)
		}
		etag := got.header.Get("Etag")
		put.body = content(2, size)
		if got := put.do(t, at); got.status != 412 || got.code != "PreconditionFailed" {
			t.Errorf("the second PUT of %d bytes: %v, want 412 PreconditionFailed", size, got)
		}
		put.headers = map[string]string{"if-match": `"00000000000000000000000000000000"`}
		if got := put.do(t, at); got.status != 412 || got.code != "PreconditionFailed" {
			t.Errorf("a PUT of %d bytes over another object: %v, want 412 PreconditionFailed", size, got)
		}
		if got := get(t, at, path); sameBytes(got.body, first) != nil || got.header.Get("Etag") != etag {
			t.Errorf("the object of %d bytes is now %v, ETag %s, was %s", size, got, got.header.Get("Etag"), etag)
		}
		put.headers = map[string]string{"if-match": etag}
		if got := put.do(t, at); got.status != 200 {
			t.Errorf("a PUT of %d bytes over the object that is there: %v", size, got)
		}
		if got := get(t, at, path); sameBytes(got.body, put.body) != nil {
			t.Errorf("the object of %d bytes is now %v", size, got)
		}
	}
}
