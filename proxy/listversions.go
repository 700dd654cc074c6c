package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listObjectVersions answers with plaintext sizes and without our own objects; as
// in list, what was dropped from a page is made up for.
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
	page.Xmlns, page.Name, page.MaxKeys = s3Namespace, x.bucket.String(), want
	if legal && want == 0 {
		page.clear()
	}
	var entries []listedState
	for i := range page.Versions {
		v := &page.Versions[i]
		if v.deletes() {
			continue
		}
		hideUpload(*v.ETag, &v.ChecksumAlgorithm, &v.ChecksumType)
		entries = append(entries, listedState{key: string(v.Key), version: v.VersionID, etag: v.ETag, size: v.Size})
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

// versionsPage asks for as many of the client's versions as it wants, in as many requests
// as that takes. None asks for more than is missing, so that nothing must be taken away
// from a page's end: only the store knows the place behind what would be left.
func (x *exchange) versionsPage(want int) (*listVersionsResult, http.Header, error) {
	q := x.passedQuery()
	q.Del("encoding-type")
	asked := versionMarker{xmlText(q.Get("key-marker")), q.Get("version-id-marker")}
	page, header, err := x.askVersions(q)
	if err != nil {
		return nil, nil, err
	}
	shared := x.state.shared(q.Get("prefix"), q.Get("delimiter"))
	listed := page.entries()
	inState := page.drop(x.state, asked)
	if err := x.dropPrefixes(&page.CommonPrefixes, shared, x.firstVersion); err != nil {
		return nil, nil, err
	}
	dropped := listed - page.entries()
	stands := page.next() == asked
	for round := 0; dropped > 0 && page.IsTruncated && page.entries() < want; round++ {
		if round == maxRounds {
			return nil, nil, errors.New("the store's listing makes no progress behind the objects of s3proxy")
		}
		if inState && !strings.HasPrefix(x.state.past(), q.Get("prefix")) { // all below it are our own
			page.IsTruncated, page.NextKeyMarker, page.NextVersionIDMarker = false, nil, nil
			break
		}
		asked = page.next()
		if inState {
			asked = versionMarker{key: xmlText(x.state.past())}
		}
		if asked.key == "" {
			return nil, nil, errors.New("the store's listing is truncated and gives no marker")
		}
		missing := want - page.entries()
		if stands { // the one that came was the marker's own
			missing++
		}
		q.Set("max-keys", strconv.Itoa(min(missing, maxKeys)))
		q.Set("key-marker", string(asked.key))
		q.Del("version-id-marker")
		if asked.version != "" {
			q.Set("version-id-marker", asked.version)
		}
		next, _, err := x.askVersions(q)
		if err != nil {
			return nil, nil, err
		}
		inState = next.drop(x.state, asked)
		if err := x.dropPrefixes(&next.CommonPrefixes, shared, x.firstVersion); err != nil {
			return nil, nil, err
		}
		if stands && page.entries()+next.entries() > want { // the marker's own is gone meanwhile
			stands, inState = false, false
			continue
		}
		page.append(next)
		stands = next.next() == asked
	}
	return page, header, nil
}

// askVersions asks the store for one page, as the client.
func (x *exchange) askVersions(q url.Values) (*listVersionsResult, http.Header, error) {
	return getList[listVersionsResult](x.r.Context(), x.objects, upstream.Request{Bucket: x.bucket, Query: q, Header: x.passedHeaders(), Unsigned: x.unsigned()})
}
