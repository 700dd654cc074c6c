package proxy

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
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// ListedRecord is what a listing tells of a window record.
type ListedRecord struct {
	ID string
	// Foreign says that it is no name that s3proxy gives a record.
	Foreign  bool
	Modified time.Time // when it was made, or last wrapped anew; zero if the store's date is none
}

// recordID is how the ids of windows are written.
var recordID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// List visits all window records of a bucket, in the order of their ids.
func (r Records) List(ctx context.Context, bucket string, visit func(ListedRecord) error) error {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return err
	}
	o := &objects{Bucket: Bucket{Upstream: r.Store}}
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
		if _, err := o.Upstream.GetXML(ctx, &upstream.Request{Bucket: stateBucket, Query: q}, &page); err != nil {
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

// Read gives a record and the store's ETag of it; kms.ErrNoRecord if there is none.
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

// Replace puts a record in the place of the one that Read gave with etag; ErrRaced when
// that is not there any more.
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

// Remove deletes a record, all its versions. ErrLocked if the store keeps it until its
// retention ends.
func (r Records) Remove(ctx context.Context, bucket, id string) error {
	stateBucket, prefix, err := r.Where(bucket)
	if err != nil {
		return err
	}
	o := &objects{Bucket: Bucket{Upstream: r.Store}, state: r.Place}
	// The store lists by prefix; another name may begin with this one.
	if err := o.removeEntries(ctx, stateBucket, prefix+id, func(key string) bool { return key == prefix+id }); err != nil {
		return fmt.Errorf("remove the window record %s: %w", id, err)
	}
	return nil
}
