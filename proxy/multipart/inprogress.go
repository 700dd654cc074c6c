package multipart

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
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// InProgress is what the state of an upload in progress reveals without a key.
type InProgress struct {
	Key   string
	ID    string    // of the upload
	Since time.Time // when it was created, by the store's clock
	// Meta is the metadata of the state. The object will carry metadata made a moment earlier: with
	// the same DEK, in the same window or in one that ended then.
	Meta *envelope.Metadata
}

// EachInProgress visits the uploads in progress in a bucket. An upload without state was not
// created through s3proxy.
func EachInProgress(ctx context.Context, store *upstream.Client, place state.Place, bucket string, visit func(InProgress) error) error {
	at, err := state.ParseBucket(bucket)
	if err != nil {
		return err
	}
	o := object.New(object.Settings{Upstream: store}, place, nil)
	stateBucket, prefix := place.Of(at)
	prefix += uploadFolder
	s := Sweeper{Store: store, Place: place}
	after := prefix
	for range maxFolders {
		page, _, err := upstream.List[s3xml.ListObjects](ctx, o.Upstream, upstream.Request{Method: http.MethodGet, Bucket: stateBucket, Query: url.Values{"list-type": {"2"}, "prefix": {prefix}, "start-after": {after}, "max-keys": {"1"}}})
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
		if errors.Is(err, ErrNoState) {
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
