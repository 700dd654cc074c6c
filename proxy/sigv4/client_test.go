package sigv4

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// oddKeys are keys that one client or another encodes, or cleans, differently.
var oddKeys = []string{
	"plain", "a b", "a+b", "a%2Fb", "100%", "a//b", "/leading", "trailing/", "a/./b/../c", "..", "x?y#z", "a;b=c&d",
	"(!'*)", "~-_.", "ümläut/日本語/😀", `back\slash`, "\"quoted\"", "tab\there", "$@:,",
}

// seen is what the test server had of a request that it accepted.
type seen struct {
	auth     Auth
	path     string
	data     []byte
	trailers map[string]string
}

// server verifies and reads every request; accepted requests are kept.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	last *seen
}

func newServer(t *testing.T, withTLS bool) *server {
	t.Helper()
	s := &server{}
	v := exampleVerifier()
	v.Now = nil
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(v, w, r)
	})
	if withTLS {
		s.Server = httptest.NewTLSServer(handler)
	} else {
		s.Server = httptest.NewServer(handler)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(v *Verifier, w http.ResponseWriter, r *http.Request) {
	got, err := func() (*seen, error) {
		auth, err := v.Verify(r)
		if err != nil {
			return nil, err
		}
		body, err := auth.Body(r)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if body.Length >= 0 && body.Length != int64(len(data)) {
			return nil, fmt.Errorf("Length %d of %d bytes", body.Length, len(data))
		}
		return &seen{*auth, r.URL.Path, data, body.Trailers()}, nil
	}()
	s.mu.Lock()
	s.last = got
	s.mu.Unlock()
	var refused *s3err.Error
	switch {
	case errors.As(err, &refused):
		refused.Write(w, r, r.URL.Path, "request", "host")
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		w.Header().Set("Last-Modified", "Fri, 24 May 2013 00:00:00 GMT")
	}
}

// accepted gives the last request, if it was accepted.
func (s *server) accepted(t *testing.T, payload string) *seen {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		t.Fatal("the server accepted nothing")
	}
	if payload != "" && s.last.auth.Payload != payload {
		t.Fatalf("the client sent x-amz-content-sha256: %s", s.last.auth.Payload)
	}
	return s.last
}

func sdkClient(s *server, secret string) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), UsePathStyle: true, HTTPClient: s.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(exampleID, secret, ""), RetryMaxAttempts: 1,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	})
}

// unseekable hides all but Read: the SDK can then not hash before it sends.
type unseekable struct{ io.Reader }

func TestTheSDKsRequestsVerify(t *testing.T) {
	ctx := context.Background()
	plain, secure := newServer(t, false), newServer(t, true)
	data := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	for _, key := range oddKeys {
		t.Run(key, func(t *testing.T) {
			in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: bytes.NewReader(data), Metadata: map[string]string{"note": "two  spaces"}}
			if _, err := sdkClient(plain, exampleSecret).PutObject(ctx, in); err != nil {
				t.Fatal("signed payload:", err)
			}
			if got := plain.accepted(t, hexSum(data)); got.path != "/bucket/"+key || !bytes.Equal(got.data, data) {
				t.Errorf("%d bytes at %q", len(got.data), got.path)
			}
			in.Body, in.ContentLength = unseekable{bytes.NewReader(data)}, aws.Int64(int64(len(data)))
			if _, err := sdkClient(secure, exampleSecret).PutObject(ctx, in); err != nil {
				t.Fatal("unsigned trailer:", err)
			}
			if got := secure.accepted(t, streamingUnsignedTrailer); got.trailers["x-amz-checksum-crc32"] == "" || !bytes.Equal(got.data, data) {
				t.Errorf("%d bytes, trailers %v", len(got.data), got.trailers)
			}
			if _, err := sdkClient(plain, exampleSecret).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), Prefix: &key, Delimiter: aws.String("")}); err != nil && !strings.Contains(err.Error(), "EOF") {
				t.Error("query:", err)
			}
			plain.accepted(t, "")

			signed, err := s3.NewPresignClient(sdkClient(plain, exampleSecret)).PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequest(signed.Method, signed.URL, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := plain.Client().Do(r)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal("presigned:", resp, err)
			}
			if got := plain.accepted(t, UnsignedPayload); got.path != "/bucket/"+key || !got.auth.Presigned || !bytes.Equal(got.data, data) {
				t.Errorf("presigned: %d bytes at %q", len(got.data), got.path)
			}
		})
	}
}

func TestRequestsOfMinioGoVerify(t *testing.T) {
	ctx := context.Background()
	data := bytes.Repeat([]byte("0123456789abcdef"), 20000) // several of its 64 KiB chunks
	for name, c := range map[string]struct {
		secure, trailers bool
		payload          string
	}{
		"signed chunks":    {false, false, streamingSigned},
		"signed trailer":   {false, true, streamingSignedTrailer},
		"unsigned":         {true, false, UnsignedPayload},
		"unsigned trailer": {true, true, streamingUnsignedTrailer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.secure)
			client, err := minio.New(s.Listener.Addr().String(), &minio.Options{
				Creds: miniocreds.NewStaticV4(exampleID, exampleSecret, ""), Region: "us-east-1", Secure: c.secure, TrailingHeaders: c.trailers,
				Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, MaxRetries: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range oddKeys {
				for _, size := range []int{0, 1, 65536, len(data)} {
					if key != "plain" && size != 1 {
						continue
					}
					opts := minio.PutObjectOptions{}
					if c.trailers {
						opts.Checksum = minio.ChecksumCRC32C
					}
					if c.trailers && size == 0 {
						continue // minio-go sends no trailer then
					}
					_, err := client.PutObject(ctx, "bucket", key, bytes.NewReader(data[:size]), int64(size), opts)
					if err != nil {
						t.Fatalf("%q, %d bytes: %v", key, size, err)
					}
					got := s.accepted(t, c.payload)
					if got.path != "/bucket/"+key || !bytes.Equal(got.data, data[:size]) || c.trailers && got.trailers["x-amz-checksum-crc32c"] == "" {
						t.Errorf("%q, %d bytes: %d bytes at %q, trailers %v", key, size, len(got.data), got.path, got.trailers)
					}
				}
			}
		})
	}
}

