package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// largePart is how much of a sealed body goes into one part of the store's upload
// when it passes what one PUT may have.
const largePart = 1 << 30

// putLarge stores a sealed body of more than x.largePut bytes as a multipart upload
// of the store. The object is of kind single all the same: nobody but the store
// sees the parts, and they are only ours, so that no state is kept of them.
func (x *exchange) putLarge(header http.Header, sealed io.Reader, length int64) (*http.Response, error) {
	ctx := x.r.Context()
	begin, finish := header, http.Header{}
	for _, name := range slices.Concat(writeConditions, ownerHeaders) {
		if v, given := begin[name]; given {
			finish[name] = v
		}
	}
	for _, name := range writeConditions {
		delete(begin, name)
	}
	var begun createResult
	if _, err := x.getXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: x.bucket, Key: x.key, Query: url.Values{"uploads": {""}}, Header: begin, Unsigned: x.unsigned(),
	}, &begun); err != nil {
		return nil, err
	}
	if begun.UploadID == "" {
		return nil, fmt.Errorf("%w: an upload without an id", errStored)
	}
	u := &upload{objects: x.objects, bucket: x.bucket, key: x.key, id: begun.UploadID, unsigned: x.unsigned()}
	resp, err := x.putParts(ctx, u, finish, sealed, length)
	if err != nil {
		x.abandon(u)
	}
	return resp, err
}

func (x *exchange) putParts(ctx context.Context, u *upload, finish http.Header, sealed io.Reader, length int64) (*http.Response, error) {
	list := completeRequest{Xmlns: s3Namespace}
	for number := 1; length > 0; number++ {
		n := min(length, x.largePart)
		etag, err := u.sendUpstream(ctx, number, &upstream.Request{Body: io.LimitReader(sealed, n), Length: n})
		if err != nil {
			return nil, fmt.Errorf("part %s of a large body: %w", strconv.Itoa(number), err)
		}
		list.add(number, etag)
		length -= n
	}
	result, header, err := u.finish(ctx, list, finish)
	if err != nil {
		return nil, err
	}
	h := header.Clone()
	h.Set("Etag", `"`+strings.Trim(result.ETag, `"`)+`"`)
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody}, nil
}

// abandon aborts an upload of the store that nobody else knows of; the client may be gone.
func (x *exchange) abandon(u *upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), 10*time.Second)
	defer cancel()
	resp, err := u.abortUpstream(ctx, nil)
	if err != nil {
		x.log.Warn("an upload that failed could not be aborted", "bucket", u.bucket, "upload", u.id, "error", err)
		return
	}
	resp.Body.Close()
}
