package multipart

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// goneMark is an object in the folder of an upload that a sweep did not find in the store. Its date
// says since when.
const goneMark = "gone"

// DefaultGrace is how long an upload must have been gone before its state is removed. While
// versitygw 1.8 completes an upload it hides it, and completing may fail.
const DefaultGrace = time.Hour

// Sweeper removes the state of multipart uploads that no longer exist, because a proxy died in the
// middle or the upload was ended without going through a proxy. It needs no key, and never touches
// an upload that the store has.
type Sweeper struct {
	Store *upstream.Client
	Place state.Place
	// Grace is DefaultGrace, or less if nothing else uses the bucket.
	Grace time.Duration
	// DryRun changes nothing.
	DryRun bool
	// Log gets a line for each upload that could not be swept. Optional.
	Log *slog.Logger
	// Looked is called for each folder of an upload that was examined, with the error if it could
	// not be swept. Optional.
	Looked func(folder string, err error)
}

// Swept is what a sweep of one bucket found, in uploads. The JSON names are part of gc's interface.
type Swept struct {
	Bucket  string `json:"-"`
	Live    int    `json:"live"`    // the store has them
	Removed int    `json:"removed"` // or would be, in a dry run
	Waiting int    `json:"waiting"` // gone for less than the grace time
	Locked  int    `json:"locked"`  // under a retention that has not ended
	Foreign int    `json:"foreign"` // not as s3proxy writes them: left alone
	Failed  int    `json:"-"`
}

// maxFolders limits the work of one sweep of a bucket.
const maxFolders = 100_000

// Bucket sweeps the state of one bucket's uploads. A missing bucket has none.
func (s *Sweeper) Bucket(ctx context.Context, bucket string) (Swept, error) {
	found := Swept{Bucket: bucket}
	at, err := state.ParseBucket(bucket)
	if err != nil {
		return found, err
	}
	o := object.New(object.Settings{Upstream: s.Store}, s.Place, nil)
	stateBucket, prefix := s.Place.Of(at)
	prefix += uploadFolder
	after := ""
	for range maxFolders {
		page, err := o.Upstream.ListAny(ctx, upstream.Request{Bucket: stateBucket}, prefix, after, 1)
		if errors.Is(err, s3err.NoSuchBucket) {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("list the uploads' state in %s: %w", stateBucket, err)
		}
		entries := page.Entries()
		if len(entries) == 0 {
			return found, nil
		}
		key := string(entries[0].Key)
		rest, ours := strings.CutPrefix(key, prefix)
		if !ours || key <= after {
			return found, fmt.Errorf("%w: a listing that is not in order", upstream.ErrStored)
		}
		name, _, inFolder := strings.Cut(rest, "/")
		if !inFolder {
			after = prefix + name
			found.Foreign++
			continue
		}
		folder := prefix + name + "/"
		after = folder + "~" // after everything in it
		if sum, err := hex.DecodeString(name); err != nil || len(sum) != sha256.Size {
			found.Foreign++
			continue
		}
		err = s.folder(ctx, o, at, folder, &found)
		if errors.Is(err, s3err.NoSuchBucket) {
			return found, nil
		}
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		s.count(&found, folder, err)
	}
	return found, nil
}

// count adds the folder of an upload that could not be swept.
func (s *Sweeper) count(found *Swept, folder string, err error) {
	locked := errors.Is(err, state.ErrLocked)
	if locked {
		err = nil
		found.Locked++
	}
	if s.Looked != nil {
		s.Looked(folder, err)
	}
	if err != nil {
		found.Failed++
		if s.Log != nil {
			s.Log.Warn("the state of an upload could not be swept", "bucket", found.Bucket, "folder", folder, "error", err)
		}
	}
}

