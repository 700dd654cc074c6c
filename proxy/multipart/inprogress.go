package multipart

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
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

// EachInProgress visits the uploads in progress in a bucket, one call after the other, in any order.
// An upload without state was not created through s3proxy.
func EachInProgress(ctx context.Context, store *upstream.Client, place state.Place, bucket string, visit func(InProgress) error) error {
	return inProgress{store, place, 0}.each(ctx, bucket, visit)
}

type inProgress struct {
	store *upstream.Client
	place state.Place
	page  int // entries of a listing; 0: as many as S3 gives
}

func (p inProgress) each(ctx context.Context, bucket string, visit func(InProgress) error) error {
	at, err := state.ParseBucket(bucket)
	if err != nil {
		return err
	}
	o := object.New(object.Settings{Upstream: p.store}, p.place, nil)
	stateBucket, prefix := p.place.Of(at)
	prefix += uploadFolder
	var visiting sync.Mutex
	var ended error // of a visit
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	listing := folders{stateBucket, prefix, p.page, p.store.ListCurrent}.pages(ctx, "", func(page []folder) error {
		for _, f := range page {
			group.Go(func() error {
				state, err := readState(ctx, o, stateBucket, prefix+f.name+"/"+stateKey)
				if errors.Is(err, ErrNoState) {
					return nil
				}
				if err != nil {
					return fmt.Errorf("the state of the upload %s: %w", f.name, err)
				}
				visiting.Lock()
				defer visiting.Unlock()
				if ended == nil {
					ended = visit(InProgress{Key: state.Key, ID: state.Upload, Since: state.since, Meta: state.meta})
				}
				return ended
			})
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return listing
}
