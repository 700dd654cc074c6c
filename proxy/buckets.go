package proxy

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// bucketsResult is https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
type bucketsResult struct {
	XMLName           xml.Name     `xml:"ListAllMyBucketsResult"`
	Xmlns             string       `xml:"xmlns,attr"`
	Owner             *s3xml.Owner `xml:"Owner"`
	Buckets           bucketList   `xml:"Buckets>Bucket"`
	ContinuationToken string       `xml:"ContinuationToken,omitempty"`
	Prefix            *s3xml.Text  `xml:"Prefix"`
}

type listedBucket struct {
	Name         string `xml:"Name"`
	CreationDate string `xml:"CreationDate"`
	BucketRegion string `xml:"BucketRegion,omitempty"`
	BucketArn    string `xml:"BucketArn,omitempty"`
}

// maxBuckets is how many buckets a page has at most and by default.
const maxBuckets = 10_000

// maxAllBuckets and maxAllBucketsBytes bound the memory that one answer may need where a store's
// pages are put together.
const (
	maxAllBuckets      = 100_000
	maxAllBucketsBytes = 32 << 20
)

// bucketList is at most one page long; see s3xml.Bounded.
type bucketList []listedBucket

// UnmarshalXML implements xml.Unmarshaler, once for each bucket.
func (l *bucketList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return s3xml.AppendEntry((*[]listedBucket)(l), maxBuckets, d, start)
}

// bytes is the length of all texts in the list.
func (l bucketList) bytes() (n int) {
	for _, b := range l {
		n += len(b.Name) + len(b.CreationDate) + len(b.BucketRegion) + len(b.BucketArn)
	}
	return n
}

// unknownDate is shown for a bucket that is known only by HEAD, which has no creation date:
// aws-cli fails without one.
const unknownDate = "1970-01-01T00:00:00.000Z"

// listBuckets shows the buckets that the access key may use: those of the default
// store, and those that are configured with a store of their own and exist there.
// Of two buckets with one name only the one that requests reach is shown. A store
// that does not answer fails the call: a list without its buckets would be wrong.
//
// The store's own pages are passed on if nothing has to be left out or added. Otherwise all of
// them are read, and the result is cut into pages here, by name.
func listBuckets(x *exchange) error {
	limit, given := maxBuckets, x.query.Get("max-buckets")
	if given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > maxBuckets {
			return forward(x) // which the store refuses
		}
		limit = n
	}
	q := x.passedQuery()
	q.Del("x-id")
	region := q.Get("bucket-region")
	if region != "" && region == x.proxy.cfg.Region { // clients know the proxy's region only
		region = ""
		q.Set("bucket-region", x.Upstream.Region())
	}
	elsewhere := x.elsewhere()
	if x.unsigned() || x.credential.Buckets == nil && len(elsewhere) == 0 {
		page, header, err := x.bucketsPage(x.r.Context(), x.Upstream, q, x.unsigned())
		if err != nil {
			return err
		}
		page.Buckets = slices.DeleteFunc(page.Buckets, func(b listedBucket) bool { return elsewhere[b.Name] != nil })
		return x.answerBuckets(page, header)
	}

	after, err := base64.RawURLEncoding.DecodeString(q.Get("continuation-token"))
	if err != nil {
		return s3err.InvalidArgument.WithMessage("The continuation token provided is incorrect").
			With(s3err.Field{Name: "ArgumentName", Value: "continuation-token"})
	}
	q.Del("continuation-token")
	q.Del("max-buckets")
	page, header, err := x.allBuckets(x.r.Context(), x.Upstream, q)
	if err != nil {
		return err
	}
	page.Buckets = slices.DeleteFunc(page.Buckets, func(b listedBucket) bool {
		return elsewhere[b.Name] != nil || !x.credential.mayUse(b.Name)
	})
	maps.DeleteFunc(elsewhere, func(_ string, o *object.Objects) bool {
		return region != "" && (x.proxy.cfg.Region != "" || o.Upstream.Region() != region)
	})
	others, err := x.bucketsElsewhere(x.r.Context(), elsewhere)
	if err != nil {
		return err
	}
	page.Buckets = append(page.Buckets, others...)
	page.cut(string(after), q.Get("prefix"), limit)
	return x.answerBuckets(page, header)
}

// cut leaves one page: up to limit names behind after that begin with prefix.
func (b *bucketsResult) cut(after, prefix string, limit int) {
	b.Buckets = slices.DeleteFunc(b.Buckets, func(l listedBucket) bool {
		return l.Name <= after || !strings.HasPrefix(l.Name, prefix)
	})
	slices.SortFunc(b.Buckets, func(a, b listedBucket) int { return cmp.Compare(a.Name, b.Name) })
	b.ContinuationToken = ""
	if len(b.Buckets) > limit {
		b.Buckets = b.Buckets[:limit]
		b.ContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(b.Buckets[limit-1].Name))
	}
}

