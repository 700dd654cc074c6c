package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestAStoresRedirectNeverReachesAClient(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, state.StateFolder) {
			return false
		}
		w.Header().Set("X-Amz-Bucket-Region", "evil-1")
		w.Header().Set("Location", "http://evil.example/")
		w.WriteHeader(http.StatusTemporaryRedirect)
		io.WriteString(w, "<Error><Code>TemporaryRedirect</Code><Message>go there</Message><Endpoint>evil.example:80</Endpoint></Error>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	for _, method := range []string{"PUT", "GET", "HEAD"} {
		resp, body := ask(t, s, method, "/bucket/k", []byte("plaintext"))
		if resp.StatusCode != 500 || strings.Contains(body+fmt.Sprint(resp.Header), "evil") {
			t.Errorf("%s: %s %v %s", method, resp.Status, resp.Header, body)
		}
	}
}

func TestWhatAStoreSaysOfTheProxysCredentialsStaysHere(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message><AWSAccessKeyId>UPKEY</AWSAccessKeyId><SignatureProvided>%s</SignatureProvided><CanonicalRequest>x-amz-security-token:%s</CanonicalRequest></Error>",
			r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token"))
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	resp, body := ask(t, s, "GET", "/bucket/k", nil)
	if resp.StatusCode != 500 || strings.Contains(body, "UPKEY") || strings.Contains(body, "UPTOKEN") || strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

func TestAStatusThatS3DoesNotHaveIsAnError(t *testing.T) {
	var status atomic.Int64
	f := &fakeStore{hook: func(w http.ResponseWriter, _ *http.Request) bool {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return false
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 %03d Odd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status.Load())
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	for _, odd := range []int64{0, 99, 300, 305, 399, 600, 999} {
		status.Store(odd) // a request that the proxy made by the way may still be answered
		if resp, _ := ask(t, s, "GET", "/bucket/k", nil); resp.StatusCode < 500 || resp.StatusCode > 503 {
			t.Errorf("%d becomes %s", odd, resp.Status)
		}
	}
}

func TestAListingThatNeverEndsIsGivenUp(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, _ *http.Request) bool {
		io.WriteString(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>.s3proxy/keys/x</Key></Contents></ListBucketResult>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	for _, query := range []string{"?list-type=2", ""} {
		before := f.count("GET")
		if resp, _ := ask(t, s, "GET", "/bucket"+query, nil); resp.StatusCode != 500 || f.count("GET")-before > maxRounds+1 {
			t.Errorf("%q: %s after %d requests to the store", query, resp.Status, f.count("GET")-before)
		}
	}
}

func TestAListingOfTooManyEntriesCostsLittleMemory(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, _ *http.Request) bool {
		io.WriteString(w, "<ListBucketResult>")
		io.WriteString(w, strings.Repeat("<Contents/>", 600_000))
		io.WriteString(w, "</ListBucketResult>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, _ := ask(t, s, "GET", "/bucket?list-type=2", nil)
	runtime.ReadMemStats(&after)
	if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; resp.StatusCode != 500 || allocated > 64 {
		t.Errorf("%s, %d MiB allocated", resp.Status, allocated)
	}
}

func TestIfRangeOfAnotherObjectGivesTheWholeOfThisOne(t *testing.T) {
	s := proxyBefore(t, &fakeStore{}, "us-east-1")
	put, _ := ask(t, s, "PUT", "/bucket/k", []byte("new content"))
	etag := put.Header.Get("Etag")
	for _, c := range []struct {
		ifRange string
		status  int
		body    string
	}{{`"of-the-old-one-0"`, 200, "new content"}, {etag, 206, "content"}, {time.Unix(1e9, 0).UTC().Format(http.TimeFormat), 206, "content"}} {
		resp, body := ask(t, s, "GET", "/bucket/k", nil, "Range", "bytes=4-", "If-Range", c.ifRange)
		if resp.StatusCode != c.status || body != c.body {
			t.Errorf("If-Range %s: %s %q", c.ifRange, resp.Status, body)
		}
	}
}

func TestAReadThatIsTriedAgainTellsNothingOfTheFirstObject(t *testing.T) {
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	ask(t, s, "PUT", "/bucket/k", []byte("hello"), "X-Amz-Checksum-Crc32", "NhCmhg==")
	ask(t, s, "PUT", "/bucket/other", []byte("other"))
	var once sync.Once
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			return false
		}
		once.Do(func() { // between the HEAD and the GET
			f.hook = nil
			ask(t, s, "PUT", "/bucket/k", []byte("other"))
		})
		return false
	}
	resp, body := ask(t, s, "GET", "/bucket/k?partNumber=1", nil, "X-Amz-Checksum-Mode", "ENABLED")
	if body != "other" || resp.Header.Get("X-Amz-Checksum-Crc32") != "" || resp.Header.Get("X-Amz-Checksum-Crc64nvme") == "" {
		t.Errorf("%s %q %v", resp.Status, body, resp.Header)
	}
}

func TestARecordThatCannotBeReadIsNotDeletedWithItsBucket(t *testing.T) {
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodDelete && r.URL.Path == "/bucket":
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, "<Error><Code>BucketNotEmpty</Code></Error>")
		case r.Method == http.MethodGet && r.URL.Path == "/bucket" && r.URL.Query().Get("key-marker") != "":
			io.WriteString(w, "<ListVersionsResult/>")
		case r.Method == http.MethodGet && r.URL.Path == "/bucket" && r.URL.Query().Get("start-after") != "":
			io.WriteString(w, "<ListBucketResult/>")
		case r.Method == http.MethodGet && r.URL.Path == "/bucket":
			io.WriteString(w, "<ListVersionsResult><Version><Key>.s3proxy/keys/x</Key><VersionId>null</VersionId></Version></ListVersionsResult>")
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, state.StateFolder+state.RecordFolder):
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			return false
		}
		return true
	}
	resp, _ := ask(t, s, "DELETE", "/bucket", nil)
	if resp.StatusCode/100 == 2 || f.count("DELETE") != 1 {
		t.Errorf("%s, %d deletes at the store, want the first one of the bucket", resp.Status, f.count("DELETE"))
	}
}

