package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// writableFor is how long a store's yes to unsigned writes into a bucket is remembered.
const writableFor = time.Minute

// writable remembers when a store last said yes to an unsigned write, by bucket.
type writable struct {
	lru *lru.Cache[s3name.Bucket, time.Time]
}

func newWritable() *writable {
	c, err := lru.New[s3name.Bucket, time.Time](1024)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &writable{c}
}

// mayWrite asks the store whether an unsigned client may write here at all, before a key is
// made for it: a new window would cost a call to the KMS, and a record that is put with the
// proxy's own credentials. It asks with a part of an upload that does not exist, which needs
// the same right as a write and writes nothing. Any answer but a refusal counts as yes, because
// the store judges the write itself, too.
func (x *exchange) mayWrite(ctx context.Context) error {
	if !x.unsigned() {
		return nil
	}
	if at, ok := x.proxy.writable.lru.Get(x.bucket); ok && time.Since(at) < writableFor {
		return nil
	}
	resp, err := x.Upstream.Do(ctx, &upstream.Request{
		Method: http.MethodPut, Bucket: x.bucket, Key: x.key, UploadID: s3name.NoUpload(), Query: url.Values{"partNumber": {"1"}}, Unsigned: true,
	})
	if err == nil {
		resp.Body.Close()
	}
	switch status, refused := upstream.Status(err); {
	case err != nil && !refused, status == http.StatusUnauthorized, status == http.StatusForbidden, status >= http.StatusInternalServerError, errors.Is(err, s3err.NoSuchBucket):
		return err
	}
	x.proxy.writable.lru.Add(x.bucket, time.Now())
	return nil
}

// mayCreate is mayWrite for the start of an upload, and fails with what the store says to that:
// S3 lets no anonymous client start one, whatever it may write.
func (x *exchange) mayCreate(ctx context.Context) error {
	refused := x.mayWrite(ctx)
	if refused == nil {
		return nil
	}
	u := &upstream.Upload{Client: x.Upstream, Bucket: x.bucket, Key: x.key, Unsigned: true}
	if _, err := u.Begin(ctx, http.Header{}); err != nil {
		return err
	}
	return errors.Join(refused, u.Abandon(ctx, refused))
}
