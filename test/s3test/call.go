package s3test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
)

const (
	UnsignedPayload   = "UNSIGNED-PAYLOAD"
	EmptySHA256       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	amzDate           = "20060102T150405Z"
	SignatureV4       = "AWS4-HMAC-SHA256"
	contentSHA256Name = "x-amz-content-sha256"
)

// Call is an S3 request written and signed by hand, so that each of its parts can be wrong. The
// zero value of a field means the correct value.
type Call struct {
	Method  string
	Path    string            // as on the wire: "/bucket/escaped-key"
	Query   string            // as on the wire
	Headers map[string]string // lower-case names; all are signed
	Body    []byte
	Stream  *Stream // body as aws-chunked

	PayloadHash string    // instead of the body's SHA-256
	At          time.Time // instead of now
	Region      string    // instead of us-east-1
	AccessKey   string
	Secret      string // instead of the target's
	Unsigned    bool
	AuthHeader  string // instead of the correct one

	Length  int64 // Content-Length to claim; 0: the true one
	SendNow int   // bytes of the body to send before shutting the sending side; 0: all
	Vanish  bool  // reset the whole connection after SendNow
}

// Answer is the response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Code   string // of S3's XML error
	Text   string // its message
	Err    error  // the transfer broke; what came before is kept

	Signature string // of the request
}

func (a Answer) String() string {
	switch {
	case a.Status == 0:
		return fmt.Sprintf("no answer (%v)", a.Err)
	case a.Code != "":
		return fmt.Sprintf("%d %s (%s)", a.Status, a.Code, a.Text)
	}
	return fmt.Sprintf("%d with %d bytes, transfer error: %v", a.Status, len(a.Body), a.Err)
}

// Do sends the call and reads the answer concurrently, because a server may answer before it has
// read everything.
func (c Call) Do(t testing.TB, at lab.S3) Answer {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	head, body, signature := c.Wire(at, u.Host)
	conn, err := net.DialTimeout("tcp", u.Host, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lab.AnswerWithin))

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		conn.Write(head)
		if c.SendNow > 0 {
			conn.Write(body[:c.SendNow])
			if c.Vanish {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
				return
			}
			conn.(*net.TCPConn).CloseWrite()
			return
		}
		conn.Write(body)
	}()
	a := ReadAnswer(bufio.NewReader(conn), c.Method)
	a.Signature = signature
	conn.Close()
	<-sent
	return a
}

// ReadAnswer reads the answer to a request with this method.
func ReadAnswer(r *bufio.Reader, method string) (a Answer) {
	var resp *http.Response
	for {
		var err error
		if resp, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
			return Answer{Err: err}
		}
		if resp.StatusCode >= 200 {
			break
		}
	}
	defer resp.Body.Close()
	a.Status, a.Header = resp.StatusCode, resp.Header
	a.Body, a.Err = io.ReadAll(resp.Body)
	if a.Status >= 300 {
		var e struct{ Code, Message string }
		if xml.Unmarshal(a.Body, &e) == nil {
			a.Code, a.Text = e.Code, e.Message
		}
	}
	return a
}

// Wire returns the request's head and body, and its signature.
func (c Call) Wire(at lab.S3, host string) (head, body []byte, signature string) {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	c.At = c.At.UTC()
	c.Region = OrElse(c.Region, "us-east-1")
	c.Secret = OrElse(c.Secret, at.SecretKey)
	c.AccessKey = OrElse(c.AccessKey, at.AccessKey)

	headers := map[string]string{"host": host}
	for k, v := range c.Headers {
		headers[k] = v
	}
	if c.Stream != nil {
		c.PayloadHash = OrElse(c.PayloadHash, c.Stream.Shape)
		for k, v := range c.Stream.headers() {
			if _, given := c.Headers[k]; !given {
				headers[k] = v
			}
		}
	}
	key := signingKey(c.Secret, c.At, c.Region)
	scope := c.At.Format("20060102") + "/" + c.Region + "/s3/aws4_request"
	if !c.Unsigned {
		headers["x-amz-date"] = c.At.Format(amzDate)
		headers[contentSHA256Name] = OrElse(c.PayloadHash, HexSHA256(c.Body))
		var names string
		signature, names = c.sign(headers, key, scope)
		headers["authorization"] = OrElse(c.AuthHeader, fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			SignatureV4, c.AccessKey, scope, names, signature))
	}
	body = c.Body
	if c.Stream != nil {
		body = c.Stream.encode(chunkSigner{key: key, date: c.At.Format(amzDate), scope: scope, previous: signature})
	}
	length := int64(len(body))
	if c.Length > 0 {
		length = c.Length
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", c.Method, c.Path+IfAny("?", c.Query))
	for _, name := range sortedKeys(headers) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, headers[name])
	}
	if length > 0 || c.Method == http.MethodPut || c.Method == http.MethodPost {
		fmt.Fprintf(&b, "content-length: %d\r\n", length)
	}
	b.WriteString("connection: close\r\n\r\n")
	return b.Bytes(), body, signature
}

// sign computes the signature of the call, with all of these headers signed.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func (c Call) sign(headers map[string]string, key []byte, scope string) (signature, names string) {
	sorted := sortedKeys(headers)
	names = strings.Join(sorted, ";")
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", c.Method, canonicalPath(c.Path), canonicalQuery(c.Query))
	for _, n := range sorted {
		fmt.Fprintf(&canonical, "%s:%s\n", n, strings.TrimSpace(headers[n]))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", names, OrElse(headers[contentSHA256Name], UnsignedPayload))
	toSign := strings.Join([]string{SignatureV4, c.At.Format(amzDate), scope, HexSHA256([]byte(canonical.String()))}, "\n")
	return hex.EncodeToString(MAC(key, toSign)), names
}