func TestAKeyOfNoBytesInDeleteObjectsIsMalformed(t *testing.T) {
	s := proxyBefore(t, &fakeStore{}, "us-east-1")
	for _, doc := range []string{
		"<Delete><Object><Key></Key><Size>0</Size></Object></Delete>", "no XML",
		"<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>",
	} {
		if resp, body := ask(t, s, "POST", "/bucket?delete", []byte(doc)); resp.StatusCode != 400 || !strings.Contains(body, "MalformedXML") {
			t.Errorf("%.60s: %s %s", doc, resp.Status, body)
		}
	}
}

func TestABucketWithoutALocationIsMadeInTheStoresRegion(t *testing.T) {
	var got string
	f := &fakeStore{hook: func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		got = string(body)
		return true
	}}
	s := proxyBefore(t, f, "eu-central-1")
	if resp, _ := ask(t, s, "PUT", "/bucket", nil); resp.StatusCode != 200 || !strings.Contains(got, "<LocationConstraint>eu-central-1</LocationConstraint>") {
		t.Errorf("%s, the store was sent %q", resp.Status, got)
	}
}

func TestAStoreThatRefusesBeforeAStalledBodyIsAnsweredAtOnce(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, state.StateFolder) {
			return false
		}
		io.CopyN(io.Discard, r.Body, 700<<10)
		time.Sleep(200 * time.Millisecond) // by now the transport waits for the client
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	// Streamed, but too small for the store to be asked before the body is sent:
	// the transport waits for the client when the refusal comes.
	stalled, client := io.Pipe()
	go func() {
		client.Write(make([]byte, 1<<20))
		time.Sleep(5 * time.Second)
		client.Close()
	}()
	start := time.Now()
	resp, err := putStream(t, s, stalled, 3<<19)
	if err == nil {
		resp.Body.Close()
	}
	if took := time.Since(start); took > 3*time.Second || err == nil && resp.StatusCode != http.StatusForbidden {
		t.Errorf("after %v: %v, %v", took, resp, err)
	}
}

