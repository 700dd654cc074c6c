package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
)

const kmsSetting = `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>key-1</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`

// setEncryption sets a bucket's default.
func setEncryption(t *testing.T, s *httptest.Server, bucket string) {
	t.Helper()
	if resp, body := ask(t, s, "PUT", "/"+bucket+"?encryption", []byte(kmsSetting)); resp.StatusCode != 200 {
		t.Fatalf("PutBucketEncryption: %s %s", resp.Status, body)
	}
}

// bucketOf answers what fakeStore does not know: where a bucket is.
func bucketOf(w http.ResponseWriter, r *http.Request) bool {
	if !r.URL.Query().Has("location") {
		return false
	}
	io.WriteString(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`)
	return true
}

func TestABucketsEncryptionIsWhereOurOwnObjectsAre(t *testing.T) {
	t.Parallel()
	for want, place := range map[string]state.Place{
		"/bucket/.s3proxy/encryption":            {},
		"/bucket/team/.s3proxy/encryption":       {Prefix: "team/"},
		"/state/team/.s3proxy/bucket/encryption": {Bucket: must(s3name.ParseBucket("state")), Prefix: "team/"},
		"/state/.s3proxy/bucket/encryption":      {Bucket: must(s3name.ParseBucket("state"))},
	} {
		f := &fakeStore{objects: map[string]fakeObject{}, hook: bucketOf}
		store := httptest.NewServer(f)
		s := proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.State = place })
		setEncryption(t, s, "bucket")
		if !f.has(want) {
			t.Errorf("no %s", want)
		}
		if _, body := ask(t, s, "GET", "/bucket?encryption", nil); !strings.Contains(body, "<KMSMasterKeyID>key-1<") {
			t.Errorf("%s: %s", want, body)
		}
		if resp, _ := ask(t, s, "DELETE", "/bucket?encryption", nil); resp.StatusCode != 204 || f.has(want) {
			t.Errorf("%s: %s, and it is there: %v", want, resp.Status, f.has(want))
		}
		store.Close()
	}
}

func TestADeletionOfABucketThatIsRefusedLeavesItsEncryption(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	const own = "/bucket/.s3proxy/encryption"
	deletions := 0
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		switch q := r.URL.Query(); {
		case bucketOf(w, r):
		case r.URL.Path != "/bucket":
			return false
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, "<Error><Code>BucketNotEmpty</Code></Error>")
		case r.Method == http.MethodPost && q.Has("delete"):
			f.mu.Lock()
			delete(f.objects, own)
			f.mu.Unlock()
			deletions++
			io.WriteString(w, "<DeleteResult></DeleteResult>")
		case q.Has("versions") && f.has(own) && q.Get("key-marker") == "":
			io.WriteString(w, "<ListVersionsResult><Version><Key>.s3proxy/encryption</Key><VersionId>null</VersionId></Version></ListVersionsResult>")
		default:
			io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		}
		return true
	}
	s := proxyBefore(t, f, "us-east-1")
	setEncryption(t, s, "bucket")
	if resp, body := ask(t, s, "DELETE", "/bucket", nil); resp.StatusCode != 409 || deletions != 1 {
		t.Fatalf("%s %s, %d deletions of the setting", resp.Status, body, deletions)
	}
	if _, body := ask(t, s, "GET", "/bucket?encryption", nil); !strings.Contains(body, "<KMSMasterKeyID>key-1<") {
		t.Error(body)
	}
}

func TestASettingThatCannotBeReadFailsNoRequestForAnObject(t *testing.T) {
	t.Parallel()
	broken := true
	f := &fakeStore{}
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if bucketOf(w, r) {
			return true
		}
		if broken && strings.HasSuffix(r.URL.Path, ".s3proxy/encryption") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		if r.Method == http.MethodPut {
			w.Header().Set("ETag", `"0123"`)
		}
		return false
	}
	s := proxyBefore(t, f, "us-east-1")
	for range 5 {
		if resp, body := ask(t, s, "PUT", "/bucket/k", []byte("x")); resp.StatusCode != 200 || resp.Header.Get(object.SSEHeader) != sseKMS {
			t.Errorf("%s %s", resp.Status, body)
		}
		if resp, body := ask(t, s, "GET", "/bucket/k", nil); resp.StatusCode != 200 || body != "x" {
			t.Errorf("%s %s", resp.Status, body)
		}
	}
	if n := f.count("GET /bucket/.s3proxy/encryption"); n > 2 { // Upstream may ask twice
		t.Errorf("the setting was asked for %d times", n)
	}
	if resp, _ := ask(t, s, "GET", "/bucket?encryption", nil); resp.StatusCode != 403 {
		t.Errorf("GetBucketEncryption: %s", resp.Status)
	}
	broken = false
	setEncryption(t, s, "bucket")
	if resp, _ := ask(t, s, "PUT", "/bucket/k", []byte("x")); resp.Header.Get(object.SSEKeyHeader) != "key-1" {
		t.Errorf("a write after the setting was changed tells %q", resp.Header)
	}
	f.mu.Lock()
	f.objects["/bucket/.s3proxy/encryption"] = fakeObject{http.Header{}, []byte("<Other/>")}
	f.mu.Unlock()
	if resp, body := ask(t, s, "GET", "/bucket?encryption", nil); resp.StatusCode != 200 || !strings.Contains(body, "<SSEAlgorithm>AES256<") {
		t.Errorf("of a document that nobody can set: %s %s", resp.Status, body)
	}
}

func TestAnonymousClientsHaveNoBucketsEncryption(t *testing.T) {
	t.Parallel()
	f := &fakeStore{objects: map[string]fakeObject{}, hook: bucketOf}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	s := proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.AnonymousToStore = true })
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		r := must(http.NewRequestWithContext(t.Context(), method, s.URL+"/bucket?encryption", strings.NewReader(kmsSetting)))
		if status, body := send(t, r); status != 403 {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	if f.has("/bucket/.s3proxy/encryption") {
		t.Error("an anonymous client has set it")
	}
}
