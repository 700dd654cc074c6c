package random

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// listedPage parses a page of any list.
type listedPage struct {
	IsTruncated                       bool
	NextMarker, NextContinuationToken string
	NextKeyMarker                     string
	NextVersionIDMarker               string      `xml:"NextVersionIdMarker"`
	NextUploadIDMarker                string      `xml:"NextUploadIdMarker"`
	Elements                          []pageEntry `xml:",any"`
}

type pageEntry struct {
	XMLName   xml.Name
	Key       string
	VersionID string `xml:"VersionId"`
	UploadID  string `xml:"UploadId"`
	Prefix    string // the common prefix
}

// wholeList pages through a list in small pages, on each side with the side's own markers, and
// compares the totals. Each side may choose where a page ends, but an entry that is on no page is
// lost.
func (q *sequence) wholeList() {
	kind := choose(q, "list", "uploads", "versions", "list-type=2", "")
	query := url.Values{}
	if name, value, _ := strings.Cut(kind, "="); name != "" {
		query.Set(name, value)
	}
	size := map[bool]string{true: "max-uploads", false: "max-keys"}[kind == "uploads"]
	query.Set(size, choose(q, "size", "1", "2", "3"))
	prefix := choose(q, "prefix", append([]string{"", "d"}, q.keys...)...)
	query.Set("prefix", prefix)
	if kind != "uploads" && q.rarely("delimiter", 3) {
		query.Set("delimiter", "/")
	}
	var lists [sideCount][]string
	for i := range lists {
		lists[i] = q.walkList(i, query)
		if !slices.Equal(lists[i], lists[atStore]) {
			q.t.Fatalf("%v has through the proxy, --etag %s: %q\ndirect: %q", query, sideNames[i], lists[i], lists[atStore])
		}
	}
	q.seen.add(q.seen.calls, "a whole list")
}

// walkList returns the entries of all pages, with ids as the store has them, followed by the common
// prefixes, because S3 does not define where these stand in a document. It sorts uploads, which
// MinIO lists by age, and versions, of which versitygw puts a page's delete markers first.
func (q *sequence) walkList(side int, query url.Values) (all []string) {
	if q.store == lab.OnVersitygw && (query.Has("uploads") || query.Has("versions")) {
		query = maps.Clone(query) // versitygw refuses its own upload marker, and repeats a marker's version
		query.Del("max-uploads")
		query.Del("max-keys")
	}
	next := url.Values{}
	var shared []string
	for range 200 {
		asked := url.Values{}
		for _, from := range []url.Values{query, next} {
			for name, values := range from {
				asked[name] = values
			}
		}
		text := strings.NewReplacer("+", "%20", "versions=&", "versions&", "uploads=&", "uploads&").Replace(asked.Encode())
		a := s3test.Call{Method: "GET", Path: q.path(side, ""), Query: text}.Do(q.outer, q.at[side])
		var page listedPage
		if err := xml.Unmarshal(a.Body, &page); a.Status != 200 || err != nil {
			q.t.Fatalf("%s?%s: %v, %v", q.path(side, ""), text, a, err)
		}
		last := ""
		for _, e := range page.Elements {
			switch e.XMLName.Local {
			case "CommonPrefixes":
				last = max(last, e.Prefix)
				shared = append(shared, e.Prefix)
			case "Contents", "Version", "DeleteMarker", "Upload":
				last = max(last, e.Key)
				all = append(all, fmt.Sprintf("%s %q %s%s", e.XMLName.Local, e.Key, q.asStores(side, aVersion, e.VersionID), q.asStores(side, anUpload, e.UploadID)))
			}
		}
		if !page.IsTruncated {
			if query.Has("uploads") || query.Has("versions") && q.store == lab.OnVersitygw {
				slices.Sort(all)
			}
			return append(all, shared...)
		}
		next = url.Values{}
		for name, value := range map[string]string{
			"continuation-token": page.NextContinuationToken, "key-marker": page.NextKeyMarker, "version-id-marker": page.NextVersionIDMarker, "upload-id-marker": page.NextUploadIDMarker,
		} {
			if value != "" {
				next.Set(name, value)
			}
		}
		if query.Has("uploads") {
			next.Set("key-marker", s3test.OrElse(page.NextKeyMarker, last)) // MinIO names only the upload
		} else if len(next) == 0 {
			next.Set("marker", s3test.OrElse(page.NextMarker, last))
		}
	}
	q.t.Fatalf("%s?%s has no end", q.path(side, ""), query.Encode())
	return nil
}

// asStores translates a side's id to the store's. An id that no answer has revealed yet (of a
// delete marker made by a quiet DeleteObjects) is unknown on each side.
func (q *sequence) asStores(side int, kind, id string) string {
	if id == "" || id == nullValue {
		return id
	}
	if _, told := q.names[throughMD5][kind+id]; side == atStore && told {
		return id
	}
	return s3test.OrElse(q.meaning[side][kind+id], "that no answer told")
}