// Presign returns the same call with its signature in the query, valid for a time.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func (c Call) Presign(at lab.S3, valid time.Duration) Call {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	c.At = c.At.UTC()
	c.Region = OrElse(c.Region, "us-east-1")
	u, _ := url.Parse(at.URL)
	headers := map[string]string{"host": u.Host}
	for k, v := range c.Headers {
		headers[k] = v
	}
	scope := c.At.Format("20060102") + "/" + c.Region + "/s3/aws4_request"
	q := url.Values{}
	q.Set("X-Amz-Algorithm", SignatureV4)
	q.Set("X-Amz-Credential", OrElse(c.AccessKey, at.AccessKey)+"/"+scope)
	q.Set("X-Amz-Date", c.At.Format(amzDate))
	q.Set("X-Amz-Expires", fmt.Sprint(int(valid.Seconds())))
	q.Set("X-Amz-SignedHeaders", strings.Join(sortedKeys(headers), ";"))
	if c.Query != "" {
		c.Query += "&"
	}
	c.Query += q.Encode()
	signature, _ := c.sign(headers, signingKey(OrElse(c.Secret, at.SecretKey), c.At, c.Region), scope)
	c.Query += "&X-Amz-Signature=" + signature
	c.Unsigned = true
	return c
}

func signingKey(secret string, at time.Time, region string) []byte {
	key := MAC([]byte("AWS4"+secret), at.Format("20060102"))
	for _, part := range []string{region, "s3", "aws4_request"} {
		key = MAC(key, part)
	}
	return key
}

// MAC is one step in the derivation of a signing key.
func MAC(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}

// HexSHA256 is the x-amz-content-sha256 of a body.
func HexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalQuery sorts by name, then by value, each in S3's encoding.
func canonicalQuery(q string) string {
	if q == "" {
		return ""
	}
	type pair struct{ name, value string }
	var pairs []pair
	for p := range strings.SplitSeq(q, "&") {
		name, value, _ := strings.Cut(p, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		pairs = append(pairs, pair{Escape(name, false), Escape(value, false)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// canonicalPath is S3's encoding of the path that the wire form means.
func canonicalPath(p string) string {
	plain, err := url.PathUnescape(p)
	if err != nil {
		return p
	}
	return Escape(plain, true)
}

// Escape is S3's URI encoding: it escapes all but the unreserved bytes and, in a path, slashes.
func Escape(s string, path bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// OrElse is s, or otherwise if s is empty.
func OrElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// IfAny is s with a prefix, or empty if s is empty.
func IfAny(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// CopyHead copies the headers of a call's wire form to a request of Go's client.
func CopyHead(req *http.Request, head []byte) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		panic(err)
	}
	r.Header.Del("Content-Length")
	r.Header.Del("Connection")
	req.Header = r.Header
}

// Streamed sends a call with a body of any length through Go's client, signed as UNSIGNED-PAYLOAD,
// and returns the open response.
func (c Call) Streamed(t testing.TB, at lab.S3, client *http.Client, body io.Reader, length int64) (*http.Response, error) {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.PayloadHash = UnsignedPayload
	head, _, _ := c.Wire(at, u.Host)
	req, err := http.NewRequestWithContext(t.Context(), c.Method, at.URL+c.Path+IfAny("?", c.Query), body)
	if err != nil {
		t.Fatal(err)
	}
	CopyHead(req, head)
	req.ContentLength = length
	return client.Do(req)
}

// Get reads an object with a signed request.
func Get(t testing.TB, at lab.S3, path string) Answer {
	t.Helper()
	return Call{Method: http.MethodGet, Path: path}.Do(t, at)
}

// MustPut writes an object.
func MustPut(t testing.TB, at lab.S3, path string, body []byte) {
	t.Helper()
	if got := (Call{Method: http.MethodPut, Path: path, Body: body}).Do(t, at); got.Status != 200 {
		t.Fatalf("PUT %s: %v", path, got)
	}
}

// MustGet reads an object through the SDK and compares it.
func MustGet(t *testing.T, at lab.S3, bucket, key string, want []byte) *s3.GetObjectOutput {
	t.Helper()
	return MustRead(t, SDK(t, at), bucket, key, want)
}

// MustRead is MustGet with an existing client.
func MustRead(t *testing.T, client *s3.Client, bucket, key string, want []byte) *s3.GetObjectOutput {
	t.Helper()
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("GetObject %q: %v", key, err)
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil {
		err = SameBytes(got, want)
	}
	if err != nil {
		t.Fatalf("GetObject %q: %v", key, err)
	}
	return out
}

// RoundTrip puts and gets an object of n bytes.
func RoundTrip(t *testing.T, at lab.S3, bucket string, n int) {
	t.Helper()
	client, body := SDK(t, at), Content(uint64(n), n)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(body), ContentEncoding: aws.String("x-own")}); err != nil {
		t.Fatal(err)
	}
	MustGet(t, at, bucket, "k", body)
}

// Fetch sends a request for which the URL is enough.
func Fetch(t testing.TB, method, address, kind string, body io.Reader) (status int, header http.Header, got []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, got
}
