package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// content is a possible content of an object; size -1 means that there is no object.
type content struct {
	seed uint64
	size int
}

func (c content) bytes() []byte { return s3test.Content(c.seed, c.size) }

// object is a key to which only one worker writes.
type object struct {
	key   string
	acked content
	// maybe are the writes that were not acknowledged: each may have taken effect, or may still do
	// so.
	maybe []content
}

// worker writes, reads, copies and deletes its own objects with an SDK. After a write of unknown
// outcome it no longer writes to that key, and only reads it at the end.
type worker struct {
	*run
	name    string
	sdk     *s3.Client
	next    int
	live    []*object
	retired []*object
}

func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		w.step(ctx)
	}
}

func (w *worker) step(ctx context.Context) {
	if len(w.live) < 20 {
		w.next++
		w.live = append(w.live, &object{key: fmt.Sprintf("%s-%06d", w.name, w.next), acked: content{size: -1}})
	}
	i := rand.IntN(len(w.live))
	o := w.live[i]
	var known bool
	switch n := rand.IntN(100); {
	case n < 35:
		known = w.write(ctx, o, false)
	case n < 38:
		known = w.write(ctx, o, true)
	case n < 43:
		known = w.remove(ctx, o)
	case n < 60:
		known = true
		w.ranged(ctx, o)
	default:
		known = true
		w.read(ctx, w.sdk, o)
	}
	if !known {
		w.live = append(w.live[:i], w.live[i+1:]...)
		w.retired = append(w.retired, o)
	}
}

// miss counts a failure, unless it comes from the end of the work.
func (w *worker) miss(ctx context.Context) {
	if ctx.Err() == nil {
		w.failed.Add(1)
	}
}

// write returns false if the outcome is unknown.
func (w *worker) write(ctx context.Context, o *object, inParts bool) (known bool) {
	c := content{seed: rand.Uint64(), size: []int{0, 1, 1000, 70_000, 1_100_000, 3_000_000}[rand.IntN(6)]}
	if inParts {
		c.size = 12_000_000
	}
	var err error
	if inParts {
		_, err = transfermanager.New(w.sdk).UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &w.bucket, Key: &o.key, Body: bytes.NewReader(c.bytes())})
	} else {
		_, err = w.sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &w.bucket, Key: &o.key, Body: bytes.NewReader(c.bytes())})
	}
	if err != nil {
		w.miss(ctx)
		o.maybe = append(o.maybe, c)
		return false
	}
	w.writes.Add(1)
	o.acked = c
	return true
}

func (w *worker) remove(ctx context.Context, o *object) (known bool) {
	if _, err := w.sdk.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &w.bucket, Key: &o.key}); err != nil {
		w.miss(ctx)
		o.maybe = append(o.maybe, content{size: -1})
		return false
	}
	w.writes.Add(1)
	o.acked = content{size: -1}
	return true
}

// read compares an object with every content that it may have, and returns why it got none.
func (w *worker) read(ctx context.Context, sdk *s3.Client, o *object) error {
	got, err := fetch(ctx, sdk, w.bucket, o.key, "")
	if err != nil {
		w.miss(ctx)
		return err
	}
	w.reads.Add(1)
	for _, c := range append([]content{o.acked}, o.maybe...) {
		if c.size < 0 && got == nil || c.size >= 0 && got != nil && bytes.Equal(got, c.bytes()) {
			return nil
		}
	}
	w.wrong("%s: %d bytes (none: %v), acknowledged are %d, %d others may be", o.key, len(got), got == nil, o.acked.size, len(o.maybe))
	return nil
}

func (w *worker) ranged(ctx context.Context, o *object) {
	if o.acked.size < 2 || len(o.maybe) > 0 {
		return
	}
	from := rand.IntN(o.acked.size)
	to := from + rand.IntN(min(o.acked.size-from, 200_000))
	got, err := fetch(ctx, w.sdk, w.bucket, o.key, fmt.Sprintf("bytes=%d-%d", from, to))
	if err != nil {
		w.miss(ctx)
		return
	}
	w.reads.Add(1)
	if !bytes.Equal(got, o.acked.bytes()[from:to+1]) {
		w.wrong("%s: bytes %d to %d of %d are others (%d bytes)", o.key, from, to, o.acked.size, len(got))
	}
}

// fetch returns nil if there is no object.
func fetch(ctx context.Context, sdk *s3.Client, bucket, key, byteRange string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	if byteRange != "" {
		in.Range = aws.String(byteRange)
	}
	out, err := sdk.GetObject(ctx, in)
	var refused *awshttp.ResponseError
	if errors.As(err, &refused) && refused.HTTPStatusCode() == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	return append([]byte{}, got...), err
}
