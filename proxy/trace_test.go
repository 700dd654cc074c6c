package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestALogShowsWhatIsKnownToBeHarmlessAndTheNamesOfTheRest(t *testing.T) {
	t.Parallel()
	h := http.Header{"Content-Type": {"text/plain"}, "x-amz-meta-s3proxy-dek": {"secret"}, "X-Amz-Meta-Color": {"secret"}, "Authorization": {"secret"}, "Authorisation": {"secret", "secret"}, "X-Amz-Checksum-Crc32": {"secret"}}
	for name, values := range shownHeaders(h) {
		if want := map[bool]string{true: "text/plain", false: masked}[name == "Content-Type"]; len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q", name, values)
		}
	}
	if len(shownHeaders(h)) != len(h) || h.Get("Authorization") != "secret" {
		t.Errorf("%v is shown of %v", shownHeaders(h), h)
	}
	r := httptest.NewRequest("GET", "/bucket/a%2Fkey?acl&prefix=p&X-Amz-Signature=secret&x-amz-signature=secret&signature=secret&X-Amz-Signature%20=secret&token=secret", nil)
	if uri := shownURI(r); strings.Contains(uri, "secret") || !strings.Contains(uri, "prefix=p") || !strings.Contains(uri, "token="+masked) || !strings.Contains(uri, "acl=&") {
		t.Error(uri)
	}
}
