package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// site is a web site of its own, with an empty page.
func site(t *testing.T) (origin string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!DOCTYPE html><title>a page</title>")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// wanted is what a page is to send. The headers are those that are signed.
type wanted struct {
	URL, Method string
	Headers     map[string]string
	Form        map[string]string // fields of a form, with Body as its file
	Body        string
	Times       int // that the page repeats the body; 0: once
}

// sent is what the page saw: the answer, or the browser's error.
type sent struct {
	Status            int
	ETag, Colour, Err string
	Body              string
}

// asPage has the browser open the page of an origin, which sends what is wanted, one after the other.
func asPage(t *testing.T, b *lab.Browser, origin string, all ...wanted) (seen []sent) {
	t.Helper()
	orders, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	b.Do(t, lab.Order{Open: origin + "/"})
	value, _ := b.Do(t, lab.Order{Eval: `(async () => {
		const seen = [];
		for (const w of ` + string(orders) + `) {
			try {
				let body = w.Body.repeat(w.Times || 1) || undefined;
				if (w.Form) {
					body = new FormData();
					for (const [name, value] of Object.entries(w.Form)) body.append(name, value);
					body.append('file', new Blob([w.Body]), 'a file');
				}
				const r = await fetch(w.URL, { method: w.Method, headers: w.Headers || {}, body, cache: 'no-store' });
				seen.push({ Status: r.status, ETag: r.headers.get('ETag') || '', Colour: r.headers.get('x-amz-meta-colour') || '', Body: await r.text() });
			} catch (e) { seen.push({ Err: String(e) }); }
		}
		return seen;
	})()`})
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil || len(seen) != len(all) {
		t.Fatalf("%v of %v: %v", seen, value, err)
	}
	return seen
}

// forPages are rules that let pages of an origin upload, and see what of the answers they need.
func forPages(origin string) types.CORSRule {
	return types.CORSRule{
		AllowedOrigins: []string{origin}, AllowedMethods: []string{"GET", "PUT", "POST"}, AllowedHeaders: []string{"x-amz-meta-*", "content-type"},
		ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(0),
	}
}

func putRules(t *testing.T, sdk *s3.Client, bucket string, rules ...types.CORSRule) {
	t.Helper()
	if _, err := sdk.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: &bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules}}); err != nil {
		t.Fatal(err)
	}
}

func presigned(t *testing.T, sdk *s3.Client, bucket, key, method, body string) wanted {
	t.Helper()
	client := s3.NewPresignClient(sdk, s3.WithPresignExpires(time.Minute))
	w := wanted{Method: method, Body: body, Headers: map[string]string{}}
	if method == "GET" {
		p, err := client.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		w.URL = p.URL
		return w
	}
	p, err := client.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: aws.String("text/x-test"), Metadata: map[string]string{"colour": "blue"}})
	if err != nil {
		t.Fatal(err)
	}
	w.URL = p.URL
	for name := range p.SignedHeader {
		if !strings.EqualFold(name, "Host") && !strings.EqualFold(name, "Content-Length") {
			w.Headers[name] = p.SignedHeader.Get(name)
		}
	}
	return w
}

