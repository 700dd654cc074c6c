package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listObjectVersions answers with plaintext sizes and without our own objects; as in list, further
// requests replace what was dropped from a page.
func listObjectVersions(x *exchange) error {
	want, legal := x.maxKeys()
	if legal && x.query.Get("version-id-marker") != "" && x.query.Get("key-marker") == "" {
		return s3err.InvalidArgument.WithMessage("A version-id marker cannot be specified without a key marker.").Argument("version-id-marker", x.query.Get("version-id-marker"))
	}
	encoding, given := x.query["encoding-type"]
	if given && encoding[0] != "url" {
		return errEncodingType(encoding[0])
	}
	page, header, err := x.versionsPage(want)
	if err != nil {
		return err
	}
	page.NameEnd()
	page.Xmlns, page.Name, page.MaxKeys = s3xml.Namespace, x.bucket.String(), want
	if legal && want == 0 {
		page.Clear()
	}
	var entries []listedState
	for i := range page.Versions {
		v := &page.Versions[i]
		if v.Deletes() {
			continue
		}
		entries = append(entries, listedState{key: string(v.Key), version: v.VersionID, etag: v.ETag, size: v.Size, checksum: &v.ListedChecksum})
	}
	if err := x.showStates(entries); err != nil {
		return err
	}
	if given {
		s3xml.EncodeTexts(page)
	}
	x.passCommon(header)
	return x.answerXML(page)
}

// versionsPage asks for as many versions as the client wants, in as many requests as that takes.
// None of them asks for more than is missing, so that nothing has to be cut off the end of a
// page: only the store knows where the list goes on.
func (x *exchange) versionsPage(want int) (*s3xml.ListVersions, http.Header, error) {
	q := x.passedQuery()
	q.Del("encoding-type")
	asked := s3xml.VersionMarker{Key: s3xml.Text(q.Get("key-marker")), Version: q.Get("version-id-marker")}
	shared := x.Place.Shared(q.Get("prefix"), q.Get("delimiter"))
	page, header, dropped, inState, err := x.clientVersions(q, asked, shared)
	if err != nil {
		return nil, nil, err
	}
	stands, tooMany := page.Next() == asked, false
	for round := 0; dropped > 0 && page.IsTruncated && page.Entries() < want; round++ {
		if round == maxRounds {
			return nil, nil, errors.New("the store's listing makes no progress behind the objects of s3proxy")
		}
		if inState && !strings.HasPrefix(x.Place.Past(), q.Get("prefix")) { // all below it are our own
			page.IsTruncated, page.NextKeyMarker, page.NextVersionIDMarker = false, nil, nil
			break
		}
		asked = x.placeBehind(page, inState)
		missing := want - page.Entries()
		if stands { // the page had only the marker's own version
			missing++
		}
		q.Set("max-keys", strconv.Itoa(min(missing, maxKeys)))
		if err := setVersionMarker(q, asked); err != nil {
			return nil, nil, err
		}
		var next *s3xml.ListVersions
		if next, _, _, inState, err = x.clientVersions(q, asked, shared); err != nil {
			return nil, nil, err
		}
		if stands && !tooMany && page.Entries()+next.Entries() > want { // the marker's own is gone meanwhile
			stands, inState, tooMany = false, false, true // once: versitygw 1.8 does not count common prefixes
			continue
		}
		if missedBehind(page.Last(), missing, next.Entries(), next.IsTruncated) {
			break
		}
		page.Append(next)
		stands = next.Next() == asked
	}
	return page, header, nil
}

// clientVersions asks the store for one page, and returns the client's versions of it. dropped is
// the number of other entries; inState says that the page ended among the proxy's own objects.
func (x *exchange) clientVersions(q url.Values, asked s3xml.VersionMarker, shared string) (page *s3xml.ListVersions, header http.Header, dropped int, inState bool, err error) {
	if page, header, err = x.askVersions(q); err != nil {
		return nil, nil, 0, false, err
	}
	listed := page.Entries()
	inState = x.Place.DropOwnVersions(page, asked)
	err = x.dropPrefixes(&page.CommonPrefixes, shared, x.firstVersion)
	return page, header, listed - page.Entries(), inState, err
}

// placeBehind is where the list goes on, behind our own objects if the page ends among them.
func (x *exchange) placeBehind(page *s3xml.ListVersions, inState bool) s3xml.VersionMarker {
	if inState {
		return s3xml.VersionMarker{Key: s3xml.Text(x.Place.Past())}
	}
	return page.Next()
}

// setVersionMarker makes q ask for what follows a version.
func setVersionMarker(q url.Values, at s3xml.VersionMarker) error {
	if at.Key == "" {
		return errors.New("the store's listing is truncated and gives no marker")
	}
	q.Set("key-marker", string(at.Key))
	q.Del("version-id-marker")
	if at.Version != "" {
		q.Set("version-id-marker", at.Version)
	}
	return nil
}

// askVersions asks the store for one page, as the client.
func (x *exchange) askVersions(q url.Values) (*s3xml.ListVersions, http.Header, error) {
	return upstream.List[s3xml.ListVersions](x.r.Context(), x.Upstream, upstream.Request{Bucket: x.bucket, Query: q, Header: x.passedHeaders(), Unsigned: x.unsigned()})
}
