package proxy

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
)

func TestAListingKeepsEveryCharacterOfAKey(t *testing.T) {
	t.Parallel()
	key := "a <b>&\"'+ %2F/ü\x01\n日本"
	page := &s3xml.ListObjects{Contents: []s3xml.ListedObject{{Key: s3xml.Text(key)}}}
	out, err := xml.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "a &lt;b&gt;&amp;&quot;'+ %2F/ü&#x1;&#xA;日本") {
		t.Errorf("in XML: %s", out)
	}
	s3xml.EncodeTexts(page)
	if string(page.Contents[0].Key) != "a+%3Cb%3E%26%22%27%2B+%252F/%C3%BC%01%0A%E6%97%A5%E6%9C%AC" {
		t.Errorf("encoded: %s", page.Contents[0].Key)
	}
	if err := s3xml.DecodeTexts(page); err != nil || string(page.Contents[0].Key) != key {
		t.Errorf("decoded again: %q, %v", page.Contents[0].Key, err)
	}
}

func TestStateObjectsAreDroppedFromAPageAndItsCursorIsKnown(t *testing.T) {
	t.Parallel()
	page := &s3xml.ListObjects{
		Contents:       []s3xml.ListedObject{{Key: "!"}, {Key: ".s3proxy/keys/a"}, {Key: ".s3proxy/keys/b"}},
		CommonPrefixes: []s3xml.CommonPrefix{{Prefix: "!a/"}},
	}
	if inState := (state.Place{}).DropOwn(page); !inState || page.Entries() != 2 {
		t.Errorf("in state %v, %d left", inState, page.Entries())
	}
	page.Contents = append(page.Contents, s3xml.ListedObject{Key: "z"})
	if inState := (state.Place{}).DropOwn(page); inState || page.Entries() != 3 {
		t.Errorf("in state %v, %d left", inState, page.Entries())
	}
	past := state.Place{}.Past()
	if past <= ".s3proxy/uploads/ffff" || past >= ".s3proxy0" {
		t.Errorf("%q does not sort right behind the state objects", past)
	}
}

func TestADelimiterThatCutsTheProxysOwnKeysMakesASharedPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ state, prefix, delimiter, want string }{
		{"", "", ".", "."}, {"", "", "y", ".s3proxy"}, {"", ".s3", "o", ".s3pro"}, {"", ".", "3p", ".s3p"},
		{"", "", "/", ""}, {"", "", "y/", ""}, {"", "", "/k", ""}, {"", "", "", ""}, {"", "x", ".", ""}, {"", ".s3proxy/", ".", ""},
		{"team/", "", "/", "team/"}, {"team/", "team/", "/", ""}, {"team/", "team/", ".", "team/."}, {"team/", "", "m", "team"},
	} {
		if got := (state.Place{Prefix: c.state}).Shared(c.prefix, c.delimiter); got != c.want {
			t.Errorf("prefix %q, delimiter %q, state below %q: %q, want %q", c.prefix, c.delimiter, c.state, got, c.want)
		}
	}
}

func TestVersionsAndDeleteMarkersStayInTheOrderOfTheStoresDocument(t *testing.T) {
	t.Parallel()
	const doc = `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>` +
		`<Version><Key>a</Key><VersionId>4</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"e"</ETag><Size>7</Size><Owner><ID>o</ID></Owner></Version>` +
		`<DeleteMarker><Key>a</Key><VersionId>3</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><Owner><ID>o</ID></Owner></DeleteMarker>` +
		`<Version><Key>a</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified></Version>` +
		`<DeleteMarker><Key>b</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"of none"</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></DeleteMarker>` +
		`<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><Else><Key>x</Key></Else></ListVersionsResult>`
	var page s3xml.ListVersions
	if err := s3xml.Unmarshal([]byte(doc), &page); err != nil {
		t.Fatal(err)
	}
	out, err := xml.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(out), "<IsTruncated>true</IsTruncated>")
	const want = `<Version><Key>a</Key><VersionId>4</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&#34;e&#34;</ETag><Size>7</Size><Owner><ID>o</ID></Owner></Version>` +
		`<DeleteMarker><Key>a</Key><VersionId>3</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><Owner><ID>o</ID></Owner></DeleteMarker>` +
		`<Version><Key>a</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified><ETag></ETag><Size>0</Size></Version>` +
		`<DeleteMarker><Key>b</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified></DeleteMarker>` +
		`<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListVersionsResult>`
	if got != want {
		t.Errorf("written again:\n%s\nwant\n%s", got, want)
	}
}
