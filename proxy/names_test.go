package proxy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// listener is a store that has nothing, and notes what it is asked for.
type listener struct {
	mu    sync.Mutex
	asked []string // path and query, decoded; the copy's source, decoded; the body
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	text, _ := url.QueryUnescape(r.RequestURI)
	source, _ := url.QueryUnescape(r.Header.Get("X-Amz-Copy-Source"))
	l.mu.Lock()
	l.asked = append(l.asked, r.Method+" "+text+"\n"+source+"\n"+string(body))
	l.mu.Unlock()
	switch {
	case r.URL.Query().Has("versions"):
		fmt.Fprint(w, `<ListVersionsResult></ListVersionsResult>`)
	case r.Method == http.MethodGet && r.URL.Query().Has("uploads"):
		fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case r.URL.Query().Has("list-type"):
		fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
	case r.Method == http.MethodHead, r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/.s3proxy/"):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
	}
}

// seen gives what the store was asked for that has the text in it.
func (l *listener) seen(text string) (seen []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.asked {
		if strings.Contains(a, text) {
			seen = append(seen, a)
		}
	}
	l.asked = nil
	return seen
}

// What no store may see as a key, an id or the beginning of a listing.
var (
	hostileKeys = []string{"../victim/k", "a/../../victim/k", "..", "x/..", "../../../keyset.json", ".s3proxy/keys/0", "a/../.s3proxy/keys/0", ".S3Proxy//keys/0", ".sgwtmp/multipart/0", "./.sgwtmp/x"}
	hostileIDs  = []string{"../../../../victim", "..", ".", "a/../../b", "/victim", "a//b", `..\victim`, "a\x01", "%2e%2e%2fvictim"}
	// hostileUploadIDs are paths where ids are Base64; of versions none are.
	hostileUploadIDs = []string{"ZC4uLi8uLi8uLi9wbGFpbjIvYmln", "Li4vdmljdGlt"}
	hostilePlaces    = []string{"../victim/", "a/../../victim", "/../x"}
	listingCursors   = []string{"prefix", "marker", "start-after", "key-marker"}
)

