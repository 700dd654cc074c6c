package proxy

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
)

const corsOfPage = `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://page.example</AllowedOrigin><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>`

func setCORS(t *testing.T, s *httptest.Server, bucket string) {
	t.Helper()
	if resp, body := ask(t, s, "PUT", "/"+bucket+"?cors", []byte(corsOfPage)); resp.StatusCode != 200 {
		t.Fatalf("PutBucketCors: %s %s", resp.Status, body)
	}
}

// preflightOf is what a browser is told that wants to send a request for a page.
func preflightOf(t *testing.T, s *httptest.Server, path, origin, method string) (*http.Response, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodOptions, s.URL+path, nil))
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", method)
	resp := must(http.DefaultClient.Do(r))
	defer resp.Body.Close()
	return resp, string(must(io.ReadAll(resp.Body)))
}

// allowedOrigin is what an answer says of pages.
func allowedOrigin(resp *http.Response) string { return resp.Header.Get("Access-Control-Allow-Origin") }

func TestABucketsCORSRulesAreSealedAmongOurOwnObjects(t *testing.T) {
	t.Parallel()
	for want, place := range map[string]state.Place{
		"/bucket/.s3proxy/cors":            {},
		"/bucket/team/.s3proxy/cors":       {Prefix: "team/"},
		"/state/team/.s3proxy/bucket/cors": {Bucket: must(s3name.ParseBucket("state")), Prefix: "team/"},
	} {
		f := &fakeStore{objects: map[string]fakeObject{}, hook: bucketOf}
		store := httptest.NewServer(f)
		s := proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.State = place })
		if resp, body := ask(t, s, "GET", "/bucket?cors", nil); resp.StatusCode != 404 || !strings.Contains(body, "<Code>NoSuchCORSConfiguration</Code>") || !strings.Contains(body, "<BucketName>bucket</BucketName>") {
			t.Errorf("of a bucket without rules: %s %s", resp.Status, body)
		}
		if resp, body := preflightOf(t, s, "/bucket/key", "https://page.example", "PUT"); resp.StatusCode != 403 || !strings.Contains(body, "CORSResponse: CORS is not enabled for this bucket.") {
			t.Errorf("before: %s %s", resp.Status, body)
		}
		setCORS(t, s, "bucket")
		if !f.has(want) || bytes.Contains(f.objects[want].body, []byte("page.example")) {
			t.Errorf("%s: there is %v, in the clear", want, f.has(want))
		}
		if resp, body := ask(t, s, "GET", "/bucket?cors", nil); resp.StatusCode != 200 || !strings.HasSuffix(body, corsOfPage) {
			t.Errorf("%s: %s", resp.Status, body)
		}
		if resp, body := preflightOf(t, s, "/bucket/key?X-Amz-Signature=00&uploadId=1&partNumber=2&acl&acl", "https://page.example", "PUT"); resp.StatusCode != 400 {
			t.Errorf("a parameter twice: %s %s", resp.Status, body)
		}
		if resp, body := preflightOf(t, s, "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00&uploadId=1&partNumber=2&acl", "https://page.example", "PUT"); resp.StatusCode != 200 || allowedOrigin(resp) != "https://page.example" || resp.Header.Get("Content-Length") != "0" {
			t.Errorf("%s %v %s", resp.Status, resp.Header, body)
		}
		if resp, _ := ask(t, s, "DELETE", "/bucket?cors", nil); resp.StatusCode != 204 || f.has(want) {
			t.Errorf("%s: %s, and it is there: %v", want, resp.Status, f.has(want))
		}
		if resp, _ := preflightOf(t, s, "/bucket/key", "https://page.example", "PUT"); resp.StatusCode != 403 || allowedOrigin(resp) != "" {
			t.Errorf("after: %s", resp.Status)
		}
		store.Close()
	}
}

