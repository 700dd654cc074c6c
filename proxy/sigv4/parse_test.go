package sigv4

import (
	"net/http/httptest"
	"testing"
)

func TestTheCanonicalQueryIsDecodedEncodedAndSorted(t *testing.T) {
	for raw, want := range map[string]string{
		"":                        "",
		"lifecycle":               "lifecycle=",
		"a=":                      "a=",
		"&&b=2&a=1&":              "a=1&b=2",
		"a=2&a=1&a":               "a=&a=1&a=2",
		"a-b=1&a=1":               "a=1&a-b=1",
		"k=a+b&K=a%20b":           "K=a%20b&k=a%20b",
		"k=a%2bb":                 "k=a%2Bb",
		"k=a;b=c":                 "k=a%3Bb%3Dc",
		"k=a=b":                   "k=a%3Db",
		"k=%e2%82%ac~*'":          "k=%E2%82%AC~%2A%27",
		"k=/a/b":                  "k=%2Fa%2Fb",
		"X-Amz-Signature=s&k=%41": "k=A",
	} {
		q, err := parseQuery(raw)
		if got := q.canonical("X-Amz-Signature"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"a=%", "%zz=1", "a=%4", "a=b&%e2%8"} {
		if _, err := parseQuery(raw); err == nil {
			t.Errorf("%q is taken", raw)
		}
	}
}

func TestTheCanonicalPathIsEncodedOnceAndNotCleaned(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                  "/",
		"//b//k/../x/./":     "//b//k/../x/./",
		"/b/a+b":             "/b/a%2Bb",
		"/b/a%20b":           "/b/a%20b",
		"/b/a%252Fb":         "/b/a%252Fb",
		"/b/a%2fb":           "/b/a/b",
		"/b/%e2%82%ac":       "/b/%E2%82%AC",
		"/b/!'()*;:@&=$,~-.": "/b/%21%27%28%29%2A%3B%3A%40%26%3D%24%2C~-.",
		"/b/k?q=/x":          "/b/k",
	} {
		r := httptest.NewRequest("GET", "http://s3.test/", nil)
		r.RequestURI = raw
		got, err := appendCanonical(nil, r, "", nil, "")
		if want := "GET\n" + want + "\n\n\n\n"; err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestHeaderValuesAreTrimmedCollapsedAndJoined(t *testing.T) {
	r := httptest.NewRequest("GET", "http://s3.test/", nil)
	r.Header["X-Amz-Meta-A"] = []string{"  a   b ", "\tc", ""}
	if got := headerValue(r, "x-amz-meta-a"); got != "a b,c," {
		t.Errorf("%q", got)
	}
	if got := headerValue(r, "not-there"); got != "" {
		t.Errorf("%q", got)
	}
}
