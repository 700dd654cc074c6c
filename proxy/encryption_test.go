package proxy

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// sseSeen records the server-side encryption that a store is asked for.
type sseSeen struct {
	mu   sync.Mutex
	seen []string
}

func (s *sseSeen) hook(_ http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range r.Header {
		if strings.HasPrefix(name, object.SSEHeader) {
			s.seen = append(s.seen, r.Method+" "+r.URL.Path+" "+name)
		}
	}
	return false
}

func (s *sseSeen) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.seen = nil }()
	return s.seen
}

func proxyWithSSE(t *testing.T, f *fakeStore, mode object.SSEMode) *httptest.Server {
	t.Helper()
	f.objects = map[string]fakeObject{}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	return proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.Default.SSE, c.AnonymousToStore = mode, true })
}

var kmsHeaders = []string{object.SSEHeader, sseKMS, object.SSEKeyHeader, "key-1", object.SSEBucketHeader, "true", object.SSEContextHeader, base64.StdEncoding.EncodeToString([]byte(`{"a":"b"}`))}

func TestTheStoreHearsNothingOfServerSideEncryptionThatIsOurs(t *testing.T) {
	t.Parallel()
	for _, mode := range []object.SSEMode{"", object.SSEOwn, object.SSEStore} {
		record := &sseSeen{}
		s := proxyWithSSE(t, &fakeStore{hook: record.hook}, mode)
		ask(t, s, "PUT", "/bucket/k", []byte("the copy's source"))
		writes := map[string]func() (*http.Response, string){
			"PUT": func() (*http.Response, string) { return ask(t, s, "PUT", "/bucket/k", []byte("x"), kmsHeaders...) },
			"a large PUT": func() (*http.Response, string) {
				return ask(t, s, "PUT", "/bucket/large", make([]byte, 3<<20), kmsHeaders...)
			},
			"PUT of AES256": func() (*http.Response, string) {
				return ask(t, s, "PUT", "/bucket/k", []byte("x"), object.SSEHeader, sseS3)
			},
			"Create": func() (*http.Response, string) { return ask(t, s, "POST", "/bucket/parts?uploads", nil, kmsHeaders...) },
			"Copy": func() (*http.Response, string) {
				return ask(t, s, "PUT", "/bucket/copy", nil, append([]string{"x-amz-copy-source", "bucket/k"}, kmsHeaders...)...)
			},
			"a form": func() (*http.Response, string) {
				var b bytes.Buffer
				w := multipart.NewWriter(&b)
				w.WriteField("key", "form")
				for i := 0; i < len(kmsHeaders); i += 2 {
					w.WriteField(kmsHeaders[i], kmsHeaders[i+1])
				}
				file, _ := w.CreateFormFile("file", "f")
				file.Write([]byte("x"))
				w.Close()
				return postForm(t, s, "/bucket", w.FormDataContentType(), b.Bytes())
			},
		}
		for name, write := range writes {
			record.take()
			resp, body := write()
			seen := record.take()
			if mode != object.SSEStore && len(seen) > 0 {
				t.Errorf("sse %q: %s: the store was asked for %q", mode, name, seen)
			}
			if mode == object.SSEStore && len(seen) == 0 {
				t.Errorf("sse %q: %s: the store was asked for nothing: %s %s", mode, name, resp.Status, body)
			}
		}
	}
}

