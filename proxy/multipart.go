package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// createMultipartUpload begins an upload in the store. The wrapped key goes into
// the object's metadata and, with what the client asked for, into a state object:
// any replica can take any part. The store's upload names no checksum algorithm
// (with one, AWS wants consecutive part numbers).
func createMultipartUpload(x *exchange) error {
	options, err := checksum.ReadUploadOptions(x.r.Header)
	if err != nil {
		return err
	}
	options.MD5 = x.ETag == object.ETagMD5
	ctx := x.r.Context()
	if err := x.mayCreate(ctx); err != nil {
		return err
	}
	dek, meta, err := x.Keyring.NewKey(ctx, kms.Name{Bucket: x.KeyBucket(x.bucket), Key: x.key.String(), Kind: envelope.KindMultipart})
	if err != nil {
		return err
	}
	defer dek.Destroy()
	fields, err := object.EncodeMetadata(dek, meta, 0, envelope.Facts{})
	if err != nil {
		return err
	}
	h := x.passedHeaders()
	object.TrimChunkedEncoding(h)
	for name, value := range fields {
		h[object.MetaPrefix+name] = []string{value}
	}
	var begun s3xml.CreateUploadResult
	header, err := x.Upstream.GetXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: x.bucket, Key: x.key, Query: url.Values{"uploads": {""}}, Header: h, Unsigned: x.unsigned(),
	}, &begun)
	if err != nil {
		return during(stepCreate, err)
	}
	id, err := s3name.ParseUploadID(begun.UploadID)
	if err != nil {
		return during(stepCreate, upstream.BadName(err))
	}
	x.remember()
	u := uploadOf(x.Objects, x.bucket, x.key, id, x.unsigned())
	u.options, u.dek = options, dek
	if err := u.saveUpload(ctx); err != nil {
		x.giveUp(u)
		return during(stepPutState, err)
	}
	x.passHeaders(header)
	out := x.w.Header()
	for _, name := range []string{"X-Amz-Abort-Date", "X-Amz-Abort-Rule-Id"} {
		if v := header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	x.tellEncryption(out, x.ETag == object.ETagMD5, header)
	if options.Checksum != envelope.NoChecksum {
		out.Set("X-Amz-Checksum-Algorithm", options.Checksum.String())
		out.Set("X-Amz-Checksum-Type", checksum.TypeName(options.Type))
	}
	return x.answerXML(s3xml.CreateUploadResult{Xmlns: s3xml.Namespace, Bucket: x.bucket.String(), Key: s3xml.Text(x.key.String()), UploadID: u.ID.String()})
}

// markAborted leaves something of the state of an upload whose key is gone and whose Abort
// the store did not take, so that the client's next Abort finds it.
func (x *exchange) markAborted(u *upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), 10*time.Second)
	defer cancel()
	if err := u.putState(ctx, goneMark, &upstream.Request{}); err != nil {
		x.log.Warn("an upload that was not aborted may be left in the store", "bucket", u.Bucket, "upload", u.ID, "error", err)
	}
}

// giveUp aborts an upload that no client will hear of; the client may be gone.
func (x *exchange) giveUp(u *upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), 10*time.Second)
	defer cancel()
	if err := u.abort(ctx); err != nil {
		x.log.Warn("an upload that failed to begin could not be aborted", "bucket", u.Bucket, "upload", u.ID, "error", err)
	}
}

// abortMultipartUpload takes the upload's key away first: from then on no Complete
// that runs beside it may call the upload done unless the object proves it.
func abortMultipartUpload(x *exchange) error {
	ctx := x.r.Context()
	u := uploadOf(x.Objects, x.bucket, x.key, x.uploadID, x.unsigned())
	saved, err := x.stateToAbort(ctx, u)
	if err != nil {
		return err
	}
	before, _, err := x.lookAtKey(ctx)
	if err != nil {
		return during(stepCheckObject, err)
	}
	// The store judges first whether this client may abort, and whether there is
	// such an upload.
	var gone error
	switch err := u.IsThere(ctx); {
	case err == nil:
		if err := u.removeKey(ctx); err != nil {
			return during(stepRemoveKey, err)
		}
	case errors.Is(err, s3err.NoSuchUpload):
		gone = err
	case errors.Is(err, s3err.AccessDenied): // listing parts is a right of its own
	default:
		return err
	}
	x.uploads.lru.Remove(uploadName{u.Bucket, u.Key, u.ID})
	resp, err := u.Abort(ctx, x.passedHeaders())
	if err == nil {
		resp.Body.Close()
		// MinIO says 204 to an Abort of any upload that it does not have.
		if err = gone; err == nil {
			err = x.completedInstead(ctx, saved, before)
		}
	}
	ended := err == nil
	if errors.Is(err, s3err.NoSuchUpload) {
		// As long as there is a key the upload may only be hidden (DefaultGrace): the
		// sweep looks after it. Without one this is the rest of an earlier Abort.
		_, there := loadUpload(ctx, x.Objects, u.Bucket, u.Key, u.ID)
		ended = errors.Is(there, errNoState)
	}
	if ended {
		if err := u.removeRecords(ctx); err != nil {
			x.log.Warn("what is left of an aborted upload is swept later", "bucket", u.Bucket, "error", during(stepRemoveRecords, err))
		}
	}
	if err != nil {
		if !ended {
			x.markAborted(u)
		}
		return during(stepAbort, err)
	}
	x.passHeaders(resp.Header)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// stateToAbort reads the state of an upload that shall be aborted. Where the key is gone
// and something else is left of the state, this is the rest of an earlier Abort. An upload
// of which nothing is kept is none: its id does not go to the store.
func (x *exchange) stateToAbort(ctx context.Context, u *upload) (savedUpload, error) {
	saved, err := loadUpload(ctx, x.Objects, u.Bucket, u.Key, u.ID)
	switch {
	case err == nil || object.Damaged(err):
		return saved, nil
	case !errors.Is(err, errNoState):
		return saved, during(stepRemoveKey, err)
	}
	left, listErr := u.hasState(ctx)
	if listErr != nil {
		return saved, during(stepRemoveKey, listErr)
	}
	if !left {
		return saved, x.noUpload(ctx, err)
	}
	return saved, nil
}

// completedInstead looks whether the upload became the object while it was being aborted.
// Another object than stood there before may hide that it did: the upload is gone then, and
// whether by this Abort nobody can tell.
func (x *exchange) completedInstead(ctx context.Context, saved savedUpload, before string) error {
	now, s, err := x.lookAtKey(ctx)
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

// lookAtKey gives what tells the states of the object at the upload's key apart, "" for none,
// and the object if it is ours.
func (x *exchange) lookAtKey(ctx context.Context) (state string, s *object.Stored, err error) {
	resp, err := x.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Key: x.key})
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
	s, err = x.ReadStored(x.bucket, x.key, false, resp)
	if object.Damaged(err) || errors.Is(err, envelope.ErrNotEncrypted) {
		return state, nil, nil
	}
	return state, s, err
}

// abort ends an upload in the store and removes its state.
func (u *upload) abort(ctx context.Context) error {
	resp, err := u.Abort(ctx, nil)
	if err != nil && !errors.Is(err, s3err.NoSuchUpload) {
		return during(stepAbort, err)
	}
	if err == nil {
		resp.Body.Close()
	}
	return u.removeRecords(ctx)
}
