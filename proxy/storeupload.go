package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// largePart is how much of a sealed body goes into one part of the store's upload
// when it passes what one PUT may have.
const largePart = 1 << 30

// inParts writes an object of the store by an upload that nobody else knows of, so that
// no state is kept of it: send sends the parts and lists them. u says of which object,
// and gets the id. The conditions among the headers h are those of the upload's end. An
// upload that fails is aborted.
func (u *upload) inParts(ctx context.Context, h http.Header, send func(list *completeRequest) error) (_ *completeResult, _ http.Header, err error) {
	finish, err := u.begin(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.abandon(ctx))
		}
	}()
	list := completeRequest{Xmlns: s3Namespace}
	if err := send(&list); err != nil {
		return nil, nil, err
	}
	if u.lastLook != nil {
		if err := u.lastLook(ctx); err != nil {
			return nil, nil, err
		}
	}
	return u.finish(ctx, list, finish)
}

// begin asks the store for the upload of an object with the headers h, and gives those of
// them that are for its end.
func (u *upload) begin(ctx context.Context, h http.Header) (finish http.Header, err error) {
	begin, finish := h.Clone(), http.Header{}
	for _, name := range slices.Concat(writeConditions, ownerHeaders) {
		if v, given := begin[name]; given {
			finish[name] = v
		}
	}
	for _, name := range writeConditions {
		delete(begin, name)
	}
	var begun createResult
	if _, err := u.getXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: u.bucket, Key: u.key, Query: url.Values{"uploads": {""}}, Header: begin, Unsigned: u.unsigned,
	}, &begun); err != nil {
		return nil, err
	}
	if u.id, err = s3name.ParseUploadID(begun.UploadID); err != nil {
		return nil, storeNamed(err)
	}
	return finish, nil
}

// abandon aborts the upload at the store; whoever it was for may be gone.
func (u *upload) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	resp, err := u.abortUpstream(ctx, nil)
	if err != nil {
		return during(stepAbort, err)
	}
	return resp.Body.Close()
}

// putLarge stores a sealed body that passes what one PUT may have, in parts of partSize
// bytes. The object is of kind single all the same: nobody but the store sees the parts.
func (u *upload) putLarge(ctx context.Context, h http.Header, sealed io.Reader, length, partSize int64) (*http.Response, error) {
	result, header, err := u.inParts(ctx, h, func(list *completeRequest) error {
		for number := 1; length > 0; number++ {
			n := min(length, partSize)
			etag, err := u.sendUpstream(ctx, number, &upstream.Request{Body: io.LimitReader(sealed, n), Length: n})
			if err != nil {
				return fmt.Errorf("part %d of a large body: %w", number, err)
			}
			list.add(number, etag)
			length -= n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	header = header.Clone()
	header.Set("Etag", `"`+strings.Trim(result.ETag, `"`)+`"`)
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody}, nil
}
