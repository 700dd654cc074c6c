package attacks

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// attack is a PUT that must not create an object.
type attack struct {
	name   string
	status int
	code   string // S3's error code; empty: no answer is needed
	call   func(path string, body []byte) s3test.Call
}

// attacks are the bad uploads, each in every shape of signature that can carry it.
var attacks = []attack{
	{"signed with a wrong secret", 403, "SignatureDoesNotMatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Secret: "not-the-secret"}
	}},
	{"signed with a wrong secret, payload unsigned", 403, "SignatureDoesNotMatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Secret: "not-the-secret", PayloadHash: s3test.UnsignedPayload}
	}},
	{"a key that nobody has", 403, "InvalidAccessKeyId", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, AccessKey: "nobody"}
	}},
	{"unsigned", 403, "AccessDenied", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Unsigned: true}
	}},
	{"body is not what was signed", 400, "XAmzContentSHA256Mismatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: s3test.Flipped(body, len(body)-1), PayloadHash: s3test.HexSHA256(body)}
	}},
	{"wrong Content-MD5", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Headers: map[string]string{"content-md5": s3test.MD5Of(s3test.Flipped(body, 0))}}
	}},
	{"wrong Content-MD5 of an unsigned payload", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, PayloadHash: s3test.UnsignedPayload, Headers: map[string]string{"content-md5": s3test.MD5Of(s3test.Flipped(body, 0))}}
	}},
	{"Content-MD5 that is none", 400, "InvalidDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Headers: map[string]string{"content-md5": "bm90IGFuIE1ENQ=="}}
	}},
	{"wrong CRC32 in the header", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Headers: map[string]string{s3test.CRCTrailer: s3test.CRC32Of(s3test.Flipped(body, 0))}}
	}},
	{"wrong SHA256 in the header", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		sum := sha256.Sum256(s3test.Flipped(body, 0))
		return s3test.Call{Path: path, Body: body, PayloadHash: s3test.UnsignedPayload,
			Headers: map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum[:])}}
	}},
	{"wrong CRC32 in a trailer", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, Checksum: s3test.CRC32Of(s3test.Flipped(body, 0))}}
	}},
	{"wrong CRC32 in a signed trailer", 400, "BadDigest", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body, Checksum: s3test.CRC32Of(s3test.Flipped(body, 0))}}
	}},
	{"forged signature of the first chunk", 403, "SignatureDoesNotMatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, Forge: 1}}
	}},
	{"forged signature of the final chunk", 403, "SignatureDoesNotMatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, Forge: 1 + (len(body)+65535)/65536}}
	}},
	{"forged signature of the trailer", 403, "SignatureDoesNotMatch", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body, ForgeTrailer: true}}
	}},
	{"signed chunks without the final one", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, NoFinal: true}}
	}},
	{"unsigned chunks without the final one", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, NoFinal: true}}
	}},
	{"signed chunks cut short", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, NoFinal: true, Cut: 2 + len(body)/2}}
	}},
	{"unsigned chunks cut short", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, NoFinal: true, Cut: 2 + len(body)/2}}
	}},
	{"signed chunks shorter than the decoded length", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, Decoded: len(body) + 1}}
	}},
	{"signed chunks longer than the decoded length", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, Decoded: len(body) - 1}}
	}},
	{"unsigned chunks longer than the decoded length", 400, "IncompleteBody", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, Decoded: len(body) - 1}}
	}},
	{"a promised trailer that is missing", 400, "MalformedTrailerError", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, NoTrailer: true}}
	}},
	{"a promised signed trailer that is missing", 400, "MalformedTrailerError", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body, NoTrailer: true}}
	}},
	{"another trailer than was promised", 400, "MalformedTrailerError", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, OtherTrailer: "x-amz-checksum-crc32c:AAAAAA=="}}
	}},
	{"metadata that only the proxy may set", 400, "InvalidArgument", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Headers: map[string]string{"x-amz-meta-s3proxy-dek": "AAAA"}}
	}},
	{"metadata that only the proxy may set, of no known name", 400, "InvalidArgument", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, Headers: map[string]string{"x-amz-meta-s3proxy-note": "mine"}}
	}},
	{"a client gone at half", 0, "", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, SendNow: len(body) / 2}
	}},
	{"a client gone at half, payload unsigned", 0, "", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, PayloadHash: s3test.UnsignedPayload, SendNow: len(body) / 2}
	}},
	{"a client whose connection is reset at half", 0, "", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, PayloadHash: s3test.UnsignedPayload, SendNow: len(body) / 2, Vanish: true}
	}},
	{"a client gone at half of its chunks", 0, "", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body}, SendNow: len(body) / 2}
	}},
	{"a client gone behind its last chunk of data", 0, "", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: body, NoFinal: true}, Length: int64(len(body)) + 100<<10, SendNow: len(body)}
	}},
	{"dated too early", 403, "RequestTimeTooSkewed", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, At: time.Now().Add(-16 * time.Minute)}
	}},
	{"dated too late", 403, "RequestTimeTooSkewed", func(path string, body []byte) s3test.Call {
		return s3test.Call{Path: path, Body: body, At: time.Now().Add(16 * time.Minute)}
	}},
}

