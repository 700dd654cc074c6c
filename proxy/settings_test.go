package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/state"
)

func TestAStatePlaceEndsInASlashAndFoldsIntoNoOther(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"": "", "team": "team/", "team/": "team/", "a/b c/": "a/b c/", ".hidden": ".hidden/"} {
		if got, err := state.NewPlace("bucket", prefix); err != nil || got.Prefix != want || got.Bucket.String() != "bucket" {
			t.Errorf("%q: %+v, %v", prefix, got, err)
		}
	}
	for _, bad := range []string{"/", "/a", "a//", "a//b", "./a", "a/..", "../a", `a\b`, "a\nb", "a\xff", ".s3proxy", "a/.s3proxy/b", strings.Repeat("a", 256)} {
		if got, err := state.NewPlace("", bad); err == nil {
			t.Errorf("%q was taken as %q", bad, got.Prefix)
		}
	}
	for _, bad := range []string{"a/b", "*", "a", "ü-bucket"} {
		if _, err := state.NewPlace(bad, ""); err == nil {
			t.Errorf("the bucket %q was taken", bad)
		}
	}
}

// A reload may come between the check of a signature and that of the grants: a key
// that nothing is known of any more must not count as one without limits.
func TestAKeyThatIsTakenAwayDuringItsRequestMayDoNothing(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	p := s.Config.Handler.(*Proxy)
	p.cfg.Credential = func(string) (Credential, bool) { return Credential{}, false } // the verifier keeps the old one
	resp, body := ask(t, s, http.MethodGet, "/bucket/k", nil)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "InvalidAccessKeyId") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
