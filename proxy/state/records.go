package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// RecordFolder holds the window records among the state objects.
const RecordFolder = "keys/"

// maxRecord limits how much of a window record is read; real ones have about 300 bytes.
const maxRecord = 16 << 10

// Records keeps window records in the buckets whose objects they serve. It
// implements kms.Records with the proxy's own credentials.
type Records struct {
	Store *upstream.Client
	Place Place
	// Bucket has the records, if the Keyring names another bucket of which this one is a replica.
	// Optional.
	Bucket s3name.Bucket
}

// Where returns the bucket that holds the records of bucket, and the prefix of their keys; the
// record's id follows it.
func (r Records) Where(bucket string) (stateBucket s3name.Bucket, prefix string, err error) {
	of, err := r.of(bucket)
	if err != nil {
		return stateBucket, "", err
	}
	stateBucket, prefix = r.Place.Of(of)
	return stateBucket, prefix + RecordFolder, nil
}

// of is the bucket with the objects.
func (r Records) of(bucket string) (s3name.Bucket, error) {
	if r.Bucket != (s3name.Bucket{}) {
		return r.Bucket, nil
	}
	return ParseBucket(bucket)
}

// request prepares a request for a record.
func (r Records) request(method, bucket, id string) (*upstream.Request, error) {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return nil, err
	}
	key, err := r.Place.OwnKey(prefix + id)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: key}, err
}

// CheckBucket fails with the store's NoSuchBucket if the bucket of the objects does not exist. It
// succeeds if the proxy's credentials may not ask.
func (r Records) CheckBucket(ctx context.Context, bucket string) error {
	of, err := r.of(bucket)
	if err != nil {
		return err
	}
	// Not with HEAD, whose errors have no text.
	resp, err := r.Store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: of, Query: url.Values{"location": {""}}})
	if errors.Is(err, s3err.NoSuchBucket) {
		return err
	}
	if err == nil {
		resp.Body.Close()
	}
	return ctx.Err()
}

// PutRecord stores a record unless there already is one with that id: another process may have
// rewrapped it since.
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

// putOwn sends a state object under a condition.
func (r Records) putOwn(ctx context.Context, req *upstream.Request, body []byte, condition, etag string) (*http.Response, error) {
	req.Bytes = body
	req.Header = LockHeaders(ctx, r.Store, req.Bucket, http.Header{
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

// ListedRecord is what a listing says about a window record.
type ListedRecord struct {
	ID string
	// Foreign says that s3proxy does not give records such a name.
	Foreign  bool
	Modified time.Time // when it was made or last rewrapped; zero if the store's date is not a time
}

// recordID is how the ids of windows are written.
var recordID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// List visits all window records of a bucket, in the order of their ids.
func (r Records) List(ctx context.Context, bucket string, visit func(ListedRecord) error) error {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return err
	}
	after := prefix
	for {
		var page struct {
			Contents s3xml.Bounded[struct {
				Key          string `xml:"Key"`
				LastModified string `xml:"LastModified"`
			}] `xml:"Contents"`
			IsTruncated bool `xml:"IsTruncated"`
		}
		q := url.Values{"list-type": {"2"}, "prefix": {prefix}, "start-after": {after}}
		if _, err := r.Store.GetXML(ctx, &upstream.Request{Bucket: stateBucket, Query: q}, &page); err != nil {
			return fmt.Errorf("list the window records: %w", err)
		}
		for _, c := range page.Contents {
			id, ok := strings.CutPrefix(c.Key, prefix)
			if !ok || c.Key <= after {
				return fmt.Errorf("%w: a listing that is not in order", upstream.ErrStored)
			}
			after = c.Key
			if err := visit(ListedRecord{ID: id, Foreign: !recordID.MatchString(id), Modified: s3xml.ParseTime(c.LastModified)}); err != nil {
				return err
			}
		}
		if !page.IsTruncated || len(page.Contents) == 0 {
			return nil
		}
	}
}

// Read returns a record and the store's ETag for it; kms.ErrNoRecord if there is none.
func (r Records) Read(ctx context.Context, bucket, id string) (record []byte, etag string, err error) {
	req, err := r.request(http.MethodGet, bucket, id)
	if err != nil {
		return nil, "", err
	}
	resp, err := r.Store.Do(ctx, req)
	if upstream.IsNotFound(err) {
		return nil, "", fmt.Errorf("%w: %s in bucket %s", kms.ErrNoRecord, id, bucket)
	}
	if err != nil {
		return nil, "", fmt.Errorf("get the window record: %w", err)
	}
	defer resp.Body.Close()
	record, err = io.ReadAll(io.LimitReader(resp.Body, maxRecord+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the window record: %w", err)
	}
	if len(record) > maxRecord {
		return nil, "", fmt.Errorf("the window record %s has more than %d bytes", id, maxRecord)
	}
	return record, resp.Header.Get("Etag"), nil
}

// Replace replaces the record that Read returned with etag; ErrRaced if it has changed since.
func (r Records) Replace(ctx context.Context, bucket, id, etag string, record []byte) error {
	resp, err := r.put(ctx, bucket, id, record, "If-Match", etag)
	if errors.Is(err, s3err.PreconditionFailed) || upstream.IsNotFound(err) {
		return fmt.Errorf("%w: %s", ErrRaced, id)
	}
	if err != nil {
		return fmt.Errorf("put the window record: %w", err)
	}
	return resp.Body.Close()
}

// Remove deletes a record with all its versions. It returns ErrLocked if the store keeps it until
// its retention ends.
func (r Records) Remove(ctx context.Context, bucket, id string) error {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return err
	}
	o := Store{Client: r.Store, Place: r.Place}
	// The store lists by prefix, and other names may begin with this one.
	if err := o.removeEntries(ctx, stateBucket, prefix+id, func(key string) bool { return key == prefix+id }); err != nil {
		return fmt.Errorf("remove the window record %s: %w", id, err)
	}
	return nil
}
