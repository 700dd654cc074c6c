package inplace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// A renewal is written on the condition of the ETag that it has read. But an ETag identifies bytes,
// not a state: all empty objects have the same one, and a copy inside the store keeps its source's.
// S3 has no other condition. So the object is rechecked as late as the write can still be taken
// back: before the last byte of a body is sent, or before the parts are combined. If the store
// checks bodies, one without its end never becomes an object.

var errHolds = errors.New("the store lets nobody read the object while it is written")

// putRechecked replaces the object with a PUT, if the recheck finds it as it was read. A body that
// the store cannot check is read first, and signed with its hash.
func (src *Source) putRechecked(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	checks := src.Upstream.ChecksBodies()
	if src.Recheck == nil && checks {
		return src.Upstream.Do(ctx, req)
	}
	holds := src.Upstream.Learned.LocksReads.Load()
	if req.Length > src.Limits.Buffer && !holds && checks {
		return src.putStream(ctx, req)
	}
	if req.Body != nil {
		body, sum := req.Body, sha256.New()
		if !checks {
			body = io.TeeReader(body, sum)
		}
		whole, err := readWhole(body, req.Length, src.Limits.Buffer)
		if err != nil {
			return nil, fmt.Errorf("read the object: %w", err)
		}
		defer whole.Close()
		req.Body = whole
		if !checks {
			req.SHA256 = sum.Sum(nil)
		}
	}
	if src.Recheck != nil {
		if err := src.Recheck(ctx); err != nil {
			return nil, err
		}
	}
	return src.Upstream.Do(ctx, req)
}

// putStream sends a body while it is read. If the body stalls, putStream gives up; the next try
// reads the body before sending it.
func (src *Source) putStream(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	sending, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	stalled := time.AfterFunc(src.Limits.Stall, func() { giveUp(errHolds) })
	stalled.Stop() // until the body is read
	body := &recheckedBody{body: req.Body, left: req.Length, look: func() error { return src.Recheck(sending) }, stall: src.Limits.Stall, stalled: stalled}
	req.Body = body
	resp, err := src.Upstream.Do(sending, req)
	switch {
	case err != nil && errors.Is(context.Cause(sending), errHolds):
		src.Upstream.Learned.LocksReads.Store(true)
		return nil, fmt.Errorf("%w: %w", object.ErrChanged, errHolds)
	case err != nil:
		return nil, err
	case !body.looked.Load():
		resp.Body.Close()
		return nil, errors.New("the store answered before it had the whole body")
	}
	return resp, nil
}

// recheckedBody releases the last byte of a body after the recheck.
type recheckedBody struct {
	body    io.Reader
	left    int64
	look    func() error
	looked  atomic.Bool
	stall   time.Duration
	stalled *time.Timer // fires if nothing moves for stall
}

func (l *recheckedBody) Read(p []byte) (int, error) {
	if l.left > 1 {
		p = p[:min(int64(len(p)), l.left-1)]
	}
	if l.left > 0 {
		l.stalled.Reset(l.stall)
	}
	if l.left == 1 && !l.looked.Load() {
		if err := l.look(); err != nil {
			l.stalled.Stop()
			return 0, err
		}
		l.looked.Store(true)
	}
	n, err := l.body.Read(p)
	if l.left -= int64(n); l.left <= 0 || err != nil {
		l.stalled.Stop() // from here on, the store may take its time
	}
	return n, err
}

// readWhole reads a body of stored bytes to its end: into memory if it has at most inMemory bytes,
// otherwise into a temporary file that is already unlinked.
func readWhole(body io.Reader, length, inMemory int64) (io.ReadCloser, error) {
	body = io.LimitReader(body, length+1)
	var n int64
	var err error
	var whole io.ReadCloser
	if length <= inMemory {
		buf := bytes.NewBuffer(make([]byte, 0, length+bytes.MinRead))
		n, err = io.Copy(buf, body)
		whole = io.NopCloser(buf)
	} else {
		f, failed := object.UnnamedFile(".s3proxy-object-*")
		if failed != nil {
			return nil, failed
		}
		if n, err = io.Copy(f, body); err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		whole = f
	}
	if err == nil && n != length {
		err = fmt.Errorf("%d of %d bytes: %w", n, length, io.ErrUnexpectedEOF)
	}
	if err != nil {
		whole.Close()
		return nil, err
	}
	return whole, nil
}
