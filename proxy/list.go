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

// maxKeys is how many entries a page has at most and by default.
const maxKeys = 1000

// maxRounds bounds the requests that replace what was dropped from a page: one skips our own
// objects, one fills the page, the rest are for stores whose pages are shorter than asked for.
const maxRounds = 10

func listObjects(x *exchange) error   { return x.list(false) }
func listObjectsV2(x *exchange) error { return x.list(true) }

// maxKeys is how many entries the client wants. The store refuses a number that is not legal.
func (x *clientRequest) maxKeys() (want int, legal bool) {
	given := x.query.Get("max-keys")
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil || n < 0 {
		return maxKeys, given == ""
	}
	return min(int(n), maxKeys), true
}

// list answers a listing with plaintext sizes and without our own objects.
// Pages are as full as the store's: a further request, with the store's own cursor, replaces what
// was dropped from one.
func (x *exchange) list(v2 bool) error {
	want, _ := x.maxKeys()
	encoding := x.query.Get("encoding-type")
	if _, given := x.query["encoding-type"]; given && encoding != "url" {
		return errEncodingType(encoding)
	}

	page, header, err := x.fullPage(v2, want)
	if err != nil {
		return err
	}
	if v2 {
		n := page.Entries()
		page.KeyCount = &n
	}
	page.Xmlns, page.Name, page.MaxKeys = s3xml.Namespace, x.bucket.String(), want
	if err := x.plainSizes(page); err != nil {
		return err
	}
	if encoding == "url" {
		s3xml.EncodeTexts(page)
	}
	x.passCommon(header)
	x.w.Header().Set("X-Amz-Bucket-Region", x.shownRegion())
	return x.answerXML(page)
}

// fullPage asks for a page of the client's objects, and replaces what was dropped from it.
func (x *exchange) fullPage(v2 bool, want int) (*s3xml.ListObjects, http.Header, error) {
	q := x.passedQuery()
	q.Del("encoding-type") // versitygw 1.8 says that it encodes and does not; we do it ourselves
	page, header, err := x.listPage(q)
	if err != nil {
		return nil, nil, err
	}
	shared := x.Place.Shared(q.Get("prefix"), q.Get("delimiter"))
	listed := page.Entries()
	inState, err := x.dropOwn(page, shared)
	if err != nil {
		return nil, nil, err
	}
	dropped := listed - page.Entries()
	for next, round := page, 0; dropped > 0 && next.IsTruncated && page.Entries() < want; round++ {
		if inState && !strings.HasPrefix(x.Place.Past(), q.Get("prefix")) { // only our own objects have this prefix
			page.IsTruncated, page.NextMarker, page.NextContinuationToken = false, nil, nil
			break
		}
		if round == maxRounds {
			return nil, nil, errors.New("the store's listing makes no progress behind the objects of s3proxy")
		}
		missing := want - page.Entries()
		q.Set("max-keys", strconv.Itoa(missing))
		if err := x.goOn(q, v2, next, inState); err != nil {
			return nil, nil, err
		}
		if next, _, err = x.listPage(q); err != nil {
			return nil, nil, err
		}
		if inState, err = x.dropOwn(next, shared); err != nil {
			return nil, nil, err
		}
		if missedBehind(page.Last(), missing, next.Entries(), next.IsTruncated) {
			break
		}
		page.Append(next)
	}
	return page, header, nil
}

// missedBehind tells whether a store may have ended a list too early. MinIO, asked for one entry
// behind a folder that is also an object, finds none whatever follows: then the page stays short
// and says that it is not the last.
func missedBehind(last string, asked, got int, truncated bool) bool {
	return asked == 1 && got == 0 && !truncated && strings.HasSuffix(last, "/")
}

// goOn makes q ask for what follows a page, or our own objects if the page ends among them.
func (x *exchange) goOn(q url.Values, v2 bool, page *s3xml.ListObjects, inState bool) error {
	q.Del("start-after")
	switch {
	case inState && v2:
		q.Del("continuation-token")
		q.Set("start-after", x.Place.Past())
	case inState:
		q.Set("marker", x.Place.Past())
	case v2 && page.NextContinuationToken != nil:
		q.Set("continuation-token", string(*page.NextContinuationToken))
	case !v2:
		q.Set("marker", page.LastV1())
	default:
		return errors.New("the store's listing is truncated and gives no cursor")
	}
	return nil
}

func errEncodingType(given string) error {
	return s3err.InvalidArgument.WithMessage("Invalid Encoding Method specified in Request").Argument("encoding-type", given)
}

// listPage asks the store for one page, as the client.
func (x *exchange) listPage(q url.Values) (*s3xml.ListObjects, http.Header, error) {
	return upstream.List[s3xml.ListObjects](x.r.Context(), x.Upstream, upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: q, Header: x.passedHeaders(), Unsigned: x.unsigned()})
}

// dropOwn removes our own objects from a page, and the common prefixes that only they have.
// inState says that the page ended among them.
func (x *exchange) dropOwn(page *s3xml.ListObjects, shared string) (inState bool, err error) {
	inState = x.Place.DropOwn(page)
	return inState, x.dropPrefixes(&page.CommonPrefixes, shared, x.firstObject)
}

// plainSizes turns a page's sizes and ETags into those that GET shows.
func (x *exchange) plainSizes(page *s3xml.ListObjects) error {
	entries := make([]listedState, len(page.Contents))
	for i := range page.Contents {
		o := &page.Contents[i]
		entries[i] = listedState{key: string(o.Key), etag: &o.ETag, size: &o.Size, checksum: &o.ListedChecksum}
	}
	return x.showStates(entries)
}
