package test

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
	unsignedPayload   = "UNSIGNED-PAYLOAD"
	emptySHA256       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	amzDate           = "20060102T150405Z"
	signatureV4       = "AWS4-HMAC-SHA256"
	contentSHA256Name = "x-amz-content-sha256"
)

// call is an S3 request written and signed by hand, so that each of its parts
// can be wrong. The zero values are right.
type call struct {
	method  string
	path    string            // as on the wire: "/bucket/escaped-key"
	query   string            // as on the wire
	headers map[string]string // lower-case names; all are signed
	body    []byte
	stream  *stream // body as aws-chunked

	payloadHash string    // instead of the body's SHA-256
	at          time.Time // instead of now
	region      string    // instead of us-east-1
	accessKey   string
	secret      string // instead of the target's
	unsigned    bool
	authHeader  string // instead of the one that is right

	length  int64 // Content-Length that is claimed; 0: the true one
	sendNow int   // of the body, in bytes, before the sending side is shut; 0: all
	vanish  bool  // after sendNow the whole connection is reset
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	code   string // of S3's XML error
	text   string // its message
	err    error  // the transfer broke; what came before is there

	signature string // of the request
}

func (a answer) String() string {
	switch {
	case a.status == 0:
		return fmt.Sprintf("no answer (%v)", a.err)
	case a.code != "":
		return fmt.Sprintf("%d %s (%s)", a.status, a.code, a.text)
	}
	return fmt.Sprintf("%d with %d bytes, transfer error: %v", a.status, len(a.body), a.err)
}

// do sends the call and reads the answer side by side with the sending, as a
// server may well answer before it has read everything.
func (c call) do(t testing.TB, at lab.S3) answer {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	head, body, signature := c.wire(at, u.Host)
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
		if c.sendNow > 0 {
			conn.Write(body[:c.sendNow])
			if c.vanish {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
				return
			}
			conn.(*net.TCPConn).CloseWrite()
			return
		}
		conn.Write(body)
	}()
	a := readAnswer(bufio.NewReader(conn), c.method)
	a.signature = signature
	conn.Close()
	<-sent
	return a
}

func readAnswer(r *bufio.Reader, method string) (a answer) {
	var resp *http.Response
	for {
		var err error
		if resp, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
			return answer{err: err}
		}
		if resp.StatusCode >= 200 {
			break
		}
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, a.err = io.ReadAll(resp.Body)
	if a.status >= 300 {
		var e struct{ Code, Message string }
		if xml.Unmarshal(a.body, &e) == nil {
			a.code, a.text = e.Code, e.Message
		}
	}
	return a
}

// wire is the request's head and body, and the signature it carries.
func (c call) wire(at lab.S3, host string) (head, body []byte, signature string) {
	if c.at.IsZero() {
		c.at = time.Now()
	}
	c.at = c.at.UTC()
	c.region = orElse(c.region, "us-east-1")
	c.secret = orElse(c.secret, at.SecretKey)
	c.accessKey = orElse(c.accessKey, at.AccessKey)

	headers := map[string]string{"host": host}
	for k, v := range c.headers {
		headers[k] = v
	}
	if c.stream != nil {
		c.payloadHash = orElse(c.payloadHash, c.stream.shape)
		for k, v := range c.stream.headers() {
			if _, given := c.headers[k]; !given {
				headers[k] = v
			}
		}
	}
	key := signingKey(c.secret, c.at, c.region)
	scope := c.at.Format("20060102") + "/" + c.region + "/s3/aws4_request"
	if !c.unsigned {
		headers["x-amz-date"] = c.at.Format(amzDate)
		headers[contentSHA256Name] = orElse(c.payloadHash, hexSHA256(c.body))
		var names string
		signature, names = c.sign(headers, key, scope)
		headers["authorization"] = orElse(c.authHeader, fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			signatureV4, c.accessKey, scope, names, signature))
	}
	body = c.body
	if c.stream != nil {
		body = c.stream.encode(chunkSigner{key: key, date: c.at.Format(amzDate), scope: scope, previous: signature})
	}
	length := int64(len(body))
	if c.length > 0 {
		length = c.length
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", c.method, c.path+ifAny("?", c.query))
	for _, name := range sortedKeys(headers) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, headers[name])
	}
	if length > 0 || c.method == http.MethodPut || c.method == http.MethodPost {
		fmt.Fprintf(&b, "content-length: %d\r\n", length)
	}
	b.WriteString("connection: close\r\n\r\n")
	return b.Bytes(), body, signature
}

