package multipart

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Abort ends an upload; h are the client's headers for the store. It returns the headers of the
// store's answer. First it removes the upload's key: from then on, a Complete running beside it may
// call the upload done only if the object proves it.
func (a *Uploads) Abort(ctx context.Context, t Target, id s3name.UploadID, h http.Header) (http.Header, error) {
	u := a.upload(t, id)
	saved, keyGone, err := u.stateToAbort(ctx)
	if err != nil {
		return nil, err
	}
	before, _, err := u.lookAtKey(ctx)
	if err != nil {
		return nil, during(stepCheckObject, err)
	}
	// The store decides first whether this client may abort, and whether there is such an upload.
	var gone error
	switch err := u.store.IsThere(ctx); {
	case err == nil:
		if err := u.removeKey(ctx); err != nil {
			return nil, during(stepRemoveKey, err)
		}
	case errors.Is(err, s3err.NoSuchUpload):
		gone = err
	case errors.Is(err, s3err.AccessDenied): // listing parts needs a permission of its own
		if keyGone { // nothing is left that could tell a Complete from an earlier Abort
			gone = s3err.NoSuchUpload.Because(err)
		}
	default:
		return nil, err
	}
	a.states.Remove(u.name())
	resp, err := u.store.Abort(ctx, h)
	if err == nil {
		resp.Body.Close()
		// MinIO answers 204 to an Abort of any upload that it does not have.
		if err = gone; err == nil {
			err = u.completedInstead(ctx, saved, before)
		}
	}
	ended := err == nil
	if errors.Is(err, s3err.NoSuchUpload) {
		// As long as there is a key, the upload may only be hidden (DefaultGrace), and the sweep
		// takes care of it. Without a key, this is the rest of an earlier Abort.
		_, there := u.load(ctx)
		ended = errors.Is(there, ErrNoState)
	}
	if ended {
		if err := u.removeRecords(ctx); err != nil {
			u.warn("what is left of an aborted upload is swept later", during(stepRemoveRecords, err))
		}
	}
	if err != nil {
		if !ended {
			u.markAborted(ctx)
		}
		return nil, during(stepAbort, err)
	}
	return resp.Header, nil
}

// markAborted leaves a piece of the state of an upload whose key is gone but whose Abort failed at
// the store, so that the client's next Abort finds it.
func (u *Upload) markAborted(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := u.putState(ctx, goneMark, &upstream.Request{}); err != nil {
		u.warn("an upload that was not aborted may be left in the store", err)
	}
}

// stateToAbort reads the state of an upload that is to be aborted. If the key is gone but other
// state is left, this is the rest of an earlier Abort, or of a Complete whose records are being
// removed. An upload without any state does not exist: its id does not go to the store.
func (u *Upload) stateToAbort(ctx context.Context) (saved savedUpload, keyGone bool, err error) {
	saved, err = u.load(ctx)
	switch {
	case err == nil || object.Damaged(err):
		return saved, false, nil
	case !errors.Is(err, ErrNoState):
		return saved, false, during(stepRemoveKey, err)
	}
	left, listErr := u.hasState(ctx)
	if listErr != nil {
		return saved, false, during(stepRemoveKey, listErr)
	}
	if !left {
		return saved, false, u.missing(ctx, err)
	}
	return saved, true, nil
}

// completedInstead checks whether the upload became the object while it was being aborted. That may
// be hidden if there now is another object than before: then the upload is gone, and nobody can
// tell whether this Abort ended it.
func (u *Upload) completedInstead(ctx context.Context, saved savedUpload, before string) error {
	now, s, err := u.lookAtKey(ctx)
	switch {
	case err != nil:
		return during(stepCheckObject, err)
	case s != nil && s.Meta != nil && saved.meta != nil && s.Meta.Commitment == saved.meta.Commitment:
		return s3err.NoSuchUpload.Because(errors.New("it was completed meanwhile"))
	case now != before:
		return s3err.NoSuchUpload.Because(errors.New("the object was written meanwhile, and may have been this upload's before"))
	}
	return nil
}

// lookAtKey returns a text that differs between the states of the object at the upload's key ("" if
// there is none), and the object if it is ours.
func (u *Upload) lookAtKey(ctx context.Context) (state string, s *object.Stored, err error) {
	resp, err := u.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: u.Bucket, Key: u.Key})
	if upstream.IsNotFound(err) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	resp.Body.Close()
	for _, name := range []string{"Etag", "Last-Modified", "X-Amz-Version-Id", object.MetaHeaderPrefix + "Commit"} {
		state += resp.Header.Get(name) + "\n"
	}
	s, err = u.ReadStored(u.Bucket, u.Key, false, resp)
	if object.Damaged(err) || errors.Is(err, envelope.ErrNotEncrypted) {
		return state, nil, nil
	}
	return state, s, err
}