func TestEveryAnswerToAPageThatMayTellsItSo(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		for name, v := range map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "*", "Vary": "Origin"} {
			w.Header().Set(name, v) // as MinIO says to all
		}
		if bucketOf(w, r) {
			return true
		}
		if r.Method == http.MethodPut {
			w.Header().Set("ETag", `"0123"`)
		}
		if r.Header.Get("Origin") != "" {
			t.Errorf("the store hears of the page: %s %s", r.Method, r.URL)
		}
		return false
	}
	s := proxyBefore(t, f, "us-east-1")
	of := func(origin, method, path string) *http.Response {
		t.Helper()
		resp, _ := ask(t, s, method, path, nil, "Origin", origin)
		return resp
	}
	const page, other = "https://page.example", "https://other.example"
	if resp := of(page, "PUT", "/bucket/k"); resp.StatusCode != 200 || allowedOrigin(resp) != "" || resp.Header.Get("Vary") != "" || resp.Header.Get("Access-Control-Expose-Headers") != "" {
		t.Errorf("the store's rules are told: %v", resp.Header)
	}
	if resp := of(page, "GET", "/"); allowedOrigin(resp) != "" || resp.Header.Get("Vary") != "" {
		t.Errorf("the store's rules are told of its buckets: %s %v", resp.Status, resp.Header)
	}
	setCORS(t, s, "bucket")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"PUT", "/bucket/k", 200}, {"GET", "/bucket/k", 200}, {"GET", "/bucket/none", 404}, {"GET", "/bucket/k?torrent", 501}, {"GET", "/bucket?cors", 200},
		{"PUT", "/bucket/.s3proxy/cors", 403},
	} {
		if resp := of(page, c.method, c.path); resp.StatusCode != c.status || allowedOrigin(resp) != page || resp.Header.Get("Access-Control-Expose-Headers") != "ETag" || resp.Header.Get("Vary") == "" {
			t.Errorf("%s %s: %s %v", c.method, c.path, resp.Status, resp.Header)
		}
		if resp := of(other, c.method, c.path); resp.StatusCode != c.status || allowedOrigin(resp) != "" {
			t.Errorf("%s %s by another page: %s %v", c.method, c.path, resp.Status, resp.Header)
		}
	}
	// A page sees why its signature is refused, too.
	r := must(http.NewRequestWithContext(t.Context(), "GET", s.URL+"/bucket/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", nil))
	r.Header.Set("Origin", page)
	resp := must(http.DefaultClient.Do(r))
	resp.Body.Close()
	if resp.StatusCode/100 != 4 || allowedOrigin(resp) != page {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if resp := of(page, "DELETE", "/bucket/k"); allowedOrigin(resp) != "" {
		t.Errorf("a method that no rule names: %v", resp.Header)
	}
}

func TestCORSRulesOfTheStoresMakingAllowNoPageAnything(t *testing.T) {
	t.Parallel()
	f := &fakeStore{objects: map[string]fakeObject{}, hook: bucketOf}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	var config Config
	s := proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.Default.AllowPlaintextReads = true; config = *c })
	restarted := func() *httptest.Server {
		fresh := httptest.NewServer(New(config))
		t.Cleanup(fresh.Close)
		return fresh
	}
	setCORS(t, s, "bucket")
	setCORS(t, s, "other")
	const own = "/bucket/.s3proxy/cors"
	good := f.objects[own]
	mustAsk(t, s, "PUT", "/bucket/k", []byte(corsOfPage))
	cut := fakeObject{maps.Clone(good.header), good.body[:len(good.body)-1]}
	flipped := fakeObject{maps.Clone(good.header), bytes.Clone(good.body)}
	flipped.body[10] ^= 1
	for name, forged := range map[string]fakeObject{
		"in the clear": {http.Header{}, []byte(corsOfPage)}, "another bucket's": f.objects["/other/.s3proxy/cors"], "a client's object": f.objects["/bucket/k"],
		"cut": cut, "changed": flipped, "empty": {good.header, nil}, "of the older s3proxy": {http.Header{legacy.HeaderName: {strings.Repeat("0", 64)}}, []byte(corsOfPage)},
	} {
		f.mu.Lock()
		f.objects[own] = forged
		f.mu.Unlock()
		fresh := restarted()
		if resp, body := preflightOf(t, fresh, "/bucket/k", "https://page.example", "GET"); resp.StatusCode != 500 || allowedOrigin(resp) != "" {
			t.Errorf("%s: a preflight: %s %s", name, resp.Status, body)
		}
		if resp, body := ask(t, fresh, "GET", "/bucket/k", nil, "Origin", "https://page.example"); resp.StatusCode != 200 || allowedOrigin(resp) != "" || body != corsOfPage {
			t.Errorf("%s: a read: %s %v", name, resp.Status, resp.Header)
		}
		if resp, body := ask(t, fresh, "GET", "/bucket?cors", nil); resp.StatusCode != 500 {
			t.Errorf("%s: GetBucketCors: %s %s", name, resp.Status, body)
		}
	}
	f.mu.Lock()
	f.objects[own] = good
	f.mu.Unlock()
	if resp, body := preflightOf(t, restarted(), "/bucket/k", "https://page.example", "GET"); resp.StatusCode != 200 {
		t.Errorf("the right ones: %s %s", resp.Status, body)
	}
}

