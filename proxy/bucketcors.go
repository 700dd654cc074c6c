package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/cors"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// ownsCORS tells whether the proxy answers for pages of other sites here. A bucket that is not
// encrypted has all of its settings at the store.
func (x *exchange) ownsCORS() bool { return !x.Passthrough && x.CORS != object.CORSStore }

func getBucketCORS(x *exchange) error {
	if !x.ownsCORS() {
		return forward(x)
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	rules, err := readCORS(x.r.Context(), x.Objects, x.bucket)
	if err != nil {
		return err
	}
	if rules == nil {
		return s3err.NoSuchCORSConfiguration.With(s3err.Field{Name: "BucketName", Value: x.bucket.String()})
	}
	return x.answerXML(rules)
}

func putBucketCORS(x *exchange) error {
	if !x.ownsCORS() {
		return forward(x)
	}
	body, err := x.readDocument(cors.MaxBytes)
	if err != nil {
		return err
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	rules, err := cors.Parse(body)
	if err != nil {
		return err
	}
	if body, err = rules.Document(); err != nil {
		return err
	}
	if err := x.PutSetting(x.r.Context(), x.bucket, object.CORSRules, body); err != nil {
		return err
	}
	x.proxy.cors.set(x.bucket, rules)
	return x.answerNothing(http.StatusOK)
}

func deleteBucketCORS(x *exchange) error {
	if !x.ownsCORS() {
		return forward(x)
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	if err := x.DeleteSetting(x.r.Context(), x.bucket, object.CORSRules); err != nil {
		return err
	}
	x.proxy.cors.set(x.bucket, nil)
	return x.answerNothing(http.StatusNoContent)
}

// readCORS asks the store for the rules; nil if there are none.
func readCORS(ctx context.Context, o *object.Objects, bucket s3name.Bucket) (*cors.Configuration, error) {
	document, err := o.ReadSetting(ctx, bucket, object.CORSRules)
	if err != nil || document == nil {
		return nil, err
	}
	rules, err := cors.Parse(document)
	if err != nil { // it was sealed here, so by another build
		return nil, s3err.InternalError.WithMessage("The bucket's CORS rules are not understood: another version of s3proxy has put them.").Because(err)
	}
	return rules, nil
}

var preflightHeaders = []string{cors.HeadersHeader, cors.MethodHeader}

// preflight tells a browser whether a page may send the request that the URL is of. Whether that
// request is allowed is found out when it comes.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
func preflight(x *exchange) error {
	if !x.ownsCORS() {
		return forwardPreflight(x)
	}
	q, err := cors.OfPreflight(x.r.Header)
	if err != nil {
		return err
	}
	rules, err := x.proxy.cors.begin(x.Objects, x.bucket)()
	if errors.Is(err, s3err.NoSuchBucket) {
		return cors.NoBucket(q)
	}
	if err != nil {
		return err
	}
	if rules == nil {
		return cors.NoRules(q)
	}
	allowed, ok := rules.Match(q)
	if !ok {
		about := cors.Object
		if x.scope() == onBucket {
			about = cors.Bucket
		}
		return cors.Refused(q, about)
	}
	allowed.SetHeaders(x.w.Header())
	return x.answerNothing(http.StatusOK)
}

// forwardPreflight asks the store, which has the bucket's rules and judges the request that follows,
// too.
func forwardPreflight(x *exchange) error {
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodOptions, Bucket: x.bucket, Key: x.key, Header: x.passedHeaders(), Unsigned: true})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passCommon(resp.Header)
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(resp.StatusCode)
	return nil
}

// How long a bucket's rules are cached, how long an answer waits for them at most, and for how many
// buckets: 64 MiB of rules.
const (
	corsAge     = 5 * time.Second
	corsWait    = 5 * time.Second
	corsBuckets = 1000
)

// newCORSCache caches the rules of buckets, and that the store's are not to be believed: what cannot
// be reached now may be in a moment.
func newCORSCache() *perBucket[*cors.Configuration] {
	return newPerBucket(corsBuckets, corsAge, corsWait, readCORS, func(err error) bool {
		return object.Unreadable(err) || errors.Is(err, s3err.NoSuchBucket)
	})
}

// beginCORS has the answer, whatever it will be, tell a page of another site what it may see. The
// rules are looked up while the request goes on.
func (x *exchange) beginCORS() {
	if !x.ownsCORS() {
		return
	}
	x.ownRules = true // of ListBuckets, too, to which no rules apply
	q, asked := cors.OfAnswered(x.r)
	if !asked || x.bucket == (s3name.Bucket{}) || x.r.Method == http.MethodOptions {
		return
	}
	rules := x.proxy.cors.begin(x.Objects, x.bucket)
	x.w.beforeHeader = func(h http.Header) {
		known, err := rules()
		if err != nil && !errors.Is(err, s3err.NoSuchBucket) {
			x.proxy.log.Warn("a bucket's CORS rules could not be read: pages of other sites see no answer", "bucket", x.bucket, "error", err)
		}
		if allowed, ok := known.Match(q); ok {
			allowed.SetHeaders(h)
		}
	}
}
