package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// FloorName is the name of the state object with a bucket's floor.
const FloorName = "floor"

// floorRequest prepares a request for the floor of a bucket.
func (r Records) floorRequest(method, bucket string) (*upstream.Request, error) {
	of := r.Bucket
	if of == (s3name.Bucket{}) {
		var err error
		if of, err = ParseBucket(bucket); err != nil {
			return nil, err
		}
	}
	stateBucket, prefix := r.Place.Of(of)
	key, err := r.Place.OwnKey(prefix + FloorName)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: key}, err
}

// GetFloor implements kms.Floors. A missing bucket has no floor.
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