// Sizes of bodies that the proxy holds whole, holds several segments of, and streams.
var attackSizes = []int{10, 100 << 10, 3 << 20}

func TestBadUploadsLeaveWhatWasThereBefore(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) { wantNoBadUpload(t, at.S3, s3test.NewBucket(t, at.S3)) })
}

// versitygw keeps what arrived of a bare body that is cut.
func TestBadUploadsLeaveWhatWasThereBeforeThoughTheStoreChecksNoBodies(t *testing.T) {
	store := lab.SharedVersitygw(t)
	encrypted, plain := s3test.NewBucket(t, store.S3()), s3test.NewBucket(t, store.S3())
	settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", plain))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-payload", "unsigned", "--config", settings}})
	t.Run("encrypted", func(t *testing.T) { wantNoBadUpload(t, proxy.S3(), encrypted) })
	t.Run("plain", func(t *testing.T) { wantNoBadUpload(t, proxy.S3(), plain) })
	for _, bucket := range []string{encrypted, plain} {
		left, err := s3test.SDK(t, store.S3()).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil || len(left.Uploads) > 0 {
			t.Errorf("uploads left behind: %v, %v", left.Uploads, err)
		}
	}
}

// wantNoBadUpload tries all attacks on objects of a bucket, existing and new; in `make test`, each
// attack with one of the sizes.
func wantNoBadUpload(t *testing.T, at lab.S3, bucket string) {
	t.Helper()
	want := 0
	for i, size := range attackSizes {
		for n, a := range attacks {
			if (i+n)%lab.Every(len(attackSizes), 1) != 0 {
				continue
			}
			want++
			t.Run(fmt.Sprintf("%s with %d bytes", a.name, size), func(t *testing.T) {
				body := s3test.Content(uint64(n), size)
				before := s3test.Content(uint64(1000+n), size+1)
				old := fmt.Sprintf("/%s/old-%d-%d", bucket, size, n)
				fresh := fmt.Sprintf("/%s/new-%d-%d", bucket, size, n)
				s3test.MustPut(t, at, old, before)
				for _, path := range []string{old, fresh} {
					c := a.call(path, body)
					c.Method = http.MethodPut
					got := c.Do(t, at)
					if a.code != "" && (got.Status != a.status || got.Code != a.code) {
						t.Errorf("the answer is %v, want %d %s", got, a.status, a.code)
					}
					if a.code == "" && got.Status != 0 && got.Status < 400 {
						t.Errorf("half a body is answered with %v", got)
					}
				}
				if got := s3test.Get(t, at, old); got.Status != 200 || s3test.SameBytes(got.Body, before) != nil {
					t.Errorf("the object from before is now %v", got)
				}
				if got := s3test.Get(t, at, fresh); got.Status != 404 || got.Code != "NoSuchKey" {
					t.Errorf("there is a new object: %v", got)
				}
			})
		}
	}
	// The proxy notices a little late that a client is gone; by now any consequence is visible.
	list, err := s3test.SDK(t, at).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Contents) != want {
		t.Errorf("%d objects are listed, want the %d that were there before", len(list.Contents), want)
	}
}

