package state

import (
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

func TestAPageShowsNoOwnObjectAndSaysWhereItEnded(t *testing.T) {
	object := func(key s3xml.Text) s3xml.ListedObject { return s3xml.ListedObject{Key: key} }
	for _, c := range []struct {
		keys, left []s3xml.Text
		inState    bool
	}{
		{[]s3xml.Text{"-", ".s3proxy/a", ".s3proxy/b"}, []s3xml.Text{"-"}, true},
		{[]s3xml.Text{".s3proxy/a", "k"}, []s3xml.Text{"k"}, false},
		{[]s3xml.Text{"./.s3proxy/a", ".s3proxy//b", "k"}, []s3xml.Text{"k"}, false},
		{[]s3xml.Text{".s3proxyish/a"}, []s3xml.Text{".s3proxyish/a"}, false},
	} {
		page := &s3xml.ListObjects{}
		for _, key := range c.keys {
			page.Contents = append(page.Contents, object(key))
		}
		inState := (Place{}).DropOwn(page)
		var left []s3xml.Text
		for _, o := range page.Contents {
			left = append(left, o.Key)
		}
		if inState != c.inState || len(left) != len(c.left) || len(left) > 0 && left[0] != c.left[0] {
			t.Errorf("%q: %q, %v", c.keys, left, inState)
		}
	}
}

func TestAPageOfVersionsShowsNoOwnObjectNorTheMarkersOwn(t *testing.T) {
	page := &s3xml.ListVersions{}
	for _, v := range []s3xml.ListedVersion{{Key: ".s3proxy/a", VersionID: "1"}, {Key: "k", VersionID: "2"}, {Key: "k", VersionID: "1"}} {
		page.Versions = append(page.Versions, v)
	}
	if inState := (Place{}).DropOwnVersions(page, s3xml.VersionMarker{Key: "k", Version: "2"}); inState || len(page.Versions) != 1 || page.Versions[0].VersionID != "1" {
		t.Errorf("%+v, %v", page.Versions, inState)
	}
}

func TestADelimiterThatCutsTheOwnFolderSharesAPrefixWithClients(t *testing.T) {
	for _, c := range []struct{ place, prefix, delimiter, shared string }{
		{"", "", ".", "."}, {"", "", "s", ".s"}, {"", "", "/", ""}, {"", ".s3", "p", ".s3p"}, {"", "k", "s", ""}, {"", "", "", ""},
		{"team/", "", "/", "team/"}, {"team/", "team/", "/", ""}, {"team/", "", "m", "team"},
	} {
		if got := (Place{Prefix: c.place}).Shared(c.prefix, c.delimiter); got != c.shared {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
