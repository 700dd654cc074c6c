package proxy

import (
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listVersionsResult is the document of ListObjectVersions.
type listVersionsResult struct {
	XMLName             xml.Name               `xml:"ListVersionsResult"`
	Xmlns               string                 `xml:"xmlns,attr"`
	Name                string                 `xml:"Name"`
	Prefix              *xmlText               `xml:"Prefix"`
	KeyMarker           *xmlText               `xml:"KeyMarker"`
	VersionIDMarker     *string                `xml:"VersionIdMarker"`
	NextKeyMarker       *xmlText               `xml:"NextKeyMarker"`
	NextVersionIDMarker *string                `xml:"NextVersionIdMarker"`
	MaxKeys             int                    `xml:"MaxKeys"`
	Delimiter           *xmlText               `xml:"Delimiter"`
	EncodingType        string                 `xml:"EncodingType,omitempty"`
	IsTruncated         bool                   `xml:"IsTruncated"`
	Versions            bounded[listedVersion] `xml:"Version"`
	Markers             bounded[listedMarker]  `xml:"DeleteMarker"`
	CommonPrefixes      bounded[commonPrefix]  `xml:"CommonPrefixes"`
}

type listedVersion struct {
	listedObject
	VersionID string `xml:"VersionId"`
	IsLatest  bool   `xml:"IsLatest"`
}

type listedMarker struct {
	Key          xmlText      `xml:"Key"`
	VersionID    string       `xml:"VersionId"`
	IsLatest     bool         `xml:"IsLatest"`
	LastModified string       `xml:"LastModified"`
	Owner        *listedOwner `xml:"Owner"`
}

func (l *listVersionsResult) texts() []*xmlText {
	all := []*xmlText{l.Prefix, l.KeyMarker, l.NextKeyMarker, l.Delimiter}
	for i := range l.Versions {
		all = append(all, &l.Versions[i].Key)
	}
	for i := range l.Markers {
		all = append(all, &l.Markers[i].Key)
	}
	for i := range l.CommonPrefixes {
		all = append(all, &l.CommonPrefixes[i].Prefix)
	}
	return all
}

func (l *listVersionsResult) encodingType() *string { return &l.EncodingType }

func (l *listVersionsResult) entries() int {
	return len(l.Versions) + len(l.Markers) + len(l.CommonPrefixes)
}

// dropState takes our own objects out of a page. inState says that the page ended
// among them.
func (l *listVersionsResult) dropState(at StatePlace) (dropped int, inState bool) {
	before, last := l.entries(), ""
	for _, v := range l.Versions {
		last = max(last, string(v.Key))
	}
	for _, m := range l.Markers {
		last = max(last, string(m.Key))
	}
	for _, p := range l.CommonPrefixes {
		last = max(last, string(p.Prefix))
	}
	ours := func(key xmlText) bool { return at.owns(string(key)) }
	l.Versions = slices.DeleteFunc(l.Versions, func(v listedVersion) bool { return ours(v.Key) })
	l.Markers = slices.DeleteFunc(l.Markers, func(m listedMarker) bool { return ours(m.Key) })
	l.CommonPrefixes = slices.DeleteFunc(l.CommonPrefixes, func(p commonPrefix) bool { return ours(p.Prefix) })
	return before - l.entries(), strings.HasPrefix(last, at.root())
}

// end is the marker behind a page. The last entry says more than the store's own:
// versitygw 1.8 gives the marker that it was asked with for a page of one.
func (l *listVersionsResult) end() (key *xmlText, version *string) {
	key, version = l.NextKeyMarker, l.NextVersionIDMarker
	if !l.IsTruncated || len(l.CommonPrefixes) > 0 || l.entries() == 0 {
		return key, version
	}
	last := l.last()
	return &last.Key, &last.VersionID
}

// last is the last version or marker of a page: a key's are listed newest first.
func (l *listVersionsResult) last() (last listedMarker) {
	found := false
	look := func(m listedMarker) {
		if !found || m.Key > last.Key || m.Key == last.Key && m.LastModified <= last.LastModified {
			last, found = m, true
		}
	}
	for _, v := range l.Versions {
		look(listedMarker{Key: v.Key, VersionID: v.VersionID, LastModified: v.LastModified})
	}
	for _, m := range l.Markers {
		look(m)
	}
	return last
}

// drop takes a version or marker out of a page.
func (l *listVersionsResult) drop(m listedMarker) {
	l.Versions = slices.DeleteFunc(l.Versions, func(v listedVersion) bool { return v.Key == m.Key && v.VersionID == m.VersionID })
	l.Markers = slices.DeleteFunc(l.Markers, func(d listedMarker) bool { return d.Key == m.Key && d.VersionID == m.VersionID })
}

// listObjectVersions answers with plaintext sizes and without our own objects; as
// in list, what was dropped from a page is made up for.
func listObjectVersions(x *exchange) error {
	want := maxKeys
	if n, err := strconv.ParseInt(x.query.Get("max-keys"), 10, 32); err == nil && n >= 0 { // others are for the store to refuse
		want = min(int(n), maxKeys)
	}
	encoding, given := x.query["encoding-type"]
	if given && encoding[0] != "url" {
		return errEncodingType(encoding[0])
	}
	q := x.passedQuery()
	q.Del("encoding-type")
	ask := func() (*listVersionsResult, http.Header, error) {
		return getList[listVersionsResult](x.r.Context(), x.objects, upstream.Request{Bucket: x.bucket, Query: q, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	}
	page, header, err := ask()
	if err != nil {
		return err
	}
	dropped, inState := page.dropState(x.state)
	for round := 0; dropped > 0 && page.IsTruncated && page.entries() < want; round++ {
		if round == maxRounds {
			return errors.New("the store's listing makes no progress behind the objects of s3proxy")
		}
		missing := want - page.entries()
		var marker listedMarker
		q.Set("max-keys", strconv.Itoa(missing))
		switch {
		case inState:
			q.Set("key-marker", x.state.past())
			q.Del("version-id-marker")
		case page.NextKeyMarker != nil:
			q.Set("key-marker", string(*page.NextKeyMarker))
			q.Del("version-id-marker")
			if page.NextVersionIDMarker != nil {
				q.Set("version-id-marker", *page.NextVersionIDMarker)
				// versitygw 1.8 lists the version of the marker again when it is the newest.
				q.Set("max-keys", strconv.Itoa(min(missing+1, maxKeys)))
				marker = listedMarker{Key: *page.NextKeyMarker, VersionID: *page.NextVersionIDMarker}
			}
		default:
			return errors.New("the store's listing is truncated and gives no marker")
		}
		next, _, err := ask()
		if err != nil {
			return err
		}
		_, inState = next.dropState(x.state)
		next.drop(marker)
		for next.entries() > missing && len(next.CommonPrefixes) == 0 {
			next.drop(next.last())
			next.IsTruncated = true
		}
		page.Versions = append(page.Versions, next.Versions...)
		page.Markers = append(page.Markers, next.Markers...)
		page.CommonPrefixes = append(page.CommonPrefixes, next.CommonPrefixes...)
		page.IsTruncated = next.IsTruncated
		page.NextKeyMarker, page.NextVersionIDMarker = next.end()
	}
	page.Xmlns, page.Name, page.MaxKeys = s3Namespace, x.bucket.String(), want
	entries := make([]listedState, len(page.Versions))
	for i := range page.Versions {
		v := &page.Versions[i]
		v.hideUploads()
		entries[i] = listedState{key: string(v.Key), version: v.VersionID, etag: &v.ETag, size: &v.Size}
	}
	if err := x.showStates(entries); err != nil {
		return err
	}
	if given {
		encodeTexts(page)
	}
	x.passRequestID(header)
	return x.answerXML(page)
}
