package proxy

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// recordFolder has the window records among the proxy's own objects.
const recordFolder = "keys/"

// maxRecord bounds what is read of a window record; real ones have about 300 bytes.
const maxRecord = 16 << 10

// Records keeps window records in the buckets whose objects they serve. It
// implements kms.Records with the proxy's own credentials.
type Records struct {
	Store *upstream.Client
	Place StatePlace
	// Bucket has the records where the Keyring names another one, which this is a
	// replica of. Optional.
	Bucket string
}

// Where gives the bucket that has the records of bucket, and how their keys begin;
// the record's id follows.
func (r Records) Where(bucket string) (stateBucket, prefix string) {
	if r.Bucket != "" {
		bucket = r.Bucket
	}
	stateBucket, prefix = r.Place.Of(bucket)
	return stateBucket, prefix + recordFolder
}

// PutRecord stores a record unless there is one of that id already: another
// process may have re-wrapped it since.
func (r Records) PutRecord(ctx context.Context, bucket, id string, record []byte) error {
	sum := md5.Sum(record)
	stateBucket, prefix := r.Where(bucket)
	resp, err := r.Store.Do(ctx, &upstream.Request{
		Method: http.MethodPut, Bucket: stateBucket, Key: prefix + id,
		Header: lockState(ctx, r.Store, stateBucket, http.Header{
			"If-None-Match": {"*"},
			"Content-Type":  {"application/json"},
			"Content-Md5":   {base64.StdEncoding.EncodeToString(sum[:])},
		}),
		Bytes: record,
	})
	if errors.Is(err, s3err.PreconditionFailed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put the window record: %w", err)
	}
	resp.Body.Close()
	return nil
}

// GetRecord reads a record; kms.ErrNoRecord if there is none.
func (r Records) GetRecord(ctx context.Context, bucket, id string) ([]byte, error) {
	record, _, err := r.Read(ctx, bucket, id)
	return record, err
}

// refusedWith gives the status of a refusal by the store.
func refusedWith(err error) (status int, refused bool) {
	var s3 *s3err.Error
	if errors.As(err, &s3) {
		return s3.Status, true
	}
	return 0, false
}