// answerBuckets sends a page. Its region is the proxy's, if there is one that clients must sign for.
func (x *exchange) answerBuckets(page *bucketsResult, header http.Header) error {
	for i := range page.Buckets {
		if b := &page.Buckets[i]; b.BucketRegion != "" && x.proxy.cfg.Region != "" {
			b.BucketRegion = x.proxy.cfg.Region
		}
	}
	page.Xmlns = s3xml.Namespace
	x.passCommon(header)
	return x.answerXML(page)
}

// elsewhere gives the configured buckets that are not in the default store.
func (x *exchange) elsewhere() map[string]*object.Objects {
	found := map[string]*object.Objects{}
	for name, o := range x.proxy.buckets {
		if o.Upstream != x.proxy.others.Upstream {
			found[name] = o
		}
	}
	return found
}

// bucketsElsewhere gives those of the buckets that exist and that the access key may use. It
// lists each store once, or asks for each bucket by HEAD where the proxy may not list.
func (x *exchange) bucketsElsewhere(ctx context.Context, buckets map[string]*object.Objects) (found []listedBucket, err error) {
	byStore := map[*upstream.Client][]string{}
	for _, name := range slices.Sorted(maps.Keys(buckets)) {
		if x.credential.mayUse(name) {
			store := buckets[name].Upstream
			byStore[store] = append(byStore[store], name)
		}
	}
	for store, names := range byStore {
		there, err := x.bucketsOf(ctx, store, names)
		if err != nil {
			return nil, err
		}
		found = append(found, there...)
	}
	return found, nil
}

// bucketsOf gives those of the named buckets that a store has.
func (x *exchange) bucketsOf(ctx context.Context, store *upstream.Client, names []string) (found []listedBucket, err error) {
	list, _, err := x.allBuckets(ctx, store, url.Values{})
	if err == nil {
		return slices.DeleteFunc(list.Buckets, func(b listedBucket) bool { return !slices.Contains(names, b.Name) }), nil
	}
	if status, refused := upstream.Status(err); !(refused && status/100 == 4) && !errors.Is(err, s3err.NotImplemented) {
		return nil, err
	}
	for _, name := range names {
		there, err := bucketExists(ctx, store, name)
		if err != nil {
			return nil, err
		}
		if there {
			found = append(found, listedBucket{Name: name, CreationDate: unknownDate})
		}
	}
	return found, nil
}

// bucketExists asks with the proxy's own credentials. A bucket that these may not use counts
// as missing.
func bucketExists(ctx context.Context, store *upstream.Client, name string) (bool, error) {
	bucket, err := state.ParseBucket(name)
	if err != nil {
		return false, err
	}
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket})
	if status, refused := upstream.Status(err); refused && status/100 == 4 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the bucket %s: %w", name, err)
	}
	resp.Body.Close()
	return true, nil
}

// allBuckets reads all pages of a store's list with the proxy's own credentials.
func (x *exchange) allBuckets(ctx context.Context, store *upstream.Client, q url.Values) (*bucketsResult, http.Header, error) {
	q = maps.Clone(q)
	q.Set("max-buckets", strconv.Itoa(s3xml.MaxEntries))
	all, header, err := x.bucketsPage(ctx, store, q, false)
	if err != nil {
		return nil, nil, err
	}
	size := all.Buckets.bytes()
	for token := all.ContinuationToken; token != ""; {
		q.Set("continuation-token", token)
		page, _, err := x.bucketsPage(ctx, store, q, false)
		if err != nil {
			return nil, nil, err
		}
		size += page.Buckets.bytes()
		if len(page.Buckets) == 0 && page.ContinuationToken != "" || len(all.Buckets)+len(page.Buckets) > maxAllBuckets || size > maxAllBucketsBytes {
			return nil, nil, fmt.Errorf("%w: the store's list of buckets does not end", upstream.ErrStored)
		}
		all.Buckets = append(all.Buckets, page.Buckets...)
		token = page.ContinuationToken
	}
	return all, header, nil
}

func (x *exchange) bucketsPage(ctx context.Context, store *upstream.Client, q url.Values, unsigned bool) (*bucketsResult, http.Header, error) {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Query: q, Unsigned: unsigned})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	page := &bucketsResult{}
	if err := s3xml.Decode(resp.Body, page); err != nil {
		return nil, nil, fmt.Errorf("the store's list of buckets: %w", err)
	}
	return page, resp.Header, nil
}