func TestTheSignersRequestsVerify(t *testing.T) {
	ctx := context.Background()
	s := newServer(t, false)
	creds := aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}
	signer := NewSigner("us-east-1")
	data := bytes.Repeat([]byte("x"), 200000)
	for _, key := range oddKeys {
		t.Run(key, func(t *testing.T) {
			for payload, sign := range map[string]func(*http.Request) error{
				UnsignedPayload: func(r *http.Request) error { return signer.Sign(ctx, r, creds, UnsignedPayload, time.Now()) },
				hexSum(data):    func(r *http.Request) error { return signer.Sign(ctx, r, creds, hexSum(data), time.Now()) },
				streamingSigned: func(r *http.Request) error {
					return signer.SignChunked(ctx, r, creds, bytes.NewReader(data), int64(len(data)), time.Now())
				},
			} {
				r, err := http.NewRequest("PUT", s.URL, bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				r.URL.Path = "/bucket/" + key
				r.URL.RawPath = EncodePath(r.URL.Path)
				r.URL.RawQuery = "b=2%20+&a=%2F&a=&a"
				r.Header.Set("Content-Encoding", "gzip")
				if err := sign(r); err != nil {
					t.Fatal(err)
				}
				resp, err := s.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
					t.Fatalf("%s: %s", payload, answer)
				}
				if got := s.accepted(t, payload); got.path != "/bucket/"+key || !bytes.Equal(got.data, data) {
					t.Errorf("%d bytes at %q", len(got.data), got.path)
				}
			}
		})
	}
}

func TestChunkedLengthIsTheLengthThatIsSent(t *testing.T) {
	creds := aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}
	for _, n := range []int64{0, 1, 15, 16, 8191, 65535, 65536, 65537, 131072, 1 << 20, 1<<20 + 1} {
		for _, body := range []int64{n, n - 1, n + 1} {
			if body < 0 {
				continue
			}
			r, _ := http.NewRequest("PUT", "http://store/b/k", nil)
			err := NewSigner("us-east-1").SignChunked(context.Background(), r, creds, bytes.NewReader(make([]byte, body)), n, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			sent, err := io.ReadAll(r.Body)
			if body == n && (err != nil || int64(len(sent)) != ChunkedLength(n) || r.ContentLength != ChunkedLength(n)) {
				t.Errorf("%d: sent %d of %d: %v", n, len(sent), ChunkedLength(n), err)
			}
			if body != n && (err == nil || strings.Contains(string(sent), "\r\n0;") || strings.HasPrefix(string(sent), "0;")) {
				t.Errorf("%d bytes sent as %d: %v", body, n, err)
			}
		}
	}
}

func TestHeadersThatNetHTTPTakesOutAreVerifiedToo(t *testing.T) {
	s := newServer(t, false)
	for _, chunked := range []bool{false, true} {
		data := []byte("some data")
		r, err := http.NewRequest("PUT", s.URL+"/bucket/key", unseekable{bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		length := "9"
		if !chunked {
			r.ContentLength = 9
		} else {
			length = ""
		}
		r.Header.Set("Expect", "100-continue")
		r.Header.Set("User-Agent", "test  agent")
		r.Header.Add("X-Many", " a")
		r.Header.Add("X-Many", "b   c ")
		r.Header.Set("X-Amz-Content-Sha256", UnsignedPayload)
		stamp := time.Now().UTC().Format(timeFormat)
		r.Header.Set("X-Amz-Date", stamp)
		names := []string{"content-length", "expect", "host", "user-agent", "x-amz-content-sha256", "x-amz-date", "x-many"}
		values := []string{length, "100-continue", r.URL.Host, "test agent", UnsignedPayload, stamp, "a,b c"}
		if chunked {
			names[0], values[0] = "expect", values[1]
			names, values = names[1:], values[1:]
			names = append(names[:2:2], append([]string{"transfer-encoding"}, names[2:]...)...)
			values = append(values[:2:2], append([]string{"chunked"}, values[2:]...)...)
		}
		var text strings.Builder
		text.WriteString("PUT\n/bucket/key\n\n")
		for i := range names {
			text.WriteString(names[i] + ":" + values[i] + "\n")
		}
		text.WriteString("\n" + strings.Join(names, ";") + "\n" + UnsignedPayload)
		c := credential{exampleID, stamp[:8], "us-east-1"}
		ch := chain{key: signingKey(exampleSecret, c.date, c.region), stamp: stamp, scope: c.scope()}
		r.Header.Set("Authorization", algorithm+" Credential="+exampleID+"/"+c.scope()+", SignedHeaders="+strings.Join(names, ";")+", Signature="+ch.mac(ch.stringToSign([]byte(text.String()))))
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
			t.Errorf("chunked %v: %s\nexpected:\n%s", chunked, answer, text.String())
		}
	}
}

// sdkSigned signs r with AWS's own signer.
func sdkSigned(t *testing.T, r *http.Request, payload string, when time.Time) *http.Request {
	t.Helper()
	r.Header.Set("X-Amz-Content-Sha256", payload)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}, r, payload, "s3", "us-east-1", when); err != nil {
		t.Fatal(err)
	}
	return r
}
