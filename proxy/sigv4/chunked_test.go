package sigv4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// upload is an aws-chunked PUT whose request itself is always signed well.
type upload struct {
	payload string // x-amz-content-sha256
	trailer string // x-amz-trailer
	decoded string // x-amz-decoded-content-length
	framed  int64  // Content-Length; 0: that of the body
}

// request signs the upload; body gets the chain that it must go on with.
func (u upload) request(t *testing.T, body func(c *chain) string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("PUT", "http://s3.test/bucket/key", nil)
	if u.trailer != "" {
		r.Header.Set("X-Amz-Trailer", u.trailer)
	}
	if u.decoded != "" {
		r.Header.Set("X-Amz-Decoded-Content-Length", u.decoded)
	}
	sdkSigned(t, r, u.payload, exampleTime)
	_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	text := body(&chain{key: signingKey(exampleSecret, "20130524", "us-east-1"), stamp: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request", previous: seed})
	r.ContentLength = int64(len(text))
	if u.framed != 0 {
		r.ContentLength = u.framed
	}
	r.Body = io.NopCloser(strings.NewReader(text))
	return r
}

// read reads the upload as it comes and byte by byte, which must not differ.
func (u upload) read(t *testing.T, body func(c *chain) string) (string, error) {
	t.Helper()
	whole, _, err := read(t, u.request(t, body))
	r := u.request(t, body)
	r.Body = io.NopCloser(iotest.OneByteReader(r.Body))
	if _, _, again := read(t, r); fmt.Sprint(again) != fmt.Sprint(err) {
		t.Errorf("%v; byte by byte: %v", err, again)
	}
	return string(whole), err
}

func signedChunk(c *chain, data string) string {
	sum := sha256.Sum256([]byte(data))
	head := fmt.Sprintf("%x;chunk-signature=%s\r\n", len(data), c.chunk(sum[:]))
	if data == "" {
		return head
	}
	return head + data + "\r\n"
}

const (
	terminated  = "The request body terminated unexpectedly"
	wrongLength = "You did not provide the number of bytes specified by the Content-Length HTTP header"
)

func TestSignedStreamsThatAreForgedOrBrokenAreRefused(t *testing.T) {
	big := strings.Repeat("b", minChunk)
	for name, c := range map[string]struct {
		decoded int
		body    func(c *chain) string
		want    *s3err.Error // nil: good
		text    string
	}{
		"good":  {5, func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") + "\r\n" }, nil, ""},
		"empty": {0, func(c *chain) string { return signedChunk(c, "") + "\r\n" }, nil, ""},
		"many chunks": {2*minChunk + 5, func(c *chain) string {
			return signedChunk(c, big) + signedChunk(c, big) + signedChunk(c, "hello") + signedChunk(c, "") + "\r\n"
		}, nil, ""},
		"chunks exchanged": {2 * minChunk, func(c *chain) string {
			a, b := signedChunk(c, big), signedChunk(c, strings.ToUpper(big))
			return b + a + signedChunk(c, "") + "\r\n"
		}, s3err.SignatureDoesNotMatch, ""},
		"a chunk left out": {minChunk, func(c *chain) string {
			signedChunk(c, big)
			return signedChunk(c, big) + signedChunk(c, "") + "\r\n"
		}, s3err.SignatureDoesNotMatch, ""},
		"signed with another key": {5, func(c *chain) string {
			c.key = []byte("x")
			return signedChunk(c, "hello") + signedChunk(c, "") + "\r\n"
		}, s3err.SignatureDoesNotMatch, ""},
		"a forged chunk signature": {5, func(c *chain) string {
			return "5;chunk-signature=" + emptySum + "\r\nhello\r\n" + signedChunk(c, "") + "\r\n"
		}, s3err.SignatureDoesNotMatch, ""},
		"a forged last signature":  {5, func(c *chain) string { return signedChunk(c, "hello") + "0;chunk-signature=" + emptySum + "\r\n\r\n" }, s3err.SignatureDoesNotMatch, ""},
		"no last chunk":            {5, func(c *chain) string { return signedChunk(c, "hello") }, s3err.IncompleteBody, terminated},
		"no end of the last chunk": {5, func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") }, s3err.IncompleteBody, terminated},
		"an unsigned last chunk":   {5, func(c *chain) string { return signedChunk(c, "hello") + "0\r\n\r\n" }, s3err.IncompleteBody, terminated},
		"unsigned chunks":          {5, func(c *chain) string { return "5\r\nhello\r\n0\r\n\r\n" }, s3err.IncompleteBody, terminated},
		"not chunked at all":       {5, func(c *chain) string { return "hello" }, s3err.IncompleteBody, terminated},
		"nothing":                  {5, func(c *chain) string { return "" }, s3err.IncompleteBody, terminated},
		"less than declared":       {6, func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") + "\r\n" }, s3err.IncompleteBody, wrongLength},
		"more than declared":       {4, func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") + "\r\n" }, s3err.IncompleteBody, wrongLength},
		"something behind the end": {5, func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") + "\r\nX" }, s3err.IncompleteBody, wrongLength},
		"a trailer nobody declared": {5, func(c *chain) string {
			return signedChunk(c, "hello") + signedChunk(c, "") + "x-amz-checksum-crc32:NhCmhg==\r\n\r\n"
		}, s3err.MalformedTrailerError, ""},
		"a small chunk in between": {15, func(c *chain) string {
			return signedChunk(c, "hello") + signedChunk(c, "helloworld") + signedChunk(c, "") + "\r\n"
		}, s3err.InvalidChunkSizeError, "Only the last chunk is allowed to have a size less than 8192 bytes"},
		"another extension": {5, func(c *chain) string {
			return strings.Replace(signedChunk(c, "hello"), ";", ";a=b;", 1) + signedChunk(c, "") + "\r\n"
		}, s3err.IncompleteBody, terminated},
		"a long header": {5, func(c *chain) string {
			return strings.Repeat("0", 300) + signedChunk(c, "hello") + signedChunk(c, "") + "\r\n"
		}, s3err.IncompleteBody, terminated},
		"an endless header":       {5, func(c *chain) string { return strings.Repeat("0", 1<<20) }, s3err.IncompleteBody, terminated},
		"a negative size":         {5, func(c *chain) string { return "-" + signedChunk(c, "hello") + signedChunk(c, "") + "\r\n" }, s3err.IncompleteBody, terminated},
		"a size of 2^64":          {5, func(c *chain) string { return "1000000000000000" + signedChunk(c, "hello") }, s3err.IncompleteBody, terminated},
		"a signature in capitals": {5, func(c *chain) string { return "5;chunk-signature=" + strings.ToUpper(emptySum) + "\r\nhello\r\n" }, s3err.IncompleteBody, terminated},
		"a line feed without return": {5, func(c *chain) string {
			return strings.ReplaceAll(signedChunk(c, "hello")+signedChunk(c, "")+"\r\n", "\r\n", "\n")
		}, s3err.IncompleteBody, terminated},
		"data longer than its chunk": {6, func(c *chain) string {
			return strings.Replace(signedChunk(c, "hello"), "hello", "hello!", 1) + signedChunk(c, "") + "\r\n"
		}, s3err.IncompleteBody, terminated},
	} {
		t.Run(name, func(t *testing.T) {
			u := upload{payload: streamingSigned, decoded: strconv.Itoa(c.decoded)}
			data, err := u.read(t, c.body)
			if len(data) > c.decoded {
				t.Errorf("%d bytes given of %d", len(data), c.decoded)
			}
			if c.want != nil {
				wantRefused(t, err, c.want, c.text)
			} else if err != nil || len(data) != c.decoded {
				t.Errorf("%d bytes: %v", len(data), err)
			}
		})
	}
}

func TestTheTooSmallChunkIsNamed(t *testing.T) {
	u := upload{payload: streamingUnsignedTrailer, decoded: "8302"}
	_, err := u.read(t, func(*chain) string {
		return "2000\r\n" + strings.Repeat("a", 8192) + "\r\n64\r\n" + strings.Repeat("a", 100) + "\r\na\r\n0123456789\r\n0\r\n\r\n"
	})
	e := wantRefused(t, err, s3err.InvalidChunkSizeError, "")
	if e.Field("Chunk") != "2" || e.Field("BadChunkSize") != "100" {
		t.Errorf("%+v", e.Fields)
	}
}

func signedTrailer(c *chain, text string) string {
	return trailerSignature + ":" + c.trailer([]byte(text)) + "\r\n"
}

func TestSignedTrailersThatAreForgedOrBrokenAreRefused(t *testing.T) {
	const line = "x-amz-checksum-crc32:NhCmhg=="
	hello := func(c *chain) string { return signedChunk(c, "hello") + signedChunk(c, "") }
	for name, c := range map[string]struct {
		declared string
		end      func(c *chain) string
		want     *s3err.Error
		text     string
	}{
		"good": {"x-amz-checksum-crc32", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") + "\r\n" }, nil, ""},
		"good in capitals": {"X-Amz-Checksum-CRC32", func(c *chain) string {
			return "X-Amz-Checksum-CRC32: NhCmhg==\r\n" + signedTrailer(c, line+"\n") + "\r\n"
		}, nil, ""},
		"good as from minio-go": {"x-amz-checksum-crc32", func(c *chain) string { return line + "\n\r\n" + signedTrailer(c, line+"\n") + "\r\n" }, nil, ""},
		"two": {"x-amz-checksum-crc32, x-amz-note", func(c *chain) string {
			return line + "\r\nx-amz-note:a b\r\n" + signedTrailer(c, line+"\nx-amz-note:a b\n") + "\r\n"
		}, nil, ""},
		"a forged signature": {"x-amz-checksum-crc32", func(c *chain) string { return line + "\r\n" + trailerSignature + ":" + emptySum + "\r\n\r\n" }, s3err.SignatureDoesNotMatch, ""},
		"another value": {"x-amz-checksum-crc32", func(c *chain) string {
			return strings.Replace(line, "Nh", "AA", 1) + "\r\n" + signedTrailer(c, line+"\n") + "\r\n"
		}, s3err.SignatureDoesNotMatch, ""},
		"no signature":       {"x-amz-checksum-crc32", func(c *chain) string { return line + "\r\n\r\n" }, s3err.IncompleteBody, terminated},
		"missing":            {"x-amz-checksum-crc32", func(c *chain) string { return "\r\n" }, s3err.MalformedTrailerError, ""},
		"missing but signed": {"x-amz-checksum-crc32", func(c *chain) string { return signedTrailer(c, "") + "\r\n" }, s3err.MalformedTrailerError, ""},
		"one of two missing": {"x-amz-checksum-crc32,x-amz-note", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") + "\r\n" }, s3err.MalformedTrailerError, ""},
		"twice": {"x-amz-checksum-crc32,x-amz-note", func(c *chain) string {
			return line + "\r\n" + line + "\r\n" + signedTrailer(c, line+"\n"+line+"\n") + "\r\n"
		}, s3err.MalformedTrailerError, ""},
		"another": {"x-amz-checksum-sha1", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") + "\r\n" }, s3err.MalformedTrailerError, ""},
		"one more": {"x-amz-note", func(c *chain) string {
			return "x-amz-note:a\r\n" + line + "\r\n" + signedTrailer(c, "x-amz-note:a\n"+line+"\n") + "\r\n"
		}, s3err.MalformedTrailerError, ""},
		"none declared":            {"", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") + "\r\n" }, s3err.MalformedTrailerError, ""},
		"none at all":              {"", func(c *chain) string { return signedTrailer(c, "") + "\r\n" }, s3err.MalformedTrailerError, ""},
		"no end":                   {"x-amz-checksum-crc32", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") }, s3err.IncompleteBody, terminated},
		"something behind the end": {"x-amz-checksum-crc32", func(c *chain) string { return line + "\r\n" + signedTrailer(c, line+"\n") + "\r\n\r\n" }, s3err.IncompleteBody, wrongLength},
		"a return within":          {"x-amz-checksum-crc32", func(c *chain) string { return line + "\rbcd" + signedTrailer(c, line+"\n") + "\r\n" }, s3err.IncompleteBody, terminated},
		"another signature's name": {"x-amz-checksum-crc32", func(c *chain) string {
			return line + "\r\n" + strings.Replace(signedTrailer(c, line+"\n"), "sign", "abcd", 1) + "\r\n"
		}, s3err.IncompleteBody, terminated},
		"a long signature": {"x-amz-checksum-crc32", func(c *chain) string {
			return line + "\r\n" + strings.Replace(signedTrailer(c, line+"\n"), ":", ":0", 1) + "\r\n"
		}, s3err.IncompleteBody, terminated},
		"too long": {"x-amz-note,x-amz-a,x-amz-b", func(c *chain) string {
			return strings.Replace("x-amz-note:a\r\nx-amz-a:a\r\nx-amz-b:a\r\n", "a\r", strings.Repeat("a", 3000)+"\r", 3)
		}, s3err.IncompleteBody, terminated},
	} {
		t.Run(name, func(t *testing.T) {
			u := upload{payload: streamingSignedTrailer, decoded: "5", trailer: c.declared}
			data, err := u.read(t, func(ch *chain) string { return hello(ch) + c.end(ch) })
			if c.want != nil {
				wantRefused(t, err, c.want, c.text)
			} else if err != nil || data != "hello" {
				t.Errorf("%q: %v", data, err)
			}
		})
	}
}

func TestUnsignedTrailersThatAreBrokenAreRefused(t *testing.T) {
	const crc = "x-amz-checksum-crc64nvme"
	for _, c := range []struct {
		declared, decoded, body string
		want                    *s3err.Error
		text                    string
	}{
		{crc, "5", "5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\r\n\r\n", nil, ""},
		{crc, "5", "5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\n\r\n\r\n", nil, ""}, // minio-go
		{"", "11", "B\r\nhello world\r\n0\r\n\r\n", nil, ""},
		{crc, "5", "5\r\nhello\r\n0\r\n\r\n", s3err.MalformedTrailerError, ""},
		{crc, "5", "5\r\nhello\r\n0\r\n:M3eFcAZSQlc=\r\n\r\n", s3err.MalformedTrailerError, ""},
		{"", "5", "5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\r\n\r\n", s3err.MalformedTrailerError, ""},
		{crc, "5", "5\r\nhello\r\n0\r\ninvalid_trailer:M3eFcAZSQlc=\r\n\r\n", s3err.MalformedTrailerError, ""},
		{crc, "5", "5\r\nhello\r\n0\r\n" + crc + ":M3e\rFcA=\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "5", "5\r\nhello\r\n0\r\n" + crc + ":M3e\x00FcA=\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "", "5\r\nhello\r\n0\r\n" + crc + ":M3eFcAZSQlc=\r\n\r\n", s3err.MissingContentLength, ""},
		{crc, "abc", "", s3err.MissingContentLength, ""},
		{crc, "12x", "", s3err.MissingContentLength, ""},
		{crc, "-1", "", s3err.MissingContentLength, ""},
		{crc + "," + crc, "5", "", s3err.InvalidRequest, "The value specified in the x-amz-trailer header is not supported"},
		{crc, "10", "A\ndummy data\r\n0\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\ndummy data0\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "B\r\ndummy data\r\n0\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\ndummy data\r\n0\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\nA\r\ndummy data\r\n0\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "invalid_chunk_size\r\ndummy data\r\n0\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A\r\ndummy data\r\nJ\r\n" + crc + ":dPVWc2vU1+Q=\r\n\r\n", s3err.IncompleteBody, terminated},
		{crc, "10", "A;chunk-signature=" + emptySum + "\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\r\n\r\n", s3err.IncompleteBody, terminated},
		{"", "5", "b\r\nabcdefghijk\r\n0\r\n\r\n", s3err.IncompleteBody, wrongLength},
		{"", "200", "b\r\nabcdefghijk\r\n0\r\n\r\n", s3err.IncompleteBody, wrongLength},
		{crc, "128", "a\r\ndummy data\r\n0\r\n" + crc + ":dPVWc2vU1+Q=\r\n\r\n", s3err.IncompleteBody, wrongLength},
		{crc, "7", "a\r\ndummy data\r\n0\r\nx-amz-checksum-sha256:eXuw\r\n\r\n", s3err.IncompleteBody, wrongLength},
	} {
		u := upload{payload: streamingUnsignedTrailer, decoded: c.decoded, trailer: c.declared}
		_, err := u.read(t, func(*chain) string { return c.body })
		if c.want == nil && err != nil || c.want != nil && (!errors.Is(err, c.want) || c.text != "" && !strings.HasSuffix(err.Error(), c.text)) {
			t.Errorf("%q (%s bytes, %q declared): %v", c.body, c.decoded, c.declared, err)
		}
	}
}

func TestNoByteOfAForgedChunksEndIsGiven(t *testing.T) {
	u := upload{payload: streamingSigned, decoded: "20000"}
	r := u.request(t, func(c *chain) string {
		good := signedChunk(c, strings.Repeat("g", 10000))
		return good + "2710;chunk-signature=" + emptySum + "\r\n" + strings.Repeat("f", 10000) + "\r\n"
	})
	data, _, err := read(t, r)
	if !errors.Is(err, s3err.SignatureDoesNotMatch) || strings.Count(string(data), "g") != 10000 || strings.Count(string(data), "f") >= 10000 {
		t.Errorf("%d bytes: %v", len(data), err)
	}
}

// repeated gives n bytes without holding them.
type repeated struct{ n int64 }

func (r *repeated) Read(p []byte) (int, error) {
	n := min(int64(len(p)), r.n)
	r.n -= n
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

func TestAHugeChunkFlowsInConstantMemory(t *testing.T) {
	const size = 1 << 30
	u := upload{payload: streamingUnsignedTrailer, decoded: strconv.Itoa(size)}
	r := u.request(t, func(*chain) string { return "" })
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(fmt.Sprintf("%x\r\n", size)), &repeated{size}, strings.NewReader("\r\n0\r\n\r\n")))
	auth, err := exampleVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := auth.Body(r)
	if err != nil {
		t.Fatal(err)
	}
	buf, n := make([]byte, 1<<20), int64(0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for err == nil {
		var m int
		m, err = body.Read(buf)
		n += int64(m)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err != io.EOF || n != size || used > 1<<20 {
		t.Errorf("%d bytes, %d of memory: %v", n, used, err)
	}
}

func BenchmarkSignedChunks(b *testing.B) {
	c := &chain{key: []byte("key")}
	var one strings.Builder
	data := strings.Repeat("d", 64<<10)
	for range 64 {
		one.WriteString(signedChunk(c, data))
	}
	one.WriteString(signedChunk(c, "") + "\r\n")
	buf := make([]byte, 256<<10)
	b.SetBytes(64 * 64 << 10)
	for b.Loop() {
		a := &Auth{AccessKeyID: "a", Payload: streamingSigned, chain: chain{key: []byte("key")}}
		r := httptest.NewRequest("PUT", "http://s3.test/b/k", strings.NewReader(one.String()))
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(64*64<<10))
		body, err := a.Body(r)
		for err == nil {
			_, err = body.Read(buf)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