func TestABrowsersPageUploadsWhereTheBucketsRulesAllowIt(t *testing.T) {
	if lab.Direct {
		t.Skip("MinIO lets every page do everything")
	}
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		b, sdk := lab.NewBrowser(t), s3test.SDK(t, at.S3)
		bucket, page, other := s3test.NewBucket(t, at.S3), site(t), site(t)
		none := asPage(t, b, page, presigned(t, sdk, bucket, "k", "PUT", "body"), presigned(t, sdk, bucket, "k", "GET", ""))
		for _, s := range none {
			if s.Err == "" {
				t.Errorf("without rules: %+v", s)
			}
		}
		putRules(t, sdk, bucket, forPages(page))

		form, err := s3.NewPresignClient(sdk).PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("of a form")}, func(o *s3.PresignPostOptions) {
			o.Expires = time.Minute
			o.Conditions = []any{[]any{"eq", "$success_action_status", "201"}}
		})
		if err != nil {
			t.Fatal(err)
		}
		fields := maps.Clone(form.Values)
		fields["success_action_status"] = "201"

		got := asPage(t, b, page,
			presigned(t, sdk, bucket, "k", "PUT", "the body"),
			presigned(t, sdk, bucket, "k", "GET", ""),
			presigned(t, sdk, bucket, "none", "GET", ""),
			wanted{URL: form.URL, Method: "POST", Form: fields, Body: "of the form"},
			wanted{URL: presigned(t, sdk, bucket, "k", "GET", "").URL + "x", Method: "GET"},
		)
		for i, want := range []sent{{Status: 200}, {Status: 200, Body: "the body"}, {Status: 404, Body: "<Code>NoSuchKey</Code>"}, {Status: 201, Body: "<PostResponse"}, {Status: 403, Body: "<Code>SignatureDoesNotMatch</Code>"}} {
			if s := got[i]; s.Status != want.Status || !strings.Contains(s.Body, want.Body) || s.Err != "" || s.Status/100 == 2 && s.ETag == "" || s.Colour != "" {
				t.Errorf("%d: %+v, want %+v", i, s, want)
			}
		}
		for key, want := range map[string]string{"k": "the body", "of%20a%20form": "of the form"} {
			if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/" + key}).Do(t, at.S3); string(a.Body) != want {
				t.Errorf("%s: %v %s", key, a, a.Body)
			}
		}

		// An upload in parts needs the ETags that the page is shown.
		created, err := sdk.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("parts")})
		if err != nil {
			t.Fatal(err)
		}
		var parts []wanted
		const text, times, last = "0123456789abcdef", 5 << 16, "the last"
		for i, body := range []wanted{{Body: text, Times: times}, {Body: last}} {
			p, err := s3.NewPresignClient(sdk).PresignUploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: aws.String("parts"), UploadId: created.UploadId, PartNumber: aws.Int32(int32(i + 1))})
			if err != nil {
				t.Fatal(err)
			}
			body.URL, body.Method = p.URL, "PUT"
			parts = append(parts, body)
		}
		var list []types.CompletedPart
		for i, s := range asPage(t, b, page, parts...) {
			if s.Status != 200 || s.ETag == "" {
				t.Fatalf("part %d: %+v", i+1, s)
			}
			list = append(list, types.CompletedPart{ETag: aws.String(s.ETag), PartNumber: aws.Int32(int32(i + 1))})
		}
		if _, err := sdk.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: aws.String("parts"), UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}); err != nil {
			t.Fatal(err)
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/parts"}).Do(t, at.S3); !bytes.Equal(a.Body, []byte(strings.Repeat(text, times)+last)) {
			t.Errorf("in parts: %v", a)
		}

		// What no rule allows: another page, another method, a header that is not named.
		del, err := s3.NewPresignClient(sdk).PresignDeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		unnamed := presigned(t, sdk, bucket, "k", "PUT", "changed")
		unnamed.Headers["x-of-the-page"] = "1"
		for i, s := range asPage(t, b, page, wanted{URL: del.URL, Method: "DELETE"}, unnamed) {
			if s.Err == "" {
				t.Errorf("refused %d: %+v", i, s)
			}
		}
		for i, s := range asPage(t, b, other, presigned(t, sdk, bucket, "k", "PUT", "changed"), presigned(t, sdk, bucket, "k", "GET", ""), wanted{URL: form.URL, Method: "POST", Form: fields, Body: "seen by nobody"}) {
			if s.Err == "" {
				t.Errorf("another page, %d: %+v", i, s)
			}
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/k"}).Do(t, at.S3); string(a.Body) != "the body" {
			t.Errorf("a page has changed it: %v %s", a, a.Body)
		}
		if _, err := sdk.DeleteBucketCors(t.Context(), &s3.DeleteBucketCorsInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		if s := asPage(t, b, page, presigned(t, sdk, bucket, "k", "GET", ""))[0]; s.Err == "" {
			t.Errorf("after the rules are deleted: %+v", s)
		}
	})
}

func TestCORSRulesReachAllReplicas(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no replicas")
	}
	t.Parallel()
	for name, store := range map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.SharedVersitygw, lab.OnMinIO: lab.SharedMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := lab.Proxy(t, lab.ProxyOptions{Upstream: store(t)})
			replicas := []lab.S3{one.S3()}
			for range 2 {
				replicas = append(replicas, lab.Proxy(t, lab.ProxyOptions{Upstream: store(t), DataDir: one.DataDir}).S3())
			}
			bucket, page := s3test.NewBucket(t, one.S3()), "https://page.example"
			allowed := func(at lab.S3) bool {
				a := s3test.Call{Method: "OPTIONS", Path: "/" + bucket + "/k", Unsigned: true, Headers: map[string]string{"origin": page, "access-control-request-method": "PUT"}}.Do(t, at)
				if a.Status != 200 && a.Status != 403 {
					t.Errorf("a preflight: %v", a)
				}
				return a.Header.Get("Access-Control-Allow-Origin") == page
			}
			become := func(want bool) {
				t.Helper()
				begun := time.Now()
				for i, at := range replicas {
					for allowed(at) != want {
						if time.Since(begun) > 20*time.Second {
							t.Fatalf("replica %d does not see that pages may: %v", i, want)
						}
						time.Sleep(100 * time.Millisecond)
					}
				}
				t.Logf("all replicas know after %s", time.Since(begun))
			}
			for _, at := range replicas {
				if allowed(at) {
					t.Fatal("before there are rules")
				}
			}
			putRules(t, s3test.SDK(t, replicas[1]), bucket, forPages(page))
			if !allowed(replicas[1]) {
				t.Error("the replica that took the rules does not know them")
			}
			become(true)
			if _, err := s3test.SDK(t, replicas[2]).DeleteBucketCors(t.Context(), &s3.DeleteBucketCorsInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			if allowed(replicas[2]) {
				t.Error("the replica that deleted the rules still has them")
			}
			become(false)
		})
	}
}

