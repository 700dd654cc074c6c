package sigv4

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// AWS's own examples; all use these credentials, this region and this moment.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exampleScope  = exampleID + "/20130524/us-east-1/s3/aws4_request"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func exampleVerifier() *Verifier {
	return &Verifier{
		Region: "us-east-1",
		Secret: func(id string) (string, bool) { return exampleSecret, id == exampleID },
		Now:    func() time.Time { return exampleTime },
	}
}

// example builds a request of the examples; its signed headers are host and
// those given.
func example(method, target, signature string, headers map[string]string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	names := []string{"host"}
	for name, value := range headers {
		r.Header.Set(name, value)
		names = append(names, name)
	}
	slices.Sort(names)
	r.Header.Set("Authorization", algorithm+" Credential="+exampleScope+",SignedHeaders="+strings.Join(names, ";")+",Signature="+signature)
	return r
}

func TestTheExamplesOfAWSVerify(t *testing.T) {
	const host = "http://examplebucket.s3.amazonaws.com"
	welcome := "Welcome to Amazon S3."
	common := map[string]string{"x-amz-date": "20130524T000000Z", "x-amz-content-sha256": emptySum}
	with := func(more map[string]string) map[string]string {
		m := maps.Clone(common)
		maps.Copy(m, more)
		return m
	}
	for name, r := range map[string]*http.Request{
		"GET object": example("GET", host+"/test.txt", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
			with(map[string]string{"range": "bytes=0-9"}), nil),
		"PUT object": example("PUT", host+"/test$file.text", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			with(map[string]string{"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY", "x-amz-content-sha256": hexSum([]byte(welcome))}), strings.NewReader(welcome)),
		"GET bucket lifecycle": example("GET", host+"/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", common, nil),
		"list objects":         example("GET", host+"/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", common, nil),
		"presigned": httptest.NewRequest("GET", host+"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"+
			"X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", nil),
	} {
		t.Run(name, func(t *testing.T) {
			auth, err := exampleVerifier().Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := auth.Body(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(body); err != nil || auth.AccessKeyID != exampleID || auth.Presigned != (name == "presigned") {
				t.Fatalf("%+v: %v", auth, err)
			}
		})
	}
}

// exampleChunks is the body of the streaming examples, with what their
// signatures are.
func exampleChunks(signatures [3]string, end string) string {
	a := strings.Repeat("a", 65536)
	return "10000;chunk-signature=" + signatures[0] + "\r\n" + a + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + a[:1024] + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n" + end + "\r\n"
}

const exampleTrailer = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"

func exampleStreaming(body string) *http.Request {
	return example("PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", map[string]string{
		"x-amz-date": "20130524T000000Z", "x-amz-storage-class": "REDUCED_REDUNDANCY", "x-amz-content-sha256": streamingSigned,
		"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "66560", "content-length": "66824",
	}, strings.NewReader(body))
}

func exampleStreamingTrailer(body string) *http.Request {
	return example("PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", map[string]string{
		"x-amz-date": "20130524T000000Z", "x-amz-storage-class": "REDUCED_REDUNDANCY", "x-amz-content-sha256": streamingSignedTrailer,
		"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "66560", "x-amz-trailer": "x-amz-checksum-crc32c",
	}, strings.NewReader(body))
}

var (
	exampleSigned = exampleChunks([3]string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, "")
	exampleSignedTrailer = exampleChunks([3]string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"}, exampleTrailer)
)

// read verifies and reads r as the proxy does.
func read(t *testing.T, r *http.Request) ([]byte, *Body, error) {
	t.Helper()
	auth, err := exampleVerifier().Verify(r)
	if err != nil {
		t.Fatalf("the request itself: %v", err)
	}
	body, err := auth.Body(r)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(body)
	return data, body, err
}

func TestTheStreamingExamplesOfAWSVerify(t *testing.T) {
	if len(exampleSigned) != 66824 {
		t.Fatalf("the example is %d bytes", len(exampleSigned))
	}
	want := bytes.Repeat([]byte("a"), 66560)
	data, body, err := read(t, exampleStreaming(exampleSigned))
	if err != nil || !bytes.Equal(data, want) || body.Length != 66560 {
		t.Errorf("signed chunks: %d bytes: %v", len(data), err)
	}
	data, body, err = read(t, exampleStreamingTrailer(exampleSignedTrailer))
	if err != nil || !bytes.Equal(data, want) || body.Trailers()["x-amz-checksum-crc32c"] != "sOO8/Q==" ||
		!slices.Equal(body.DeclaredTrailers(), []string{"x-amz-checksum-crc32c"}) {
		t.Errorf("signed trailer: %d bytes, %v: %v", len(data), body.Trailers(), err)
	}
}

func TestSignChunkedMakesTheExampleOfAWS(t *testing.T) {
	r, err := http.NewRequest("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
	creds := aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}
	err = NewSigner("us-east-1").SignChunked(context.Background(), r, creds, strings.NewReader(strings.Repeat("a", 66560)), 66560, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != exampleSigned || r.ContentLength != 66824 {
		t.Errorf("%d bytes of %d: %v", len(body), r.ContentLength, err)
	}
}

func TestEveryChangeOfASignedStreamIsSeen(t *testing.T) {
	for name, original := range map[string]struct {
		body    string
		request func(string) *http.Request
	}{"signed": {exampleSigned, exampleStreaming}, "signed trailer": {exampleSignedTrailer, exampleStreamingTrailer}} {
		t.Run(name, func(t *testing.T) {
			framing := []int{0, 10, 60, 86, 88, 65536 + 88 + 1, len(original.body) - 3, len(original.body) - 1}
			for i := len(original.body) - 210; i < len(original.body); i += 7 {
				framing = append(framing, i)
			}
			for _, i := range append(framing, 100, 60000, 65536+180) {
				b := []byte(original.body)
				b[i] ^= 1
				_, _, err := read(t, original.request(string(b)))
				var refused *s3err.Error
				if !errors.As(err, &refused) || refused.Status >= 500 {
					t.Errorf("byte %d (%q) changed: %v", i, original.body[i], err)
				}
			}
			for i := 0; i < len(original.body); i += 1 + i%977*13 {
				if _, _, err := read(t, original.request(original.body[:i])); !errors.Is(err, s3err.IncompleteBody) {
					t.Errorf("cut after %d bytes: %v", i, err)
				}
			}
		})
	}
}
