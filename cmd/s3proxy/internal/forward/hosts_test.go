package forward

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func urls(t *testing.T, texts ...string) (all []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

func TestAStoreIsItsHostAndTheHostsBelowAtItsPorts(t *testing.T) {
	h, err := NewHosts(urls(t, "https://S3.example.com", "http://minio:9000", "http://[2001:db8::1]:80"), []string{"s3.alias.test", "other.test:8080"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][2]bool{ // a store's, and where tunnels may lead
		"s3.example.com:443": {true, true}, "s3.example.com:80": {true, false}, "B.S3.Example.Com.:443": {true, true}, "s3.example.com:8080": {},
		"minio:9000": {true, true}, "bucket.minio:9000": {true, true}, "minio:80": {}, "aminio:9000": {}, "[2001:db8:0::1]:80": {true, true}, "[2001:db8::2]:80": {},
		"s3.alias.test:80": {true, false}, "s3.alias.test:443": {true, false}, "s3.alias.test:81": {}, "b.other.test:8080": {true, false}, "other.test:80": {},
		"example.com:443": {}, "evils3.example.com:443": {}, "s3.example.com.evil.test:443": {},
	} {
		at, err := parse(text, "")
		if err != nil || h.IsStore(at) != want[0] || h.MayTunnel(at) != want[1] {
			t.Errorf("%s: %v %v, want %v (%v)", text, h.IsStore(at), h.MayTunnel(at), want, err)
		}
	}
	if got := h.Domains(); !slices.Equal(got, []string{"s3.example.com", "minio", "s3.alias.test", "other.test"}) {
		t.Errorf("domains %v", got)
	}
}

func TestTheListOfTunnelsTakesTheStoresPlace(t *testing.T) {
	stores := urls(t, "https://s3.example.com")
	h, err := NewHosts(stores, nil, []string{"a.test:443", "*.b.test:443"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"a.test:443": true, "x.a.test:443": false, "b.test:443": false, "x.b.test:443": true, "x.b.test:80": false, "s3.example.com:443": false} {
		if at, err := parse(text, ""); err != nil || h.MayTunnel(at) != want {
			t.Errorf("%s: %v, %v", text, h.MayTunnel(at), err)
		}
	}
	if h, err := NewHosts(stores, nil, []string{NoTunnels}); err != nil || len(h.Tunnels()) > 0 {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"a.test", "*:443", "*.*.test:443", "a.test:0", "a.test:x", "a/b:1", "user@a.test:1", "", "*.127.0.0.1:443", "127.1:443", "none2:"} {
		if _, err := NewHosts(stores, nil, []string{bad}); err == nil || !strings.Contains(err.Error(), "connect-host") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOddSpellingsOfHostsAreNone(t *testing.T) {
	for _, host := range []string{"", ".", "a..b", "-a", "a b", "ä.test", "a\x00", "a%2e", "127.1", "0x7f.0.0.1", "2130706433", "1.2.3.4.5", "a.0x1", "fe80::1%eth0", "[::1", "a/b", "a@b", "a:b", strings.Repeat("a", 254)} {
		if got := canonical(host); got != "" {
			t.Errorf("%q is %q", host, got)
		}
	}
	for host, want := range map[string]string{"A.B.": "a.b", "::FFFF:127.0.0.1": "127.0.0.1", "2001:DB8:0:0::1": "2001:db8::1", "xn--bcher-kva.test": "xn--bcher-kva.test", "my_minio": "my_minio"} {
		if got := canonical(host); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}

func TestTheOriginFormIsTheTargetAsItCame(t *testing.T) {
	for target, want := range map[string]string{
		"http://h": "/", "http://h/": "/", "http://h?a=b": "/?a=b", "http://h/a%2Fb//c?d=/e": "/a%2Fb//c?d=/e", "HTTP://h:80/x": "/x", "http://h/http://i/": "/http://i/",
	} {
		if got := originForm(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