// folder sweeps the state of one upload.
func (s *Sweeper) folder(ctx context.Context, o *object.Objects, bucket s3name.Bucket, folder string, found *Swept) error {
	stateBucket, _ := s.Place.Of(bucket)
	state, err := s.readState(ctx, o, stateBucket, folder+stateKey)
	if errors.Is(err, ErrNoState) {
		// Left by a removal, or by a part that was sent while its upload was aborted.
		return s.ended(ctx, o, stateBucket, folder, found)
	}
	if errors.Is(err, upstream.ErrStored) {
		found.Foreign++
		return nil
	}
	if err != nil {
		return err
	}
	// The state, too, is only the store's word, and its names go to the store.
	key, keyErr := s.Place.ClientKey(state.Key)
	id, idErr := s3name.ParseUploadID(state.Upload)
	if keyErr != nil || idErr != nil {
		found.Foreign++
		return nil
	}
	if _, named := FolderOf(o.Place, Name{bucket, key, id}); named != folder {
		found.Foreign++
		return nil
	}
	// Ask for this upload instead of listing uploads: one created in between would not be in the
	// list.
	err = (&upstream.Upload{Client: o.Upstream, Bucket: bucket, Key: key, ID: id}).IsThere(ctx)
	if err == nil {
		found.Live++
		return s.unmark(ctx, o, stateBucket, folder)
	}
	if !errors.Is(err, s3err.NoSuchUpload) {
		return during(stepFindUpload, err)
	}
	if s.became(ctx, bucket, key, state.meta.Commitment) {
		return s.remove(ctx, o, stateBucket, folder, found)
	}
	return s.ended(ctx, o, stateBucket, folder, found)
}

// keptState is an upload's state as far as it can be read without a key.
type keptState struct {
	uploadState
	meta  *envelope.Metadata
	since time.Time // when it was written; zero if the store's date is not a time
}

// readState fails with ErrNoState, or with upstream.ErrStored for a state that s3proxy did not
// write.
func (s *Sweeper) readState(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, key string) (*keptState, error) {
	req, err := o.State().Request(http.MethodGet, stateBucket, key)
	if err != nil {
		return nil, err
	}
	resp, err := s.Store.Do(ctx, req)
	if errors.Is(err, s3err.NoSuchKey) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxState))
	if err != nil {
		return nil, fmt.Errorf("read the upload's state: %w", err)
	}
	var state keptState
	if err := json.Unmarshal(body, &state.uploadState); err != nil || state.Format != envelope.Format {
		return nil, upstream.ErrStored
	}
	fields, err := object.MetadataFields(resp.Header)
	if err != nil {
		return nil, upstream.ErrStored
	}
	if state.meta, err = envelope.ParseMetadata(fields); err != nil {
		return nil, upstream.ErrStored
	}
	state.since, _ = http.ParseTime(resp.Header.Get("Last-Modified"))
	return &state, nil
}

// became reports whether the upload is the object at its key.
func (s *Sweeper) became(ctx context.Context, bucket s3name.Bucket, key s3name.Key, commitment [32]byte) bool {
	resp, err := s.Store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key})
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

// ended removes the state of an upload that has been gone for the grace time. The first call leaves
// a mark, from which that time counts.
func (s *Sweeper) ended(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, folder string, found *Swept) error {
	if s.Grace <= 0 {
		return s.remove(ctx, o, stateBucket, folder, found)
	}
	since, err := s.marked(ctx, o, stateBucket, folder)
	if err != nil {
		return err
	}
	if since >= s.Grace {
		return s.remove(ctx, o, stateBucket, folder, found)
	}
	found.Waiting++
	if since >= 0 || s.DryRun {
		return nil
	}
	req, err := o.State().Request(http.MethodPut, stateBucket, folder+goneMark)
	if err != nil {
		return err
	}
	resp, err := s.Store.Do(ctx, req)
	if err != nil {
		return during(stepMarkGone, err)
	}
	return resp.Body.Close()
}

// marked returns how long ago the mark was left, by the store's clock; negative if there is none.
func (s *Sweeper) marked(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, folder string) (time.Duration, error) {
	req, err := o.State().Request(http.MethodHead, stateBucket, folder+goneMark)
	if err != nil {
		return 0, err
	}
	resp, err := s.Store.Do(ctx, req)
	if err != nil && upstream.IsNotFound(err) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	then, err := http.ParseTime(resp.Header.Get("Last-Modified"))
	if err != nil {
		return 0, fmt.Errorf("%w: the mark's date: %w", upstream.ErrStored, err)
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(now.Sub(then), 0), nil
}

// unmark removes the mark, because the upload is back.
func (s *Sweeper) unmark(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, folder string) error {
	since, err := s.marked(ctx, o, stateBucket, folder)
	if err != nil || since < 0 || s.DryRun {
		return err
	}
	if err := o.State().Remove(ctx, stateBucket, folder+goneMark); err != nil {
		return during(stepForgetGone, err)
	}
	return nil
}

// remove deletes the records first and the key last: as long as there is a key, the next sweep
// knows to which upload the folder belongs.
func (s *Sweeper) remove(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, folder string, found *Swept) error {
	if !s.DryRun {
		if err := o.State().Remove(ctx, stateBucket, folder); err != nil {
			return err
		}
	}
	found.Removed++
	return nil
}