func TestServerSideEncryptionIsCheckedAsS3Does(t *testing.T) {
	t.Parallel()
	s := proxyWithSSE(t, &fakeStore{}, object.SSEOwn)
	noMap := base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))
	for name, headers := range map[string][]string{
		"an unknown algorithm":       {object.SSEHeader, "aes256"},
		"another service's":          {object.SSEHeader, "aws:fsx"},
		"an empty one":               {object.SSEHeader, ""},
		"a key without KMS":          {object.SSEKeyHeader, "k"},
		"a key with AES256":          {object.SSEHeader, sseS3, object.SSEKeyHeader, "k"},
		"a context without KMS":      {object.SSEContextHeader, kmsHeaders[7]},
		"a context that is none":     {object.SSEHeader, sseKMS, object.SSEContextHeader, "e"},
		"a context that is no map":   {object.SSEHeader, sseKMS, object.SSEContextHeader, noMap},
		"a bucket key of another":    {object.SSEHeader, sseKMS, object.SSEBucketHeader, "maybe"},
		"a key with too long a name": {object.SSEHeader, sseKMS, object.SSEKeyHeader, strings.Repeat("k", 2049)},
	} {
		if resp, body := ask(t, s, "PUT", "/bucket/k", []byte("x"), headers...); resp.StatusCode != 400 || !strings.Contains(body, "<Code>InvalidArgument</Code>") {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	const refusal = "x-amz-server-side-encryption header is not supported for this operation."
	if resp, body := ask(t, s, "DELETE", "/bucket/k", nil, object.SSEHeader, sseS3); resp.StatusCode != 400 || !strings.Contains(body, refusal) {
		t.Errorf("with a delete: %s %s", resp.Status, body)
	}
	if resp, body := ask(t, s, "PUT", "/bucket/k?partNumber=1&uploadId=u", []byte("x"), object.SSEHeader, sseS3); strings.Contains(body, refusal) {
		t.Errorf("with a part: %s %s", resp.Status, body)
	}
}

func TestTheAnswerToAPutTellsTheEncryptionThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		etag  object.ETagMode
		asked []string
		want  []string // algorithm, key, bucket key
	}{
		{object.ETagMD5, nil, []string{sseS3, "", ""}},
		{object.ETagMD5, []string{object.SSEHeader, sseS3}, []string{sseS3, "", ""}},
		{object.ETagMD5, kmsHeaders, []string{sseKMS, "key-1", "true"}},
		{object.ETagMD5, []string{object.SSEHeader, sseDSSE, object.SSEKeyHeader, "k"}, []string{sseDSSE, "k", ""}},
		{object.ETagOpaque, nil, []string{sseKMS, "", ""}},
		{object.ETagOpaque, []string{object.SSEHeader, sseS3}, []string{sseKMS, "", ""}},
		{object.ETagOpaque, kmsHeaders, []string{sseKMS, "key-1", "true"}},
	} {
		f := &fakeStore{objects: map[string]fakeObject{}, hook: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				w.Header().Set("ETag", `"0123"`)
			}
			return false
		}}
		store := httptest.NewServer(f)
		s := proxyAt(t, store.URL, "us-east-1", func(conf *Config) { conf.Default.ETag = c.etag })
		resp, body := ask(t, s, "PUT", "/bucket/k", []byte("x"), c.asked...)
		h := resp.Header
		if got := []string{h.Get(object.SSEHeader), h.Get(object.SSEKeyHeader), h.Get(object.SSEBucketHeader)}; !slices.Equal(got, c.want) {
			t.Errorf("%s, %q: %q, want %q: %s %s", c.etag, c.asked, got, c.want, resp.Status, body)
		}
		store.Close()
	}
}

func TestABucketsEncryptionIsParsedAsS3Does(t *testing.T) {
	t.Parallel()
	doc := func(rule string) string {
		return `<ServerSideEncryptionConfiguration xmlns="` + s3xml.Namespace + `">` + rule + `</ServerSideEncryptionConfiguration>`
	}
	for _, good := range []struct {
		doc  string
		want encryption
	}{
		{doc(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>`), encryption{algorithm: sseS3}},
		{doc(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>`), encryption{algorithm: sseKMS}},
		{doc(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID>alias/k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>`), encryption{algorithm: sseDSSE, keyID: "alias/k"}},
		{doc(`<Rule><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>`), encryption{algorithm: sseS3}},
	} {
		r, err := parseEncryption([]byte(good.doc))
		if err != nil || r.label() != good.want {
			t.Errorf("%s: %+v, %v", good.doc, r, err)
		}
	}
	rule := func(algorithm, further string) string {
		return doc(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>` + algorithm + `</SSEAlgorithm>` + further + `</ApplyServerSideEncryptionByDefault></Rule>`)
	}
	for _, bad := range []string{
		"", "x", doc(""), `<Other/>`, rule("aes256", ""), rule("", ""), rule(sseS3, "<KMSMasterKeyID>k</KMSMasterKeyID>"), rule(sseS3, "<More/>"),
		rule(sseKMS, "<KMSMasterKeyID>a\nb</KMSMasterKeyID>"), rule(sseKMS, "<KMSMasterKeyID>"+strings.Repeat("k", 2049)+"</KMSMasterKeyID>"),
		doc(`<Rule><BlockedEncryptionTypes><EncryptionType>SSE-D</EncryptionType></BlockedEncryptionTypes></Rule>`),
		doc(`<Rule/><Rule/>`), doc(`<Rule><BucketKeyEnabled>maybe</BucketKeyEnabled></Rule>`),
	} {
		if r, err := parseEncryption([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
}
