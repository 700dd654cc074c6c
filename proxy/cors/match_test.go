package cors

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func parsed(t *testing.T, rules ...string) *Configuration {
	t.Helper()
	c, err := Parse(document(rules...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told is what an answer says to a request with these headers, without Vary.
func told(t *testing.T, c *Configuration, method string, headers ...string) map[string]string {
	t.Helper()
	r := httptest.NewRequest(method, "/bucket/key", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	h := http.Header{}
	if q, asked := OfAnswered(r); asked {
		if a, ok := c.Match(q); ok {
			a.SetHeaders(h)
		}
	}
	got := map[string]string{}
	for name := range h {
		got[name] = h.Get(name)
	}
	if len(got) > 0 && got["Vary"] != Vary {
		t.Errorf("%v: Vary is %q", headers, got["Vary"])
	}
	delete(got, "Vary")
	return got
}

// The cases of ceph/s3-tests' test_cors_origin_response, and what localstack has recorded of AWS.
func TestTheFirstRuleThatFitsAnswers(t *testing.T) {
	c := parsed(t,
		"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*suffix</AllowedOrigin>",
		"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>start*end</AllowedOrigin>",
		"<AllowedMethod>GET</AllowedMethod><AllowedOrigin>prefix*</AllowedOrigin>",
		"<AllowedMethod>PUT</AllowedMethod><AllowedOrigin>*.put</AllowedOrigin>",
		"<AllowedMethod>HEAD</AllowedMethod><AllowedMethod>DELETE</AllowedMethod><AllowedOrigin>a</AllowedOrigin><AllowedOrigin>*</AllowedOrigin><AllowedHeader>X-Amz-*</AllowedHeader><AllowedHeader>range</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-meta-a</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds>")
	one := func(origin, method string) map[string]string {
		return map[string]string{"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": method, "Access-Control-Allow-Credentials": "true"}
	}
	with := func(m map[string]string, more map[string]string) map[string]string {
		maps.Copy(m, more)
		return m
	}
	last := map[string]string{"Access-Control-Allow-Methods": "HEAD, DELETE", "Access-Control-Expose-Headers": "ETag, x-amz-meta-a", "Access-Control-Max-Age": "3000"}
	anyone := with(map[string]string{"Access-Control-Allow-Origin": "*"}, last)
	for _, c2 := range []struct {
		method  string
		headers []string
		want    map[string]string
	}{
		{"GET", nil, nil},
		{"GET", []string{"Origin", "foo.suffix"}, one("foo.suffix", "GET")},
		{"GET", []string{"Origin", "foo.bar"}, nil},
		{"GET", []string{"Origin", "foo.suffix.get"}, nil},
		{"GET", []string{"Origin", "startend"}, one("startend", "GET")},
		{"GET", []string{"Origin", "start12end"}, one("start12end", "GET")},
		{"GET", []string{"Origin", "0start12end"}, nil},
		{"GET", []string{"Origin", "startnd"}, nil},
		{"GET", []string{"Origin", "prefix"}, one("prefix", "GET")},
		{"GET", []string{"Origin", "prefix.suffix"}, one("prefix.suffix", "GET")},
		{"GET", []string{"Origin", "bla.prefix"}, nil},
		{"GET", []string{"Origin", "FOO.SUFFIX"}, nil},
		{"PUT", []string{"Origin", "foo.suffix", MethodHeader, "GET"}, one("foo.suffix", "GET")},
		{"PUT", []string{"Origin", "foo.suffix", MethodHeader, "PUT"}, nil},
		{"PUT", []string{"Origin", "foo.suffix", MethodHeader, "PATCH"}, nil},
		{"PUT", []string{"Origin", "foo.suffix"}, nil},
		{"PUT", []string{"Origin", "foo.put"}, one("foo.put", "PUT")},
		{"GET", []string{"Origin", "foo.suffix", HeadersHeader, "x-amz-date"}, nil},
		{"HEAD", []string{"Origin", "null"}, anyone},
		{"HEAD", []string{"Origin", "a"}, with(one("a", ""), last)},
		{"DELETE", []string{"Origin", "b", HeadersHeader, "X-AMZ-Date, Range"}, with(map[string]string{"Access-Control-Allow-Headers": "x-amz-date, range"}, anyone)},
		{"DELETE", []string{"Origin", "b", HeadersHeader, "x-amz-date,authorization"}, nil},
		{"DELETE", []string{"Origin", "b", HeadersHeader, "x(y)"}, nil},
	} {
		if got := told(t, c, c2.method, c2.headers...); !maps.Equal(got, c2.want) {
			t.Errorf("%s %q: %v, want %v", c2.method, c2.headers, got, c2.want)
		}
	}
	if got := told(t, nil, "GET", "Origin", "foo.suffix"); len(got) > 0 {
		t.Errorf("without rules: %v", got)
	}
}

func TestAPreflightIsRefusedInS3sWords(t *testing.T) {
	const notAllowed = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
	judge := func(h map[string]string, last func(Request) error) *s3err.Error {
		header := http.Header{}
		for name, v := range h {
			header.Set(name, v)
		}
		q, err := OfPreflight(header)
		if err == nil {
			err = last(q)
		}
		var s3 *s3err.Error
		if !errors.As(err, &s3) {
			t.Fatalf("%v: %v", h, err)
		}
		return s3
	}
	refused := func(q Request) error { return Refused(q, Object) }
	for _, c := range []struct {
		headers               map[string]string
		last                  func(Request) error
		status                int
		code, message         string
		method, resourceTypes string
	}{
		{nil, refused, 400, "BadRequest", "Insufficient information. Origin request header needed.", "", ""},
		{map[string]string{"Referer": "https://a", MethodHeader: "PUT"}, refused, 400, "BadRequest", "Insufficient information. Origin request header needed.", "", ""},
		{map[string]string{"Origin": "a", MethodHeader: "put"}, refused, 400, "BadRequest", "Invalid Access-Control-Request-Method: put", "", ""},
		{map[string]string{"Origin": "a", MethodHeader: "PUT", HeadersHeader: "a, b/c"}, refused, 400, "BadRequest", `Access-Control-Request-Headers " b/c" contains invalid character.`, "", ""},
		{map[string]string{"Origin": "a"}, NoRules, 403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", "OPTIONS", "BUCKET"},
		{map[string]string{"Origin": "a", MethodHeader: "PUT"}, NoRules, 403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", "PUT", "BUCKET"},
		{map[string]string{"Origin": "a"}, NoBucket, 403, "AccessForbidden", "CORSResponse: Bucket not found", "OPTIONS", "BUCKET"},
		{map[string]string{"Origin": "a"}, refused, 400, "BadRequest", "Invalid Access-Control-Request-Method: null", "", ""},
		{map[string]string{"Origin": "a", MethodHeader: "PUT"}, refused, 403, "AccessForbidden", notAllowed, "PUT", "OBJECT"},
	} {
		e := judge(c.headers, c.last)
		if e.Status != c.status || e.Code != c.code || e.Message != c.message || e.Field("Method") != c.method || e.Field("ResourceType") != c.resourceTypes {
			t.Errorf("%v: %d %v %v", c.headers, e.Status, e, e.Fields)
		}
	}
}

func TestAStarStandsForAnyTextAndNoLetterForTwo(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"a*", "a", true}, {"ab*b", "ab", false}, {"ab*b", "abb", true}, {"https://*.a", "https://.a", true}, {"", "", true}, {"", "a", false}, {"a", "A", false},
	} {
		if got := fits(c.pattern, c.text); got != c.want {
			t.Errorf("%q fits %q: %v", c.text, c.pattern, got)
		}
	}
}

// Anybody may ask, before he has shown a key.
func TestManyHeadersAgainstManyPatternsAreNoWorkForEachPair(t *testing.T) {
	const patterns, names = 1000, 1000
	c := parsed(t, "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"+strings.Repeat("<AllowedHeader>AB</AllowedHeader>", patterns)+"<AllowedHeader>*</AllowedHeader>")
	q, err := OfPreflight(http.Header{OriginHeader: {"a"}, MethodHeader: {"GET"}, HeadersHeader: {strings.Repeat("b,", names) + "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(3, func() { c.Match(q) }); n > 2*(patterns+names) {
		t.Errorf("%v allocations", n)
	}
}
