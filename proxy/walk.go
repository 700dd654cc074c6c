package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Listed is what a listing of the store tells of a client's object, or of a version.
type Listed struct {
	Key string
	// Version is empty where the listing names none, and for the current state.
	Version string
	// Old is set for a version that is not the current one.
	Old      bool
	Bytes    int64 // stored
	Modified time.Time
}

// Walker visits what a store has of a bucket's clients, in the order of the keys. The
// proxy's own objects are passed over. It needs no key.
type Walker struct {
	Store *upstream.Client
	Place state.Place
}

// Reach tells whether the store lists the bucket to us. Where the proxy's own objects are
// in another bucket, it is what finds a wrong name.
func (w Walker) Reach(ctx context.Context, bucket string) error {
	o, at, err := w.at(bucket)
	if err != nil {
		return err
	}
	q := url.Values{"list-type": {"2"}, "prefix": {w.Place.Root()}, "max-keys": {"1"}}
	_, _, err = upstream.List[s3xml.ListObjects](ctx, o.Upstream, upstream.Request{Method: http.MethodGet, Bucket: at, Query: q})
	return err
}

// at begins a look at a bucket.
func (w Walker) at(bucket string) (*object.Objects, s3name.Bucket, error) {
	b, err := state.ParseBucket(bucket)
	return object.New(object.Settings{Upstream: w.Store}, w.Place, nil), b, err
}

// Objects visits the current objects below prefix. An error of visit ends the walk.
func (w Walker) Objects(ctx context.Context, bucket, prefix string, visit func(Listed) error) error {
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
			if err := visit(Listed{Key: string(c.Key), Bytes: c.Size, Modified: s3xml.ParseTime(c.LastModified)}); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		if page.NextContinuationToken == nil || string(*page.NextContinuationToken) == q.Get("continuation-token") {
			return fmt.Errorf("%w: a listing that makes no progress", upstream.ErrStored)
		}
		q.Set("continuation-token", string(*page.NextContinuationToken))
	}
}

// Versions visits every version of the objects below prefix, delete markers not among
// them. In a bucket that has never kept any, these are the current objects.
func (w Walker) Versions(ctx context.Context, bucket, prefix string, visit func(Listed) error) error {
	versioned, err := w.versioned(ctx, bucket)
	if err != nil {
		return err
	}
	if !versioned { // versitygw lists a version "null" then that it refuses to give
		return w.Objects(ctx, bucket, prefix, visit)
	}
	return w.versions(ctx, bucket, prefix, visit)
}

// OldVersions visits the versions below prefix that are not current.
func (w Walker) OldVersions(ctx context.Context, bucket, prefix string, visit func(Listed) error) error {
	versioned, err := w.versioned(ctx, bucket)
	if err != nil || !versioned {
		return err
	}
	return w.versions(ctx, bucket, prefix, func(l Listed) error {
		if !l.Old {
			return nil
		}
		return visit(l)
	})
}

func (w Walker) versions(ctx context.Context, bucket, prefix string, visit func(Listed) error) error {
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
			err := visit(Listed{Key: string(v.Key), Version: v.VersionID, Old: !v.IsLatest, Bytes: *v.Size, Modified: s3xml.ParseTime(v.LastModified)})
			if err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		next := page.Next()
		if next == asked || next.Key == "" {
			return fmt.Errorf("%w: a listing of versions that makes no progress", upstream.ErrStored)
		}
		asked = next
		q.Set("key-marker", string(next.Key))
		q.Del("version-id-marker")
		if next.Version != "" {
			q.Set("version-id-marker", next.Version)
		}
	}
}

// InProgress is what the state of an upload in progress tells without a key.
type InProgress struct {
	Key   string
	ID    string    // of the upload
	Since time.Time // when it was begun, by the store's clock
	// Meta is the state's own. The object will carry what was made a moment before: the
	// same key, in the same window or in one that ended then.
	Meta *envelope.Metadata
}

// Uploads visits the uploads in progress of a bucket. One without state was not begun
// through s3proxy.
func (w Walker) Uploads(ctx context.Context, bucket string, visit func(InProgress) error) error {
	o, at, err := w.at(bucket)
	if err != nil {
		return err
	}
	stateBucket, prefix := w.Place.Of(at)
	prefix += uploadFolder
	s := Sweeper{Store: w.Store, Place: w.Place}
	after := prefix
	for range maxFolders {
		page, _, err := upstream.List[s3xml.ListObjects](ctx, o.Upstream, upstream.Request{Method: "GET", Bucket: stateBucket, Query: url.Values{"list-type": {"2"}, "prefix": {prefix}, "start-after": {after}, "max-keys": {"1"}}})
		if err != nil {
			return fmt.Errorf("list the uploads' state in %s: %w", stateBucket, err)
		}
		if len(page.Contents) == 0 {
			return nil
		}
		rest, ours := strings.CutPrefix(string(page.Contents[0].Key), prefix)
		if !ours || string(page.Contents[0].Key) <= after {
			return fmt.Errorf("%w: a listing that is not in order", upstream.ErrStored)
		}
		name, _, _ := strings.Cut(rest, "/")
		after = prefix + name + "/~"
		state, err := s.readState(ctx, o, stateBucket, prefix+name+"/"+stateKey)
		if errors.Is(err, errNoState) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the state of the upload %s: %w", name, err)
		}
		if err := visit(InProgress{Key: state.Key, ID: state.Upload, Since: state.since, Meta: state.meta}); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d uploads in progress", maxFolders)
}

// versioned tells whether a bucket keeps old versions, or has kept some.
func (w Walker) versioned(ctx context.Context, bucket string) (bool, error) {
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