// TestNoPlaceThatAClientNamesLeadsOutOfItsBucket tries each hostile name in each place
// where a client can give one, in a bucket that is encrypted and in one that is not.
func TestNoPlaceThatAClientNamesLeadsOutOfItsBucket(t *testing.T) {
	t.Parallel()
	store := &listener{}
	for _, kind := range []string{"bucket", "plain"} {
		t.Run(kind, func(t *testing.T) {
			at := httptest.NewServer(store)
			t.Cleanup(at.Close)
			s := proxyAt(t, at.URL, "us-east-1", func(c *Config) {
				c.Buckets = map[string]object.Settings{"plain": {Upstream: c.Default.Upstream, Passthrough: true}}
			})
			refused := func(t *testing.T, name, text string, resp *http.Response, body string) {
				t.Helper()
				if seen := store.seen(text); resp.StatusCode/100 != 4 || seen != nil {
					t.Errorf("%q %s: %s %s; the store was asked %q", text, name, resp.Status, body, seen)
				}
			}
			for _, key := range hostileKeys {
				path := (&url.URL{Path: "/" + kind + "/" + key}).EscapedPath()
				encoded := "/" + kind + "/" + url.PathEscape(key)
				for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
					for way, path := range map[string]string{"bare": path, "encoded": encoded} {
						resp, body := ask(t, s, method, path, nil)
						refused(t, method+" of a key, "+way, key, resp, body)
					}
				}
				for _, sub := range []string{"?acl=", "?tagging=", "?uploads=", "?uploadId=u", "?partNumber=1&uploadId=u", "?attributes=", "?restore="} {
					for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
						resp, body := ask(t, s, method, encoded+sub, nil)
						refused(t, method+sub, key, resp, body)
					}
				}
				for _, source := range []string{"/" + kind + "/" + key, kind + "/" + url.PathEscape(key), url.QueryEscape(kind + "/" + key)} {
					resp, body := ask(t, s, "PUT", "/"+kind+"/copy", nil, "X-Amz-Copy-Source", source)
					refused(t, "as a copy's source", key, resp, body)
					resp, body = ask(t, s, "PUT", "/"+kind+"/copy?partNumber=1&uploadId=u", nil, "X-Amz-Copy-Source", source)
					refused(t, "as a part's source", key, resp, body)
				}
				list := []byte(`<Delete><Object><Key>` + s3xml.EscapeText(key) + `</Key></Object></Delete>`)
				if resp, body := ask(t, s, "POST", "/"+kind+"?delete=", list); !strings.Contains(body, "<Error>") || store.seen(key) != nil {
					t.Errorf("%q in a list of keys: %s %s", key, resp.Status, body)
				}
				contentType, form := encodeForm(t, signForm(kind, key), []byte("content"))
				resp, body := postForm(t, s, "/"+kind, contentType, form)
				if store.seen(key) != nil || resp.StatusCode/100 != 4 && resp.StatusCode != http.StatusNotImplemented {
					t.Errorf("%q in a form: %s %s", key, resp.Status, body)
				}
			}
			for _, id := range hostileIDs {
				for _, call := range []struct{ method, query string }{
					{"GET", "uploadId="}, {"DELETE", "uploadId="}, {"POST", "uploadId="}, {"PUT", "partNumber=1&uploadId="},
					{"GET", "versionId="}, {"HEAD", "versionId="}, {"DELETE", "versionId="}, {"GET", "acl=&versionId="}, {"PUT", "tagging=&versionId="}, {"POST", "restore=&versionId="},
				} {
					resp, body := ask(t, s, call.method, "/"+kind+"/k?"+call.query+url.QueryEscape(id), nil)
					refused(t, call.method+" "+call.query, id, resp, body)
				}
				resp, body := ask(t, s, "PUT", "/"+kind+"/k?partNumber=1&uploadId="+url.QueryEscape(id), nil, "X-Amz-Copy-Source", kind+"/k")
				refused(t, "of an upload to copy to", id, resp, body)
				resp, body = ask(t, s, "PUT", "/"+kind+"/copy", nil, "X-Amz-Copy-Source", kind+"/k?versionId="+url.QueryEscape(id))
				refused(t, "of a copy's source", id, resp, body)
				for _, call := range []string{"uploads=&key-marker=k&upload-id-marker=", "versions=&key-marker=k&version-id-marker="} {
					resp, body := ask(t, s, "GET", "/"+kind+"?"+call+url.QueryEscape(id), nil)
					refused(t, call, id, resp, body)
				}
				list := []byte(`<Delete><Object><Key>k</Key><VersionId>` + s3xml.EscapeText(id) + `</VersionId></Object></Delete>`)
				if resp, body := ask(t, s, "POST", "/"+kind+"?delete=", list); resp.StatusCode/100 != 4 && !strings.Contains(body, "<Error>") || store.seen(id) != nil {
					t.Errorf("the version %q in a list of keys: %s %s", id, resp.Status, body)
				}
			}
			for _, id := range hostileUploadIDs {
				for method, query := range map[string]string{"GET": "uploadId=", "DELETE": "uploadId=", "POST": "uploadId=", "PUT": "partNumber=1&uploadId="} {
					resp, body := ask(t, s, method, "/"+kind+"/k?"+query+id, nil)
					refused(t, method+" "+query, id, resp, body)
				}
				resp, body := ask(t, s, "GET", "/"+kind+"?uploads=&key-marker=k&upload-id-marker="+id, nil)
				refused(t, "as a marker", id, resp, body)
			}
			for _, place := range hostilePlaces {
				for _, cursor := range listingCursors {
					for _, call := range []string{"", "list-type=2&", "versions=&", "uploads=&"} {
						resp, body := ask(t, s, "GET", "/"+kind+"?"+call+cursor+"="+url.QueryEscape(place), nil)
						refused(t, call+cursor, place, resp, body)
					}
				}
			}
		})
	}
}

