package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// floorName is the object with a bucket's floor, among the proxy's own objects.
const floorName = "floor"

// floorRequest begins a request for the floor of a bucket.
func (r Records) floorRequest(method, bucket string) (*upstream.Request, error) {
	of := r.Bucket
	if of == (s3name.Bucket{}) {
		var err error
		if of, err = parseBucket(bucket); err != nil {
			return nil, err
		}
	}
	stateBucket, prefix := r.Place.Of(of)
	key, err := r.Place.ownKey(prefix + floorName)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: key}, err
}

// GetFloor implements kms.Floors. Of a bucket that is not there nothing is kept.
func (r Records) GetFloor(ctx context.Context, bucket string) (floor []byte, etag string, err error) {
	req, err := r.floorRequest(http.MethodGet, bucket)
	if err != nil {
		return nil, "", err
	}
	resp, err := r.Store.Do(ctx, req)
	if upstream.IsNotFound(err) {
		return nil, "", fmt.Errorf("%w: %w", kms.ErrNoFloor, err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("get the bucket's floor: %w", err)
	}
	defer resp.Body.Close()
	floor, err = io.ReadAll(io.LimitReader(resp.Body, maxRecord+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the bucket's floor: %w", err)
	}
	if len(floor) > maxRecord {
		return nil, "", fmt.Errorf("the bucket's floor has more than %d bytes", maxRecord)
	}
	return floor, resp.Header.Get("Etag"), nil
}

// PutFloor implements kms.Floors.
func (r Records) PutFloor(ctx context.Context, bucket, etag string, floor []byte) error {
	req, err := r.floorRequest(http.MethodPut, bucket)
	if err != nil {
		return err
	}
	condition, value := "If-Match", etag
	if etag == "" {
		condition, value = "If-None-Match", "*"
	}
	resp, err := r.putOwn(ctx, req, floor, condition, value)
	if errors.Is(err, s3err.PreconditionFailed) || etag != "" && upstream.IsNotFound(err) {
		return fmt.Errorf("%w: %w", kms.ErrRaced, err)
	}
	if err != nil {
		return fmt.Errorf("put the bucket's floor: %w", err)
	}
	return resp.Body.Close()
}

// errFloorMoved says that a write's key is not the bucket's current kind any more: `keys rekey`
// has begun since the write did, and would never see what this one leaves.
var errFloorMoved = s3err.ServiceUnavailable.WithMessage("The keys of this bucket are being made anew; please send the request again.")

// underFloor refuses a key that is below the bucket's floor: what it would protect is not
// encrypted again, and is unreadable once the floor is closed.
func (o *objects) underFloor(ctx context.Context, bucket s3name.Bucket, dek *envelope.DEK) error {
	current, err := o.Keyring.IsCurrent(ctx, o.keyBucket(bucket), dek)
	if err == nil && !current {
		err = errFloorMoved
	}
	return err
}

// floorReader gives the end of a body only while the body's key is under the bucket's floor.
type floorReader struct {
	io.Reader
	check func() error
}

func (r *floorReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		if refused := r.check(); refused != nil {
			return n, refused
		}
	}
	return n, err
}