func TestAnEarlySuccessOfTheStoreIsNone(t *testing.T) {
	early := newPartStore(func(int, int) string { return "e" })
	early.early = true
	inner := early.hook
	early.hook = func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && r.URL.Path == "/bucket/streamed" && !r.URL.Query().Has("uploadId") || inner(w, r) // 200 without a look at the body
	}
	for _, payload := range []upstream.Payload{upstream.PayloadChecked, upstream.PayloadUnsigned} {
		early.objects = map[string]fakeObject{}
		store := httptest.NewServer(early.fakeStore)
		t.Cleanup(store.Close)
		s := proxyAt(t, store.URL, "us-east-1", func(c *Config) {
			c.Default.Upstream = must(upstream.New(upstream.Config{Endpoint: must(url.Parse(store.URL)), Region: "us-east-1", Payload: payload, Credentials: credentials.NewStaticCredentialsProvider("UPKEY", "UPSECRET", "")}))
		})
		for i := range 30 {
			body, writer := io.Pipe()
			go func() {
				writer.Write(make([]byte, 2<<20+i*1000))
				time.Sleep(time.Millisecond)
				writer.CloseWithError(io.ErrUnexpectedEOF)
			}()
			resp, err := putStream(t, s, body, 4<<20)
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					t.Fatalf("%s: half a body was answered with 200", payload)
				}
			}
			if early.has("/bucket/streamed") {
				t.Fatalf("%s: half a body was put together", payload)
			}
		}
		if n := early.count("POST /bucket/streamed"); payload == upstream.PayloadUnsigned && n < 15 { // some end before they begin
			t.Errorf("%d uploads were begun: nothing was tested", n)
		}
	}
}

func TestADocumentOfAStorePassesNoBound(t *testing.T) {
	var document string
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		io.WriteString(w, document)
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	nested := strings.Repeat("<a>", 2_500_000)
	for name, c := range map[string]struct{ path, document string }{
		"nested, in a listing":                {"/bucket?list-type=2", "<ListBucketResult>" + nested},
		"nested, in the list of buckets":      {"/", "<ListAllMyBucketsResult>" + nested},
		"nested, in the list of uploads":      {"/bucket?uploads", "<ListMultipartUploadsResult>" + nested},
		"nested, in a bucket's name":          {"/", "<ListAllMyBucketsResult><Buckets><Bucket><Name>" + nested},
		"many buckets":                        {"/", "<ListAllMyBucketsResult><Buckets>" + strings.Repeat("<Bucket/>", 800_000) + "</Buckets></ListAllMyBucketsResult>"},
		"an endless list of buckets":          {"/", "<ListAllMyBucketsResult><Buckets>" + strings.Repeat("<Bucket><Name>"+strings.Repeat("n", 60_000)+"</Name></Bucket>", 200)},
		"many attributes, in a listing":       {"/bucket?list-type=2", "<ListBucketResult " + strings.Repeat(`a="" `, 1_500_000) + "/>"},
		"many owners of one entry":            {"/bucket?list-type=2", "<ListBucketResult><Contents>" + strings.Repeat("<ChecksumAlgorithm/>", 400_000) + "</Contents></ListBucketResult>"},
		"an error document that is nested so": {"/bucket?list-type=2", "<Error>" + nested},
	} {
		document = c.document
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, body := ask(t, s, "GET", c.path, nil)
		runtime.ReadMemStats(&after)
		// The document itself is in the store's part of this process.
		if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; resp.StatusCode != 500 || allocated > 64 {
			t.Errorf("%s: %s %.100s, %d MiB allocated", name, resp.Status, body, allocated)
		}
	}
}

func TestADocumentOfAClientPassesNoBound(t *testing.T) {
	s := proxyBefore(t, newPartStore(func(int, int) string { return "e" }).fakeStore, "us-east-1")
	id := beginUpload(t, s)
	nested := strings.Repeat("<a>", 300_000)
	for path, document := range map[string]string{
		"/bucket?delete":           "<Delete>" + nested,
		"/bucket/k?uploadId=" + id: "<CompleteMultipartUpload>" + nested,
		"/bucket/k?restore":        "<RestoreRequest>" + nested,
	} {
		if resp, body := ask(t, s, "POST", path, []byte(document)); resp.StatusCode != 400 || !strings.Contains(body, "MalformedXML") {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
}

func TestTheListOfAllBucketsEnds(t *testing.T) {
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprintf(w, "<ListAllMyBucketsResult><Buckets>%s</Buckets><ContinuationToken>more</ContinuationToken></ListAllMyBucketsResult>", strings.Repeat("<Bucket><Name>"+strings.Repeat("n", 1000)+"</Name></Bucket>", 900))
		return true
	}}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	s := proxyAt(t, store.URL, "us-east-1", func(c *Config) {
		c.Credential = func(id string) (Credential, bool) {
			return Credential{Secret: "secret", Buckets: []string{"mine"}}, id == "client"
		}
	})
	resp, _ := ask(t, s, "GET", "/", nil)
	if n := f.count("GET"); resp.StatusCode != 500 || n > 100 {
		t.Errorf("%s after %d pages", resp.Status, n)
	}
}
