package state

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestAPlaceHasNoPrefixThatAStoreMayFold(t *testing.T) {
	for _, prefix := range []string{"team", "team/", "a/b/"} {
		p, err := NewPlace("", prefix)
		if err != nil || p.Root() != strings.TrimSuffix(prefix, "/")+"/"+StateFolder {
			t.Errorf("%q: %q, %v", prefix, p.Root(), err)
		}
	}
	for _, prefix := range []string{"/", "/team", "team//", "a//b", ".", "..", "../team", "a/../b", "a/./b", `a\b`, "a\nb", "a\xff", ".s3proxy", ".s3proxy/", "a/.s3proxy/b", strings.Repeat("a", maxStatePrefix)} {
		if p, err := NewPlace("", prefix); err == nil {
			t.Errorf("%q is taken: %q", prefix, p.Root())
		}
	}
	for _, bucket := range []string{"../victim", "*", "a/b", ""} {
		if _, err := NewPlace(bucket, ""); (err == nil) != (bucket == "") {
			t.Errorf("the bucket %q: %v", bucket, err)
		}
	}
}

func TestNoClientNamesAnOwnObjectUnderAnySpelling(t *testing.T) {
	for _, p := range []Place{{}, {Prefix: "team/"}} {
		for _, key := range []string{"keys/x", "/keys/x", "./keys/x", "a/../keys/x"} {
			for _, spelling := range []string{p.Root() + key, "./" + p.Root() + key, "x/../" + p.Root() + key} {
				if _, err := p.ClientKey(spelling); !errors.Is(err, s3err.AccessDenied) {
					t.Errorf("below %s a client may name %q: %v", p.Root(), spelling, err)
				}
			}
		}
		for _, key := range []string{"k", "s3proxy/k", p.Prefix + "k", ".s3proxyish/k"} {
			if _, err := p.ClientKey(key); err != nil {
				t.Errorf("beside %s: %q: %v", p.Root(), key, err)
			}
		}
	}
	if _, err := (Place{Prefix: "team/"}).ClientKey(".s3proxy/keys/x"); err != nil {
		t.Errorf("not a state object there: %v", err)
	}
}

func TestAStoreNamesNoObjectBesideThoseOfItsFolder(t *testing.T) {
	p := Place{Prefix: "team/"}
	s := Store{Place: p}
	const folder = "team/.s3proxy/uploads/"
	if key, version, err := s.Entry(s3xml.ListedVersion{Key: folder + "k", VersionID: "v"}, folder); err != nil || key.String() != folder+"k" || version.String() != "v" {
		t.Errorf("%q, %q, %v", key, version, err)
	}
	for _, e := range []s3xml.ListedVersion{
		{Key: "client"}, {Key: "team/.s3proxy/keys/k"}, {Key: folder + "../keys/k"}, {Key: folder + "./k"}, {Key: folder + "../../../k"},
		{Key: folder + "k", VersionID: "../v"}, {Key: folder + "k", VersionID: "a b"},
	} {
		if _, _, err := s.Entry(e, folder); !errors.Is(err, upstream.ErrStored) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, key := range []string{"client", ".s3proxy/keys/k", "team/.s3proxy/../k"} {
		if _, err := p.OwnKey(key); !errors.Is(err, upstream.ErrStored) {
			t.Errorf("%q is taken for a state object: %v", key, err)
		}
	}
}

func TestTheOwnObjectsOfABucketMayBeInAnother(t *testing.T) {
	bucket, keep := must(s3name.ParseBucket("photos")), must(s3name.ParseBucket("keep"))
	for _, c := range []struct {
		place  Place
		bucket s3name.Bucket
		prefix string
	}{
		{Place{}, bucket, ".s3proxy/"}, {Place{Prefix: "team/"}, bucket, "team/.s3proxy/"},
		{Place{Bucket: keep}, keep, ".s3proxy/photos/"}, {Place{Bucket: keep, Prefix: "team/"}, keep, "team/.s3proxy/photos/"},
	} {
		if b, prefix := c.place.Of(bucket); b != c.bucket || prefix != c.prefix {
			t.Errorf("%+v: %s %s", c.place, b, prefix)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
