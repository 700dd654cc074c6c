package ops

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listed is what the store's listing says about a client's object or version.
type listed struct {
	Key string
	// Version is empty where the listing names none, and for the current state.
	Version string
	// Old says that the version is not the current one.
	Old      bool
	Bytes    int64 // stored
	Modified time.Time
}

// walker visits the clients' objects in a bucket of the store, in the order of the keys. It skips
// the proxy's own objects, and does not need a key.
type walker struct {
	Store *upstream.Client
	Place state.Place
}

// Reach fails unless the store lets us list the bucket. If the proxy's own objects are in another
// bucket, only this finds a wrong name.
func (w walker) Reach(ctx context.Context, bucket string) error {
	o, at, err := w.at(bucket)
	if err != nil {
		return err
	}
	q := url.Values{"list-type": {"2"}, "prefix": {w.Place.Root()}, "max-keys": {"1"}}
	_, _, err = upstream.List[s3xml.ListObjects](ctx, o.Upstream, upstream.Request{Method: http.MethodGet, Bucket: at, Query: q})
	return err
}

// at begins a look at a bucket.
func (w walker) at(bucket string) (*object.Objects, s3name.Bucket, error) {
	b, err := state.ParseBucket(bucket)
	return object.New(object.Settings{Upstream: w.Store}, w.Place, nil), b, err
}

// Objects visits the current objects below prefix. An error of visit ends the walk.
func (w walker) Objects(ctx context.Context, bucket, prefix string, visit func(listed) error) error {
	o, at, err := w.at(bucket)
	if err != nil {
		return err
	}
	q := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	for {
		page, _, err := upstream.List[s3xml.ListObjects](ctx, o.Upstream, upstream.Request{Method: http.MethodGet, Bucket: at, Query: q})
		if err != nil {
			return fmt.Errorf("list s3://%s/%s: %w", bucket, prefix, err)
		}
		w.Place.DropOwn(page)
		for _, c := range page.Contents {
			if err := visitBelow(prefix, visit, listed{Key: string(c.Key), Bytes: c.Size, Modified: s3xml.ParseTime(c.LastModified)}); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		if page.NextContinuationToken == nil || string(*page.NextContinuationToken) == q.Get("continuation-token") {
			return fmt.Errorf("%w: the listing makes no progress", upstream.ErrStored)
		}
		q.Set("continuation-token", string(*page.NextContinuationToken))
	}
}

// Versions visits every version of the objects below prefix, but no delete markers. In a bucket
// that has never kept versions, these are the current objects.
func (w walker) Versions(ctx context.Context, bucket, prefix string, visit func(listed) error) error {
	versioned, err := w.versioned(ctx, bucket)
	if err != nil {
		return err
	}
	if !versioned { // versitygw then lists a version "null" that it refuses to return
		return w.Objects(ctx, bucket, prefix, visit)
	}
	return w.versions(ctx, bucket, prefix, visit)
}

// OldVersions visits the versions below prefix that are not current.
func (w walker) OldVersions(ctx context.Context, bucket, prefix string, visit func(listed) error) error {
	versioned, err := w.versioned(ctx, bucket)
	if err != nil || !versioned {
		return err
	}
	return w.versions(ctx, bucket, prefix, func(l listed) error {
		if !l.Old {
			return nil
		}
		return visit(l)
	})
}

func (w walker) versions(ctx context.Context, bucket, prefix string, visit func(listed) error) error {
	o, at, err := w.at(bucket)
	if err != nil {
		return err
	}
	q := url.Values{"versions": {""}, "prefix": {prefix}}
	var asked s3xml.VersionMarker
	for {
		page, _, err := upstream.List[s3xml.ListVersions](ctx, o.Upstream, upstream.Request{Bucket: at, Query: q})
		if err != nil {
			return fmt.Errorf("list the versions of s3://%s/%s: %w", bucket, prefix, err)
		}
		w.Place.DropOwnVersions(page, asked)
		for _, v := range page.Versions {
			if v.Deletes() {
				continue
			}
			err := visitBelow(prefix, visit, listed{Key: string(v.Key), Version: v.VersionID, Old: !v.IsLatest, Bytes: *v.Size, Modified: s3xml.ParseTime(v.LastModified)})
			if err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		next := page.Next()
		if next == asked || next.Key == "" {
			return fmt.Errorf("%w: the listing of versions makes no progress", upstream.ErrStored)
		}
		asked = next
		q.Set("key-marker", string(next.Key))
		q.Del("version-id-marker")
		if next.Version != "" {
			q.Set("version-id-marker", next.Version)
		}
	}
}

// visitBelow refuses a key that was not asked for: a store could have more decrypted than it was to see.
func visitBelow(prefix string, visit func(listed) error, l listed) error {
	if !strings.HasPrefix(l.Key, prefix) {
		return fmt.Errorf("%w: the listing of what begins with %q has the key %q", upstream.ErrStored, prefix, l.Key)
	}
	return visit(l)
}

// Uploads visits the uploads in progress of a bucket.
func (w walker) Uploads(ctx context.Context, bucket string, visit func(multipart.InProgress) error) error {
	return multipart.EachInProgress(ctx, w.Store, w.Place, bucket, visit)
}

// versioned tells whether a bucket keeps old versions, or has kept some.
func (w walker) versioned(ctx context.Context, bucket string) (bool, error) {
	o, at, err := w.at(bucket)
	if err != nil {
		return false, err
	}
	var setting struct {
		Status string `xml:"Status"`
	}
	_, err = o.Upstream.GetXML(ctx, &upstream.Request{Bucket: at, Query: url.Values{"versioning": {""}}}, &setting)
	if status, refused := upstream.Status(err); refused && (status == http.StatusNotImplemented || status == http.StatusNotFound) && !errors.Is(err, s3err.NoSuchBucket) {
		return false, nil // versitygw without a folder for versions says 404
	}
	if err != nil {
		return false, fmt.Errorf("ask for the versioning of s3://%s: %w", bucket, err)
	}
	return setting.Status != "", nil
}
