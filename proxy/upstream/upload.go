package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// Upload is a multipart upload as the store has it.
type Upload struct {
	Client    *Client
	Bucket    s3name.Bucket
	Key       s3name.Key
	ID        s3name.UploadID
	Unsigned  bool
	BeforeEnd func(context.Context) error // before InParts ends it; nil for none
}

// InParts writes an object of the store by an upload that nobody else knows of, so that
// no state is kept of it: send sends the parts and lists them. u says of which object,
// and gets the id. The conditions among the headers h are those of the upload's end. An
// upload that fails is aborted.
func (u *Upload) InParts(ctx context.Context, h http.Header, send func(list *s3xml.CompleteUpload) error) (_ *s3xml.CompleteUploadResult, _ http.Header, err error) {
	finish, err := u.Begin(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Abandon(ctx, err))
		}
	}()
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	if err := send(&list); err != nil {
		return nil, nil, err
	}
	if u.BeforeEnd != nil {
		if err := u.BeforeEnd(ctx); err != nil {
			return nil, nil, err
		}
	}
	return u.Complete(ctx, list, finish)
}

// Begin asks the store for the upload of an object with the headers h, and gives those of
// them that are for its end.
func (u *Upload) Begin(ctx context.Context, h http.Header) (finish http.Header, err error) {
	begin, finish := h.Clone(), http.Header{}
	for _, name := range slices.Concat(WriteConditions, OwnerHeaders) {
		if v, given := begin[name]; given {
			finish[name] = v
		}
	}
	for _, name := range WriteConditions {
		delete(begin, name)
	}
	var begun s3xml.CreateUploadResult
	if _, err := u.Client.GetXML(ctx, &Request{
		Method: http.MethodPost, Bucket: u.Bucket, Key: u.Key, Query: url.Values{"uploads": {""}}, Header: begin, Unsigned: u.Unsigned,
	}, &begun); err != nil {
		return nil, err
	}
	if u.ID, err = s3name.ParseUploadID(begun.UploadID); err != nil {
		return nil, BadName(err)
	}
	return finish, nil
}

// Abandon aborts the upload at the store, for the reason why; whoever it was for may be
// gone. Where a part was cut the store may not have noticed yet, and then keep what came of
// it: S3 says itself that an Abort may have to be repeated.
func (u *Upload) Abandon(ctx context.Context, why error) error {
	cut := errors.Is(why, s3err.ServiceUnavailable) || ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, wait := range abortWaits {
		resp, err := u.Abort(ctx, nil)
		if err != nil && !errors.Is(err, s3err.NoSuchUpload) {
			return fmt.Errorf("abort the upload: %w", err)
		}
		if err == nil {
			resp.Body.Close()
		}
		if !cut {
			return nil
		}
		if err := Wait(ctx, wait); err != nil {
			return fmt.Errorf("abort the upload: %w", err)
		}
		if errors.Is(u.IsThere(ctx), s3err.NoSuchUpload) {
			return nil
		}
	}
	return nil
}

// abortWaits are the pauses behind each Abort of an upload with a part that was cut.
var abortWaits = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second}

// Part sends a part of the store's upload and gives its ETag there, without quotes.
func (u *Upload) Part(ctx context.Context, number int, req *Request) (etag string, err error) {
	req.Method, req.Bucket, req.Key, req.Unsigned = http.MethodPut, u.Bucket, u.Key, u.Unsigned
	req.UploadID, req.Query = u.ID, url.Values{"partNumber": {strconv.Itoa(number)}}
	resp, err := u.Client.Do(ctx, req)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	if etag = strings.Trim(resp.Header.Get("Etag"), `"`); etag == "" {
		return "", fmt.Errorf("%w: the store gave a part no ETag", ErrStored)
	}
	return etag, nil
}

// Complete asks the store to put an upload together.
func (u *Upload) Complete(ctx context.Context, list s3xml.CompleteUpload, h http.Header) (*s3xml.CompleteUploadResult, http.Header, error) {
	doc, err := s3xml.Marshal(&list)
	if err != nil {
		return nil, nil, err
	}
	h.Set("Content-Type", "application/xml")
	result := &s3xml.CompleteUploadResult{}
	header, err := u.Client.Result(ctx, &Request{Method: http.MethodPost, Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Header: h, Bytes: doc, Unsigned: u.Unsigned}, result)
	if err != nil {
		return nil, nil, err
	}
	return result, header, nil
}

// Abort asks the store to forget the upload; the caller closes the answer's body.
func (u *Upload) Abort(ctx context.Context, h http.Header) (*http.Response, error) {
	return u.Client.Do(ctx, &Request{Method: http.MethodDelete, Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Header: h, Unsigned: u.Unsigned})
}

// IsThere asks the store for the upload: NoSuchUpload when it has none.
func (u *Upload) IsThere(ctx context.Context) error {
	resp, err := u.Client.Do(ctx, &Request{
		Method: http.MethodGet, Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Query: url.Values{"max-parts": {"1"}}, Unsigned: u.Unsigned,
	})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// WriteConditions are the conditions of a write, which an upload has at its end.
var WriteConditions = []string{"If-Match", "If-None-Match"}

// OwnerHeaders say whom the bucket belongs to and who pays: of each request of an upload.
var OwnerHeaders = []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Request-Payer"}
