package multipart

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// sweepRun is one sweep of a bucket.
type sweepRun struct {
	*Sweeper
	objects             *object.Objects
	bucket, stateBucket s3name.Bucket
	prefix              string // of the uploads' folders

	mu    sync.Mutex
	found Swept
}

// fate is what a sweep found of one upload.
type fate int

const (
	undecided fate = iota
	live
	removed
	waiting
	foreign
)

// errEnough ends a listing after Most folders.
var errEnough = errors.New("enough for one sweep")

// all looks at all folders, or at the next ones.
func (r *sweepRun) all(ctx context.Context) error {
	looked, behind := 0, r.After
	err := folders{r.stateBucket, r.prefix, r.Page, r.Store.ListAny}.pages(ctx, r.After, func(page []folder) error {
		enough := r.Most > 0 && looked+len(page) > r.Most
		if enough {
			page = page[:r.Most-looked]
		}
		if err := r.look(ctx, page); err != nil {
			return err
		}
		looked += len(page)
		if len(page) > 0 {
			behind = page[len(page)-1].behind()
		}
		if enough {
			r.found.Next = behind
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// look looks at the folders of a page, several at once. It returns when all is done: versitygw 1.8
// fails to list what is removed meanwhile.
func (r *sweepRun) look(ctx context.Context, page []folder) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(r.SideBySide, 1))
	for _, f := range page {
		if sum, err := hex.DecodeString(f.name); f.file || err != nil || len(sum) != sha256.Size {
			r.count(foreign)
			continue
		}
		at := r.prefix + f.name + "/"
		group.Go(func() error {
			is, err := r.folder(ctx, at)
			switch {
			case errors.Is(err, s3err.NoSuchBucket):
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			}
			r.count(is)
			return r.tell(at, err)
		})
	}
	return group.Wait()
}

func (r *sweepRun) count(is fate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch is {
	case live:
		r.found.Live++
	case removed:
		r.found.Removed++
	case waiting:
		r.found.Waiting++
	case foreign:
		r.found.Foreign++
	}
}

// tell says how the look at a folder ended.
func (r *sweepRun) tell(folder string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, state.ErrLocked) {
		err = nil
		r.found.Locked++
	}
	if err != nil {
		r.found.Failed++
		if r.Log != nil {
			r.Log.Warn("the state of an upload could not be swept", "bucket", r.found.Bucket, "folder", folder, "error", err)
		}
	}
	if r.Looked == nil {
		return nil
	}
	return r.Looked(folder, err)
}

// folder sweeps the state of one upload. With an error it may have found out what the upload is, too.
func (r *sweepRun) folder(ctx context.Context, folder string) (fate, error) {
	state, err := readState(ctx, r.objects, r.stateBucket, folder+stateKey)
	if errors.Is(err, ErrNoState) {
		// Left by a removal, or by a part that was sent while its upload was aborted.
		return r.ended(ctx, folder)
	}
	if errors.Is(err, upstream.ErrStored) {
		return foreign, nil
	}
	if err != nil {
		return undecided, err
	}
	// The state, too, is only the store's word, and its names go to the store.
	key, keyErr := r.Place.ClientKey(state.Key)
	id, idErr := s3name.ParseUploadID(state.Upload)
	if keyErr != nil || idErr != nil {
		return foreign, nil
	}
	if _, named := FolderOf(r.Place, Name{r.bucket, key, id}); named != folder {
		return foreign, nil
	}
	// Ask for this upload instead of listing uploads: one created in between would not be in the
	// list.
	err = (&upstream.Upload{Client: r.Store, Bucket: r.bucket, Key: key, ID: id}).IsThere(ctx)
	if err == nil {
		return live, r.unmark(ctx, folder)
	}
	if !errors.Is(err, s3err.NoSuchUpload) {
		return undecided, during(stepFindUpload, err)
	}
	if r.became(ctx, key, state.meta.Commitment) {
		return r.remove(ctx, folder)
	}
	return r.ended(ctx, folder)
}

// became reports whether the upload is the object at its key.
func (r *sweepRun) became(ctx context.Context, key s3name.Key, commitment [32]byte) bool {
	resp, err := r.Store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: r.bucket, Key: key})
	if err != nil {
		return false
	}
	resp.Body.Close()
	fields, err := object.MetadataFields(resp.Header)
	if err != nil {
		return false
	}
	meta, err := envelope.ParseMetadata(fields)
	return err == nil && meta.Commitment == commitment
}
