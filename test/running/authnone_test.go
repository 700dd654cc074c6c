package running

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestWithoutAuthenticationEverySignatureWillDoAndNone(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for _, store := range lab.SharedStores(t) {
		dir := t.TempDir()
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, DataDir: dir, NoKeys: true, Args: []string{"--auth", "none"}})
		at := lab.ProxyAs(p, "whoever", "whatever")
		bucket := s3test.NewBucket(t, at)
		for _, n := range []int{0, 1000, 3_000_000} {
			s3test.RoundTrip(t, at, bucket, n) // signed, both by hand and by SDKs
		}
		body := s3test.Content(7, 300_000)
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/unsigned", Body: body, Unsigned: true}).Do(t, at); a.Status != 200 {
			t.Errorf("an unsigned PUT: %v", a)
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/unsigned", Unsigned: true}).Do(t, at); a.Status != 200 || !bytes.Equal(a.Body, body) {
			t.Errorf("an unsigned GET: %v", a)
		}
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "versioning", Unsigned: true, Body: []byte(`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`)}).Do(t, at); a.Status/100 != 2 && a.Status != 501 {
			t.Errorf("a setting of the bucket: %v", a)
		}
		// The body is still checked.
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/other", Body: body, PayloadHash: strings.Repeat("0", 64)}).Do(t, at); a.Status != 400 {
			t.Errorf("another body than was signed: %v", a)
		}
		for _, shape := range []string{s3test.SignedStream, s3test.SignedStreamTrailer, s3test.UnsignedStreamTrailer} {
			if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/streamed", Stream: &s3test.Stream{Shape: shape, Body: body, Chunk: 9000}}).Do(t, at); a.Status != 200 {
				t.Errorf("%s: %v", shape, a)
			}
			if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/streamed"}).Do(t, at); !bytes.Equal(a.Body, body) {
				t.Errorf("%s: then %v", shape, a)
			}
		}
		if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/streamed", Stream: &s3test.Stream{Shape: s3test.SignedStream, Body: body, NoFinal: true}}).Do(t, at); a.Status == 200 {
			t.Errorf("a truncated stream: %v", a)
		}
		presigned, err := s3.NewPresignClient(s3test.SDK(t, at)).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("unsigned")}, s3.WithPresignExpires(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(presigned.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, body) {
			t.Errorf("a presigned URL: %s, %v", resp.Status, err)
		}
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		w.WriteField("key", "of-a-form")
		file, _ := w.CreateFormFile("file", "f")
		file.Write(body)
		w.Close()
		resp, err = http.Post(p.URL+"/"+bucket, w.FormDataContentType(), &form)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/of-a-form"}).Do(t, at); resp.StatusCode/100 != 2 || !bytes.Equal(a.Body, body) {
			t.Errorf("a form: %s %s, then %v", resp.Status, said, a)
		}
		if !strings.Contains(p.Log(), "level=WARN msg=\"auth is none") || !strings.Contains(p.Log(), "aws --no-sign-request --endpoint-url "+p.URL) {
			t.Errorf("the start:\n%s", p.Log())
		}
	}
}

// corsForAll lets every web page do everything.
const corsForAll = `<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedHeader>*</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>DELETE</AllowedMethod></CORSRule></CORSConfiguration>`

func TestABucketsRulesLetNoPageInWhereNobodyIsAsked(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), NoKeys: true, Args: []string{"--auth", "none"}})
	at := lab.ProxyAs(p, "whoever", "whatever")
	bucket := s3test.NewBucket(t, at)
	for _, c := range []s3test.Call{{Method: "PUT", Path: "/" + bucket + "/k", Body: []byte("secret")}, {Method: "PUT", Path: "/" + bucket, Query: "cors", Body: []byte(corsForAll)}} {
		if a := c.Do(t, at); a.Status != 200 {
			t.Fatalf("%v", a)
		}
	}
	page := map[string]string{"origin": "https://page.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "access-control-request-method": "PUT"}
	for _, method := range []string{"OPTIONS", "GET", "PUT", "POST", "DELETE"} {
		a := s3test.Call{Method: method, Path: "/" + bucket + "/k", Unsigned: true, Headers: page}.Do(t, at)
		if a.Status != 403 || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s by a page: %v %v", method, a, a.Header)
		}
	}
	if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/k", Unsigned: true}).Do(t, at); string(a.Body) != "secret" {
		t.Errorf("then: %v", a)
	}
	t.Run("in a browser", func(t *testing.T) { seesNothing(t, p.URL+"/"+bucket+"/k") })
}

// seesNothing has a browser open a page of another site, which asks for an address.
func seesNothing(t *testing.T, address string) {
	b := lab.NewBrowser(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", "text/html") }))
	t.Cleanup(elsewhere.Close)
	b.Do(t, lab.Order{Open: elsewhere.URL + "/"})
	if seen, _ := b.Do(t, lab.Order{Eval: fmt.Sprintf(`fetch(%q).then(r => r.text(), e => "refused: " + e)`, address)}); !strings.HasPrefix(fmt.Sprint(seen), "refused: ") {
		t.Errorf("a page sees %q", seen)
	}
}

func TestWithoutAuthenticationOtherMachinesNeedASecondFlag(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	_, port, _ := strings.Cut(lab.FreeAddress(t), ":")
	all := lab.ProxyOptions{Address: "0.0.0.0:" + port, NoKeys: true, Args: []string{"--auth", "none", "--plaintext-listen"}}
	lab.MustNotStart(t, all, true, "--auth-none-anywhere")
	all.Args = append(all.Args, "--auth-none-anywhere")
	p := lab.Proxy(t, all)
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/", port))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("%s\n%s", resp.Status, p.Log())
	}
}
