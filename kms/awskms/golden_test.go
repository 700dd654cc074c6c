package awskms_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
)

var update = flag.Bool("update", false, "write the golden files")

// The requests as they go over the wire (testdata/*.golden), beside what AWS publishes of
// each: the request syntax of its API reference (*.documented) and the example request there
// (*.example, without the length and signature of another body).
func TestTheRequestsAreAsDocumented(t *testing.T) {
	s := newFake(t)
	own, old := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/ExampleAlias", own)
	key := open(t, "awskms://alias/ExampleAlias")
	before := open(t, "awskms:///"+old)
	w := wrap(t, before)
	mustDo := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := key.Current(t.Context())
	mustDo(err)
	_, err = key.Wrap(t.Context(), secret, kms.Context{"bucket": "photos", "id": "00112233445566778899aabbccddeeff"})
	mustDo(err)
	_, err = before.Unwrap(t.Context(), w, bucket)
	mustDo(err)
	_, err = key.(kms.Rewrapper).Rewrap(t.Context(), before, w, bucket, kms.Context{"bucket": "photos", "id": "00112233445566778899aabbccddeeff"})
	mustDo(err)
	requests := s.Requests()[1:] // the first is of the other key
	for i, name := range []string{"DescribeKey", "Encrypt", "Decrypt", "ReEncrypt"} {
		r := requests[i]
		sent := message{line: r.Method + " " + r.Path + " HTTP/1.1", target: r.Target, contentType: r.ContentType}
		mustDo(json.Unmarshal(r.Body, &sent.body))
		syntax := published(t, name+".documented")
		example := published(t, name+".example")
		// AWS's page has it so.
		example.contentType = strings.TrimSuffix(example.contentType, "* ReEncrypt")
		for what, p := range map[string]message{"the syntax": syntax, "the example": example} {
			if sent.line != p.line || sent.target != p.target || sent.contentType != p.contentType {
				t.Errorf("%s: sent %q, %q, %q; %s has %q, %q, %q", name, sent.line, sent.target, sent.contentType, what, p.line, p.target, p.contentType)
			}
		}
		for field, value := range sent.body {
			if !fits(syntax.body[field], value) {
				t.Errorf("%s: %s is %v, AWS documents %v", name, field, value, syntax.body[field])
			}
		}
		for field, value := range example.body {
			if !fits(syntax.body[field], value) {
				t.Errorf("%s: the example's %s is %v, AWS documents %v", name, field, value, syntax.body[field])
			}
			if _, ok := sent.body[field]; !ok {
				t.Errorf("%s: the example has a %s, the request none", name, field)
			}
		}
		for field := range sent.body { // what differs each time
			if field == "CiphertextBlob" {
				sent.body[field] = "BLOB"
			}
			if sent.body[field] == old {
				sent.body[field] = "arn:aws:kms:eu-west-1:111122223333:key/OLD"
			}
		}
		pretty, err := json.MarshalIndent(sent.body, "", "  ")
		mustDo(err)
		got := fmt.Sprintf("%s\nX-Amz-Target: %s\nContent-Type: %s\n\n%s\n", sent.line, sent.target, sent.contentType, pretty)
		path := filepath.Join("testdata", strings.ToLower(name)+".golden")
		if *update {
			mustDo(os.WriteFile(path, []byte(got), 0o644))
		}
		golden, err := os.ReadFile(path)
		mustDo(err)
		if got != string(golden) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, golden)
		}
	}
}

// message is a request as far as it is compared.
type message struct {
	line, target, contentType string
	body                      map[string]any
}

// published reads what AWS publishes of a request: where, and the request.
func published(t *testing.T, name string) (m message) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", strings.ToLower(name)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := textproto.NewReader(bufio.NewReader(f))
	source, err := r.ReadLine()
	if err != nil || !strings.HasPrefix(source, "https://docs.aws.amazon.com/kms/latest/APIReference/API_") {
		t.Fatalf("%s: no source: %q, %v", name, source, err)
	}
	_, _ = r.ReadLine()
	m.line, _ = r.ReadLine()
	header, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	m.target, m.contentType = header.Get("X-Amz-Target"), header.Get("Content-Type")
	body, err := io.ReadAll(r.R)
	if err != nil {
		t.Fatal(err)
	}
	// The syntax has bare words for what is no string.
	text := strings.NewReplacer(": blob", `: "blob"`, ": boolean", `: "boolean"`).Replace(string(body))
	if err := json.Unmarshal([]byte(text), &m.body); err != nil || len(m.body) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// fits tells whether a value is what AWS's syntax has for it: a string, a blob, or a map of
// strings. Nothing else is ever sent.
func fits(syntax, value any) bool {
	switch want := syntax.(type) {
	case string:
		text, ok := value.(string)
		if want == "blob" {
			_, err := base64.StdEncoding.DecodeString(text)
			return ok && text != "" && err == nil
		}
		return ok && want == "string"
	case map[string]any:
		pairs, ok := value.(map[string]any)
		for _, text := range pairs {
			ok = ok && fits(want["string"], text)
		}
		return ok && len(want) == 1
	}
	return false
}