func TestAStoreThatIsAskedForRulesAllTheTimeIsAskedOnce(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	f.hook = bucketOf
	s := proxyBefore(t, f, "us-east-1")
	for range 20 {
		preflightOf(t, s, "/bucket/k", "https://page.example", "GET")
	}
	if n := f.count("GET /bucket/.s3proxy/cors"); n > 2 { // Upstream may ask twice
		t.Errorf("it was asked %d times", n)
	}
	if corsAge > 30*time.Second {
		t.Errorf("rules are cached for %s", corsAge)
	}
}

func TestTheStoresCORSRulesCountWhereTheyAreMeantTo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"cors: store":    func(c *Config) { c.Default.CORS = object.CORSStore },
		"encrypt: false": func(c *Config) { c.Default.Passthrough = true },
	} {
		var heard []string
		f := &fakeStore{objects: map[string]fakeObject{}}
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Access-Control-Allow-Origin", "https://stores.example")
			w.Header().Set("Vary", "Origin")
			if r.URL.Query().Has("cors") || r.Method == http.MethodOptions {
				heard = append(heard, r.Method+" "+r.Header.Get("Origin"))
				return true
			}
			return false
		}
		store := httptest.NewServer(f)
		s := proxyAt(t, store.URL, "us-east-1", change)
		setCORS(t, s, "bucket")
		resp, _ := preflightOf(t, s, "/bucket/k?X-Amz-Signature=00&uploadId=1", "https://page.example", "GET")
		if resp.StatusCode != 200 || allowedOrigin(resp) != "https://stores.example" || strings.Join(heard, ", ") != "PUT , OPTIONS https://page.example" || f.has("/bucket/.s3proxy/cors") {
			t.Errorf("%s: %s %v, the store heard %q", name, resp.Status, resp.Header, heard)
		}
		if resp, _ := ask(t, s, "GET", "/bucket/k", nil, "Origin", "https://page.example"); allowedOrigin(resp) != "https://stores.example" || resp.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", name, resp.Header)
		}
		store.Close()
	}
}

func TestRulesDoNotLetInAPageThatIsKeptOut(t *testing.T) {
	t.Parallel()
	f := &fakeStore{objects: map[string]fakeObject{}, hook: bucketOf}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	s := proxyAt(t, store.URL, "us-east-1", func(c *Config) {
		c.Refuse = func(r *http.Request) error {
			if r.Header.Get("Origin") != "" {
				return s3err.AccessDenied
			}
			return nil
		}
	})
	setCORS(t, s, "bucket")
	if resp, body := preflightOf(t, s, "/bucket/k", "https://page.example", "GET"); resp.StatusCode != 403 || allowedOrigin(resp) != "" || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}
	if resp, _ := ask(t, s, "GET", "/bucket?cors", nil, "Origin", "https://page.example"); resp.StatusCode != 403 || allowedOrigin(resp) != "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

func TestOnlyAManagingKeyChangesRules(t *testing.T) {
	t.Parallel()
	f := &fakeStore{hook: bucketOf}
	writer := managedBefore(t, f, false)
	for _, method := range []string{"PUT", "DELETE"} {
		if resp, body := ask(t, writer, method, "/bucket?cors", []byte(corsOfPage)); resp.StatusCode != 403 || !strings.Contains(body, "manage: true") {
			t.Errorf("%s: %s %s", method, resp.Status, body)
		}
	}
	if resp, _ := ask(t, writer, "GET", "/bucket?cors", nil); resp.StatusCode != 404 || f.has("/bucket/.s3proxy/cors") {
		t.Errorf("%s", resp.Status)
	}
	manager := managedBefore(t, f, true)
	setCORS(t, manager, "bucket")
	if resp, body := ask(t, manager, "PUT", "/bucket?cors", bytes.Repeat([]byte(" "), 64<<10+1)); resp.StatusCode/100 != 4 {
		t.Errorf("more than 64 KiB: %s %s", resp.Status, body)
	}
	if resp, body := ask(t, manager, "PUT", "/bucket?cors", []byte(strings.ReplaceAll(corsOfPage, "GET", "MYMETHOD"))); resp.StatusCode != 400 || !strings.Contains(body, "Unsupported method is MYMETHOD") {
		t.Errorf("%s %s", resp.Status, body)
	}
}
