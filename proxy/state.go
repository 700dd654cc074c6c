package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// recordFolder has the window records among the proxy's own objects.
const recordFolder = "keys/"

// maxRecord bounds what is read of a window record; real ones have about 300 bytes.
const maxRecord = 16 << 10

// Records keeps window records in the buckets whose objects they serve. It
// implements kms.Records with the proxy's own credentials.
type Records struct {
	Store *upstream.Client
	Place StatePlace
	// Bucket has the records where the Keyring names another one, which this is a
	// replica of. Optional.
	Bucket s3name.Bucket
}

// Where gives the bucket that has the records of bucket, and how their keys begin;
// the record's id follows.
func (r Records) Where(bucket string) (stateBucket s3name.Bucket, prefix string, err error) {
	of, err := r.of(bucket)
	if err != nil {
		return stateBucket, "", err
	}
	stateBucket, prefix = r.Place.Of(of)
	return stateBucket, prefix + recordFolder, nil
}

// of is the bucket of the objects.
func (r Records) of(bucket string) (s3name.Bucket, error) {
	if r.Bucket != (s3name.Bucket{}) {
		return r.Bucket, nil
	}
	return parseBucket(bucket)
}

// request begins one for a record.
func (r Records) request(method, bucket, id string) (*upstream.Request, error) {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return nil, err
	}
	key, err := r.Place.ownKey(prefix + id)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: key}, err
}

// CheckBucket gives the store's NoSuchBucket where the bucket of the objects is not there.
// Credentials that may not ask are no reason to refuse.
func (r Records) CheckBucket(ctx context.Context, bucket string) error {
	of, err := r.of(bucket)
	if err != nil {
		return err
	}
	// Not by HEAD, which has no words.
	resp, err := r.Store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: of, Query: url.Values{"location": {""}}})
	if errors.Is(err, s3err.NoSuchBucket) {
		return err
	}
	if err == nil {
		resp.Body.Close()
	}
	return ctx.Err()
}

// PutRecord stores a record unless there is one of that id already: another
// process may have re-wrapped it since.
func (r Records) PutRecord(ctx context.Context, bucket, id string, record []byte) error {
	resp, err := r.put(ctx, bucket, id, record, "If-None-Match", "*")
	if errors.Is(err, s3err.PreconditionFailed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put the window record: %w", err)
	}
	resp.Body.Close()
	return nil
}

// put sends a record under a condition.
func (r Records) put(ctx context.Context, bucket, id string, record []byte, condition, etag string) (*http.Response, error) {
	req, err := r.request(http.MethodPut, bucket, id)
	if err != nil {
		return nil, err
	}
	return r.putOwn(ctx, req, record, condition, etag)
}

// putOwn sends one of the proxy's own objects under a condition.
func (r Records) putOwn(ctx context.Context, req *upstream.Request, body []byte, condition, etag string) (*http.Response, error) {
	req.Bytes = body
	req.Header = lockState(ctx, r.Store, req.Bucket, http.Header{
		condition:      {etag},
		"Content-Type": {"application/json"},
		"Content-Md5":  {upstream.ContentMD5(body)},
	})
	return r.Store.Do(ctx, req)
}

// GetRecord reads a record; kms.ErrNoRecord if there is none.
func (r Records) GetRecord(ctx context.Context, bucket, id string) ([]byte, error) {
	record, _, err := r.Read(ctx, bucket, id)
	return record, err
}