// sign makes the signature of the call with these headers (all signed).
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func (c call) sign(headers map[string]string, key []byte, scope string) (signature, names string) {
	sorted := sortedKeys(headers)
	names = strings.Join(sorted, ";")
	var canonical strings.Builder
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", c.method, canonicalPath(c.path), canonicalQuery(c.query))
	for _, n := range sorted {
		fmt.Fprintf(&canonical, "%s:%s\n", n, strings.TrimSpace(headers[n]))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", names, orElse(headers[contentSHA256Name], unsignedPayload))
	toSign := strings.Join([]string{signatureV4, c.at.Format(amzDate), scope, hexSHA256([]byte(canonical.String()))}, "\n")
	return hex.EncodeToString(mac(key, toSign)), names
}

// presign gives the same call with its signature in the query, valid for a time.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func (c call) presign(at lab.S3, valid time.Duration) call {
	if c.at.IsZero() {
		c.at = time.Now()
	}
	c.at = c.at.UTC()
	c.region = orElse(c.region, "us-east-1")
	u, _ := url.Parse(at.URL)
	headers := map[string]string{"host": u.Host}
	for k, v := range c.headers {
		headers[k] = v
	}
	scope := c.at.Format("20060102") + "/" + c.region + "/s3/aws4_request"
	q := url.Values{}
	q.Set("X-Amz-Algorithm", signatureV4)
	q.Set("X-Amz-Credential", orElse(c.accessKey, at.AccessKey)+"/"+scope)
	q.Set("X-Amz-Date", c.at.Format(amzDate))
	q.Set("X-Amz-Expires", fmt.Sprint(int(valid.Seconds())))
	q.Set("X-Amz-SignedHeaders", strings.Join(sortedKeys(headers), ";"))
	if c.query != "" {
		c.query += "&"
	}
	c.query += q.Encode()
	signature, _ := c.sign(headers, signingKey(orElse(c.secret, at.SecretKey), c.at, c.region), scope)
	c.query += "&X-Amz-Signature=" + signature
	c.unsigned = true
	return c
}

func signingKey(secret string, at time.Time, region string) []byte {
	key := mac([]byte("AWS4"+secret), at.Format("20060102"))
	for _, part := range []string{region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}

func hexSHA256(b []byte) string {
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
		pairs = append(pairs, pair{escape(name, false), escape(value, false)})
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

// canonicalPath is S3's own encoding of what the wire form means.
func canonicalPath(p string) string {
	plain, err := url.PathUnescape(p)
	if err != nil {
		return p
	}
	return escape(plain, true)
}

// escape is S3's URI encoding: all but the unreserved bytes, and a path's slashes.
func escape(s string, path bool) string {
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

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

func ifAny(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// copyHead gives a request of Go's client the headers of a call's wire form.
func copyHead(req *http.Request, head []byte) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		panic(err)
	}
	r.Header.Del("Content-Length")
	r.Header.Del("Connection")
	req.Header = r.Header
}

// streamed sends a call with a body of any length, signed as UNSIGNED-PAYLOAD,
// through Go's client, and gives its open response.
func (c call) streamed(t testing.TB, at lab.S3, client *http.Client, body io.Reader, length int64) (*http.Response, error) {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.payloadHash = unsignedPayload
	head, _, _ := c.wire(at, u.Host)
	req, err := http.NewRequestWithContext(t.Context(), c.method, at.URL+c.path+ifAny("?", c.query), body)
	if err != nil {
		t.Fatal(err)
	}
	copyHead(req, head)
	req.ContentLength = length
	return client.Do(req)
}

func get(t testing.TB, at lab.S3, path string) answer {
	t.Helper()
	return call{method: http.MethodGet, path: path}.do(t, at)
}

func mustPut(t testing.TB, at lab.S3, path string, body []byte) {
	t.Helper()
	if got := (call{method: http.MethodPut, path: path, body: body}).do(t, at); got.status != 200 {
		t.Fatalf("PUT %s: %v", path, got)
	}
}

func mustGet(t *testing.T, at lab.S3, bucket, key string, want []byte) *s3.GetObjectOutput {
	t.Helper()
	return mustRead(t, sdk(t, at), bucket, key, want)
}

func mustRead(t *testing.T, client *s3.Client, bucket, key string, want []byte) *s3.GetObjectOutput {
	t.Helper()
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("GetObject %q: %v", key, err)
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil {
		err = sameBytes(got, want)
	}
	if err != nil {
		t.Fatalf("GetObject %q: %v", key, err)
	}
	return out
}

// roundTrip puts and gets an object of n bytes.
func roundTrip(t *testing.T, at lab.S3, bucket string, n int) {
	t.Helper()
	client, body := sdk(t, at), content(uint64(n), n)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(body), ContentEncoding: aws.String("x-own")}); err != nil {
		t.Fatal(err)
	}
	mustGet(t, at, bucket, "k", body)
}

// fetch sends a request that needs no more than its URL.
func fetch(t testing.TB, method, address, kind string, body io.Reader) (status int, header http.Header, got []byte) {
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