// TestCORSAsCephsSuiteAsks has the cases of ceph/s3-tests (test_cors_*).
func TestCORSAsCephsSuiteAsks(t *testing.T) {
	t.Parallel()
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("neither store does as AWS does")
		}
		sdk, bucket := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3)
		rule := func(method, origin string, exposed ...string) types.CORSRule {
			return types.CORSRule{AllowedMethods: []string{method}, AllowedOrigins: []string{origin}, ExposeHeaders: exposed}
		}
		check := func(what, method, address string, headers map[string]string, status int, origin, methods string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range headers {
				req.Header.Set(name, v)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != status || resp.Header.Get("Access-Control-Allow-Origin") != origin || resp.Header.Get("Access-Control-Allow-Methods") != methods {
				t.Errorf("%s: %s %s of %v: %s %v %s", what, method, address, headers, resp.Status, resp.Header, body)
			}
		}
		if a := (s3test.Call{Method: "GET", Path: "/" + bucket, Query: "cors"}).Do(t, at.S3); a.Status != 404 || a.Code != "NoSuchCORSConfiguration" {
			t.Errorf("without rules: %v", a)
		}
		url, object := at.URL+"/"+bucket, at.URL+"/"+bucket+"/bar"
		ask := func(origin, method string) map[string]string {
			h := map[string]string{}
			if origin != "" {
				h["Origin"] = origin
			}
			if method != "" {
				h["Access-Control-Request-Method"] = method
			}
			return h
		}

		putRules(t, sdk, bucket, rule("GET", "*suffix"), rule("GET", "start*end"), rule("GET", "prefix*"), rule("PUT", "*.put"))
		for _, c := range []struct {
			method, path, origin, asked string
			status                      int
			allowed, methods            string
		}{
			{"GET", url, "", "", 403, "", ""}, // of a bucket that is not public
			{"GET", url, "foo.suffix", "", 403, "foo.suffix", "GET"}, {"GET", url, "foo.bar", "", 403, "", ""}, {"GET", url, "startend", "", 403, "startend", "GET"},
			{"PUT", object, "foo.suffix", "GET", 403, "foo.suffix", "GET"}, {"PUT", object, "foo.suffix", "PUT", 403, "", ""}, {"PUT", object, "foo.suffix", "DELETE", 403, "", ""},
			{"PUT", object, "foo.suffix", "", 403, "", ""}, {"PUT", object, "foo.put", "", 403, "foo.put", "PUT"},
			{"OPTIONS", url, "", "", 400, "", ""}, {"OPTIONS", url, "foo.suffix", "", 400, "", ""}, {"OPTIONS", url, "bla", "", 400, "", ""},
			{"OPTIONS", object, "foo.suffix", "GET", 200, "foo.suffix", "GET"}, {"OPTIONS", url, "foo.bar", "GET", 403, "", ""}, {"OPTIONS", url, "foo.suffix.get", "GET", 403, "", ""},
			{"OPTIONS", url, "startend", "GET", 200, "startend", "GET"}, {"OPTIONS", url, "start1end", "GET", 200, "start1end", "GET"}, {"OPTIONS", url, "0start12end", "GET", 403, "", ""},
			{"OPTIONS", url, "prefix.suffix", "GET", 200, "prefix.suffix", "GET"}, {"OPTIONS", url, "bla.prefix", "GET", 403, "", ""},
			{"OPTIONS", url, "foo.put", "GET", 403, "", ""}, {"OPTIONS", url, "foo.put", "PUT", 200, "foo.put", "PUT"},
		} {
			check("test_cors_origin_response", c.method, c.path, ask(c.origin, c.asked), c.status, c.allowed, c.methods)
		}

		putRules(t, sdk, bucket, rule("GET", "*"))
		check("test_cors_origin_wildcard", "GET", url, nil, 403, "", "")
		check("test_cors_origin_wildcard", "GET", url, ask("example.origin", ""), 403, "*", "GET")

		putRules(t, sdk, bucket, rule("GET", "*", "x-amz-meta-header1"))
		h := ask("example.origin", "GET")
		h["Access-Control-Request-Headers"] = "x-amz-meta-header2"
		check("test_cors_header_option", "OPTIONS", object, h, 403, "", "")

		for _, method := range []string{"GET", "PUT"} {
			of := presigned(t, sdk, bucket, "foo", method, "")
			for version, address := range map[string]string{"": of.URL, "_v2": at.URL + "/" + bucket + "/foo?" + s3test.Call{Method: method, Path: "/" + bucket + "/foo"}.PresignV2(at.S3, time.Now().Add(time.Minute), "").Query} {
				name := fmt.Sprintf("test_cors_presigned_%s_object%s", strings.ToLower(method), version)
				check(name, "OPTIONS", address, nil, 400, "", "")
				putRules(t, sdk, bucket, rule(method, "example"))
				check(name, "OPTIONS", address, ask("example", method), 200, "example", method)
			}
		}
	})
}
