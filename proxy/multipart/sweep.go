package multipart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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

// sideBySide is how many uploads a process looks at at once, unless a command is told otherwise.
const sideBySide = 16

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
	// SideBySide is how many uploads to look at at once, at least one.
	SideBySide int
	// Page is how many entries of a listing to request at once; 0: as many as S3 gives.
	Page int
	// Most ends a sweep after so many uploads; 0: at the last one. Such a sweep goes on behind
	// After, which is Swept.Next of the one before.
	Most  int
	After string
	// Log gets a line for each upload that could not be swept. Optional.
	Log *slog.Logger
	// Looked is called for each folder of an upload that was examined, with the error if it could
	// not be swept, one call after the other. Its own error ends the sweep. Optional.
	Looked func(folder string, err error) error
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
	Next    string `json:"-"` // what to go on behind, if Most was reached
}

// Bucket sweeps the state of one bucket's uploads. A missing bucket has none. It goes through them
// page by page, in memory that does not grow with their number.
func (s *Sweeper) Bucket(ctx context.Context, bucket string) (Swept, error) {
	at, err := state.ParseBucket(bucket)
	if err != nil {
		return Swept{Bucket: bucket}, err
	}
	r := &sweepRun{Sweeper: s, objects: object.New(object.Settings{Upstream: s.Store}, s.Place, nil), bucket: at, found: Swept{Bucket: bucket}}
	r.stateBucket, r.prefix = s.Place.Of(at)
	r.prefix += uploadFolder
	if err = r.all(ctx); errors.Is(err, s3err.NoSuchBucket) {
		err = nil
	}
	return r.found, err
}

// keptState is an upload's state as far as it can be read without a key.
type keptState struct {
	uploadState
	meta  *envelope.Metadata
	since time.Time // when it was written; zero if the store's date is not a time
}

// readState fails with ErrNoState, or with upstream.ErrStored for a state that s3proxy did not
// write.
func readState(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, key string) (*keptState, error) {
	req, err := o.State().Request(http.MethodGet, stateBucket, key)
	if err != nil {
		return nil, err
	}
	resp, err := o.Upstream.Do(ctx, req)
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