func TestGoodUploadsOfTheSameShapesBecomeObjects(t *testing.T) {
	shapes := map[string]func(path string, body []byte) s3test.Call{
		"signed": func(p string, b []byte) s3test.Call { return s3test.Call{Path: p, Body: b} },
		"unsigned payload": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Body: b, PayloadHash: s3test.UnsignedPayload}
		},
		"signed chunks": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: b}}
		},
		"signed trailer": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: b}}
		},
		"unsigned trailer": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Stream: &s3test.Stream{Shape: s3test.UnsignedStreamTrailer, Body: b}}
		},
		"Content-MD5": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Body: b, Headers: map[string]string{"content-md5": s3test.MD5Of(b)}}
		},
		"CRC32 in a header": func(p string, b []byte) s3test.Call {
			return s3test.Call{Path: p, Body: b, Headers: map[string]string{s3test.CRCTrailer: s3test.CRC32Of(b)}}
		},
	}
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for name, shape := range shapes {
			for _, size := range append([]int{0}, attackSizes...) {
				t.Run(fmt.Sprintf("%s with %d bytes", name, size), func(t *testing.T) {
					body := s3test.Content(7, size)
					c := shape("/"+bucket+"/key", body)
					c.Method = http.MethodPut
					if got := c.Do(t, at.S3); got.Status != 200 {
						t.Fatalf("the answer is %v", got)
					}
					got := s3test.Get(t, at.S3, "/"+bucket+"/key")
					if err := s3test.SameBytes(got.Body, body); got.Status != 200 || err != nil {
						t.Errorf("read back: %v %v", got, err)
					}
				})
			}
		}
	})
}

func TestIfNoneMatchKeepsAnExistingObject(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) { wantConditions(t, at.S3, s3test.NewBucket(t, at.S3)) })
}

func TestConditionsHoldForBodiesThatTheStoreCannotCheck(t *testing.T) {
	for _, store := range lab.SharedStores(t) {
		encrypted, plain := s3test.NewBucket(t, store.S3()), s3test.NewBucket(t, store.S3())
		settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", plain))
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-payload", "unsigned", "--config", settings}})
		wantConditions(t, proxy.S3(), encrypted)
		wantConditions(t, proxy.S3(), plain)
	}
}

// wantConditions writes with If-None-Match and If-Match.
func wantConditions(t *testing.T, at lab.S3, bucket string) {
	t.Helper()
	for _, size := range attackSizes {
		path := fmt.Sprintf("/%s/%d", bucket, size)
		first := s3test.Content(1, size)
		put := s3test.Call{Method: http.MethodPut, Path: path, Body: first, Headers: map[string]string{"if-none-match": "*"}}
		got := put.Do(t, at)
		if got.Status != 200 || got.Header.Get("Content-Type") != "" || got.Header.Get("Content-Length") != "0" {
			t.Fatalf("the first PUT of %d bytes: %v %v", size, got, got.Header)
		}
		etag := got.Header.Get("Etag")
		put.Body = s3test.Content(2, size)
		if got := put.Do(t, at); got.Status != 412 || got.Code != "PreconditionFailed" {
			t.Errorf("the second PUT of %d bytes: %v, want 412 PreconditionFailed", size, got)
		}
		put.Headers = map[string]string{"if-match": `"00000000000000000000000000000000"`}
		if got := put.Do(t, at); got.Status != 412 || got.Code != "PreconditionFailed" {
			t.Errorf("a PUT of %d bytes over another object: %v, want 412 PreconditionFailed", size, got)
		}
		if got := s3test.Get(t, at, path); s3test.SameBytes(got.Body, first) != nil || got.Header.Get("Etag") != etag {
			t.Errorf("the object of %d bytes is now %v, ETag %s, was %s", size, got, got.Header.Get("Etag"), etag)
		}
		put.Headers = map[string]string{"if-match": etag}
		if got := put.Do(t, at); got.Status != 200 {
			t.Errorf("a PUT of %d bytes over the existing object: %v", size, got)
		}
		if got := s3test.Get(t, at, path); s3test.SameBytes(got.Body, put.Body) != nil {
			t.Errorf("the object of %d bytes is now %v", size, got)
		}
	}
}
