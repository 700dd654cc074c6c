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
	"sync/atomic"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
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
			err = errors.Join(err, u.abandon(ctx, err))
		}
	}()
	list := completeRequest{Xmlns: s3xml.Namespace}
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
	if _, err := u.Upstream.GetXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: u.bucket, Key: u.key, Query: url.Values{"uploads": {""}}, Header: begin, Unsigned: u.unsigned,
	}, &begun); err != nil {
		return nil, err
	}
	if u.id, err = s3name.ParseUploadID(begun.UploadID); err != nil {
		return nil, upstream.BadName(err)
	}
	return finish, nil
}

// abandon aborts the upload at the store, for the reason why; whoever it was for may be
// gone. Where a part was cut the store may not have noticed yet, and then keep what came of
// it: S3 says itself that an Abort may have to be repeated.
func (u *upload) abandon(ctx context.Context, why error) error {
	cut := errors.Is(why, s3err.ServiceUnavailable) || ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, wait := range abortWaits {
		resp, err := u.abortUpstream(ctx, nil)
		if err != nil && !errors.Is(err, s3err.NoSuchUpload) {
			return during(stepAbort, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		if !cut {
			return nil
		}
		if err := upstream.Wait(ctx, wait); err != nil {
			return during(stepAbort, err)
		}
		if errors.Is(u.there(ctx), s3err.NoSuchUpload) {
			return nil
		}
	}
	return nil
}

// abortWaits are the pauses behind each Abort of an upload with a part that was cut.
var abortWaits = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second}

// putStreamed stores a body that streams as an object. It goes up in parts where it
// passes what one PUT may have, and where the store cannot see that a body lacks its end
// (versitygw keeps what came of a bare one, in the place of the object that was there).
// The object is of kind single all the same: nobody but the store sees the parts.
func (x *exchange) putStreamed(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	if req.Length <= x.largePut && x.Upstream.ChecksBodies() {
		return x.Upstream.Do(ctx, req)
	}
	u := &upload{Objects: x.Objects, bucket: req.Bucket, key: req.Key, unsigned: req.Unsigned}
	return u.putInParts(ctx, req.Header, req.Body, req.Length, x.largePart)
}

// putInParts stores a body in parts of partSize bytes. The store puts them together only
// after the body's io.EOF.
func (u *upload) putInParts(ctx context.Context, h http.Header, body io.Reader, length, partSize int64) (*http.Response, error) {
	result, header, err := u.inParts(ctx, h, func(list *completeRequest) error {
		for number := 1; length > 0; number++ {
			p := &piece{body: body}
			p.left.Store(min(length, partSize))
			length -= p.left.Load()
			etag, err := u.sendUpstream(ctx, number, &upstream.Request{Body: p, Length: p.left.Load()})
			if err == nil && p.left.Load() > 0 {
				err = checksum.ErrAnsweredEarly
			}
			if err != nil {
				return fmt.Errorf("part %d of a body: %w", number, err)
			}
			list.add(number, etag)
		}
		return readEnd(body)
	})
	if err != nil {
		return nil, err
	}
	header = header.Clone()
	for _, name := range []string{"Content-Length", "Content-Type"} { // of the result's document
		header.Del(name)
	}
	header.Set("Etag", `"`+strings.Trim(result.ETag, `"`)+`"`)
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody}, nil
}

// piece is the next part of a body. What is left of it is known although the transport
// may go on reading when the store has answered.
type piece struct {
	body io.Reader
	left atomic.Int64
}

func (p *piece) Read(b []byte) (int, error) {
	left := p.left.Load()
	if left == 0 {
		return 0, io.EOF
	}
	n, err := p.body.Read(b[:min(int64(len(b)), left)])
	p.left.Add(-int64(n))
	return n, err
}

// readEnd reads a body's io.EOF, which says that it was good.
func readEnd(body io.Reader) error {
	switch n, err := io.ReadFull(body, make([]byte, 1)); {
	case n > 0:
		return envelope.ErrTooLong
	case err != io.EOF:
		return err
	}
	return nil
}
