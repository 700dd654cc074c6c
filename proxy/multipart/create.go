package multipart

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Create creates an upload of an object with the headers h, and returns the headers of the store's
// answer. The store's upload names no checksum algorithm, because AWS would then require
// consecutive part numbers.
func (a *Uploads) Create(ctx context.Context, t Target, options envelope.Upload, h http.Header) (s3name.UploadID, http.Header, error) {
	none := s3name.UploadID{}
	dek, meta, err := t.Keyring.NewKey(ctx, kms.Name{Bucket: t.KeyBucket(t.Bucket), Key: t.Key.String(), Kind: envelope.KindMultipart})
	if err != nil {
		return none, nil, err
	}
	defer dek.Destroy()
	fields, err := object.EncodeMetadata(dek, meta, 0, envelope.Facts{})
	if err != nil {
		return none, nil, err
	}
	for name, value := range fields {
		h[object.MetaPrefix+name] = []string{value}
	}
	var begun s3xml.CreateUploadResult
	header, err := t.Upstream.GetXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: t.Bucket, Key: t.Key, Query: url.Values{"uploads": {""}}, Header: h, Unsigned: t.Unsigned,
	}, &begun)
	if err != nil {
		return none, nil, during(stepCreate, err)
	}
	id, err := s3name.ParseUploadID(begun.UploadID)
	if err != nil {
		return none, nil, during(stepCreate, upstream.BadName(err))
	}
	a.remember(t.Bucket)
	u := a.upload(t, id)
	u.options, u.dek = options, dek
	if err := u.save(ctx); err != nil {
		u.giveUp(ctx)
		return none, nil, during(stepPutState, err)
	}
	return id, header, nil
}

// giveUp aborts an upload that no client will hear of. The client may be gone.
func (u *Upload) giveUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	resp, err := u.store.Abort(ctx, nil)
	switch {
	case err == nil:
		resp.Body.Close()
	case !errors.Is(err, s3err.NoSuchUpload):
		u.warn("an upload that failed to begin could not be aborted", during(stepAbort, err))
		return
	}
	if err := u.removeRecords(ctx); err != nil {
		u.warn("an upload that failed to begin could not be aborted", err)
	}
}

// warn logs something that needs attention later but does not stop the request.
func (u *Upload) warn(what string, err error) {
	u.all.log.Warn(what, "bucket", u.Bucket, "upload", u.store.ID, "error", err)
}