// postForm sends a form as a browser does.
func postForm(t *testing.T, s *httptest.Server, path, contentType string, form []byte) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, bytes.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestAnUploadThatTheStoreWasNotSeenToMakeIsNone: its id does not even reach the store. Of
// an encrypted bucket the state tells, of one that is not the store's list.
func TestAnUploadThatTheStoreWasNotSeenToMakeIsNone(t *testing.T) {
	t.Parallel()
	store := &listener{}
	at := httptest.NewServer(store)
	t.Cleanup(at.Close)
	s := proxyAt(t, at.URL, "us-east-1", func(c *Config) {
		c.Buckets = map[string]object.Settings{"plain": {Upstream: c.Default.Upstream, Passthrough: true}}
	})
	list := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>`)
	for _, bucket := range []string{"bucket", "plain"} {
		for _, c := range []struct {
			method, query string
			body          []byte
			headers       []string
		}{
			{method: "GET"}, {method: "DELETE"}, {method: "POST", body: list},
			{method: "PUT", query: "partNumber=1&", body: []byte("part")}, {method: "PUT", query: "partNumber=1&", headers: []string{"X-Amz-Copy-Source", bucket + "/k"}},
		} {
			resp, text := ask(t, s, c.method, "/"+bucket+"/k?"+c.query+"uploadId=foreign", c.body, c.headers...)
			if resp.StatusCode != http.StatusNotFound || !strings.Contains(text, "<Code>NoSuchUpload</Code>") {
				t.Errorf("%s in %s, %q: %s %s", c.method, bucket, c.headers, resp.Status, text)
			}
			if seen := store.seen("foreign"); seen != nil {
				t.Errorf("%s in %s: the store was asked %q", c.method, bucket, seen)
			}
		}
	}
}

// TestNamesOfStoresOwnAPIsAreAskedForByNobody: they are on the port of S3, and take its
// signatures, of which the proxy's own is one.
func TestNamesOfStoresOwnAPIsAreAskedForByNobody(t *testing.T) {
	t.Parallel()
	store := &listener{}
	at := httptest.NewServer(store)
	t.Cleanup(at.Close)
	s := proxyAt(t, at.URL, "us-east-1", func(c *Config) {
		c.Buckets = map[string]object.Settings{"auth": {Upstream: c.Default.Upstream, Passthrough: true}}
	})
	for _, path := range []string{"/minio/admin/v3/info", "/minio", "/MINIO/admin/v3/tier/x", "/admin/user?uid=x", "/swift/v1/x"} {
		for _, method := range []string{"GET", "PUT", "DELETE", "HEAD"} {
			if resp, body := ask(t, s, method, path, nil); resp.StatusCode != http.StatusBadRequest || store.seen("/") != nil {
				t.Errorf("%s %s: %s %s", method, path, resp.Status, body)
			}
		}
	}
	if resp, body := ask(t, s, "PUT", "/bucket/copy", nil, "X-Amz-Copy-Source", "minio/admin/v3/export-iam"); resp.StatusCode/100 != 4 || store.seen("minio") != nil {
		t.Errorf("as a copy's source: %s %s", resp.Status, body)
	}
	if ask(t, s, "GET", "/auth/k", nil); store.seen("/auth/k") == nil {
		t.Error("a bucket that is configured was not asked for")
	}
}

// TestTheKeyOfAFormDoesNotFold: a policy that grants the beginning of a key grants no other.
func TestTheKeyOfAFormDoesNotFold(t *testing.T) {
	t.Parallel()
	store := &listener{}
	at := httptest.NewServer(store)
	t.Cleanup(at.Close)
	s := proxyAt(t, at.URL, "us-east-1", nil)
	for _, key := range []string{"uploads/alice/../bob/f", "uploads/alice//f", "./f", `uploads\f`} {
		contentType, form := encodeForm(t, signForm("bucket", key), []byte("content"))
		if resp, body := postForm(t, s, "/bucket", contentType, form); resp.StatusCode != http.StatusBadRequest || store.seen("/f") != nil {
			t.Errorf("%q: %s %s", key, resp.Status, body)
		}
	}
}

// TestNamesAreParsedInOnePlace keeps the filter one: only these functions may turn text
// into a key, so that no handler forgets whose it is.
func TestNamesAreParsedInOnePlace(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"state.ClientKey": "", "state.OwnKey": "",
		"object.ParseRef": "", "proxy.parse": "the path; checkNames follows", "proxy.parseCopySource": "openSource follows",
	}
	fileSet := token.NewFileSet()
	found := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "s3name/") {
			return err
		}
		file, err := parser.ParseFile(fileSet, name, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "ParseKey" {
					found++
					if _, ok := allowed[file.Name.Name+"."+f.Name.Name]; !ok {
						t.Errorf("%s: %s parses a key by itself", fileSet.Position(call.Pos()), f.Name.Name)
					}
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != len(allowed) {
		t.Errorf("keys are parsed in %d places, not in the %d that are allowed", found, len(allowed))
	}
}
