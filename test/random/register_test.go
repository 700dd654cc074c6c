package random

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// register is a number that many writers update with compare-and-exchange, done without conditional
// writes as in Elasticsearch's S3BlobContainer: by a multipart upload of one tiny part. Of all
// listed uploads, the first one goes on, and aborts the others.
type register struct {
	client      *s3.Client
	bucket, key string
}

var errContended = errors.New("another writer is at it")

func (r register) read(t *testing.T) (int, error) {
	out, err := r.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &r.key})
	if s3test.Code(err) == "NoSuchKey" {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// compareAndExchange reports whether it wrote; after an error, that is unknown.
func (r register) compareAndExchange(t *testing.T, expected, updated int) (bool, error) {
	ctx := t.Context()
	abort := func(id *string) error {
		_, err := r.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &r.bucket, Key: &r.key, UploadId: id})
		return err
	}
	create, err := r.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &r.bucket, Key: &r.key})
	if err != nil {
		return false, err
	}
	part, err := r.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &r.bucket, Key: &r.key, UploadId: create.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte(strconv.Itoa(updated)))})
	if err != nil {
		return false, nil // another writer aborted the upload: nothing was written
	}
	list, err := r.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &r.bucket, Prefix: &r.key})
	if err != nil {
		return false, errors.Join(err, abort(create.UploadId))
	}
	first := aws.ToString(create.UploadId)
	listed := false
	for _, u := range list.Uploads {
		listed = listed || *u.UploadId == *create.UploadId
		first = min(first, *u.UploadId)
	}
	if !listed || first != *create.UploadId {
		_ = abort(create.UploadId)
		return false, nil
	}
	for _, u := range list.Uploads {
		if *u.UploadId == *create.UploadId {
			continue
		}
		if err := abort(u.UploadId); err != nil && s3test.Code(err) != "NoSuchUpload" {
			_ = abort(create.UploadId)
			return false, nil
		}
	}
	now, err := r.read(t)
	if err != nil || now != expected {
		_ = abort(create.UploadId)
		return false, nil
	}
	_, err = r.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &r.bucket, Key: &r.key, UploadId: create.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}}})
	if s3test.Code(err) == "NoSuchUpload" {
		return false, nil // S3's code for an aborted upload: nothing was written
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errContended, err)
	}
	return true, nil
}

// enoughIncrements is the number of increments that must get through, however busy the machine is.
const enoughIncrements = 5

// Every increment reported to a writer counts, and no other does: the sum reveals a lost or doubled
// one. The test uses only MinIO, because versitygw 1.8 alone, without a proxy, loses increments in
// every run: its Abort answers 204 beside a Complete that wins.
func TestElasticsearchsRegisterMadeOfUploadsIsLinearizable(t *testing.T) {
	for _, name := range []string{lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := lab.SharedStore(t, name)
			replicas := []lab.S3{at.S3(), at.S3(), at.S3()}
			if !lab.Direct {
				one := lab.Proxy(t, lab.ProxyOptions{Upstream: at})
				replicas = []lab.S3{one.S3()}
				for range 2 {
					replicas = append(replicas, lab.Proxy(t, lab.ProxyOptions{Upstream: at, DataDir: one.DataDir}).S3())
				}
			}
			bucket := s3test.NewBucket(t, replicas[0])
			var acknowledged, open atomic.Int64
			var group sync.WaitGroup
			goOn := s3test.GoOn(3*time.Second, enoughIncrements)
			for i := range 10 {
				r := register{s3test.Once(t, replicas[i%3]), bucket, "register"}
				group.Go(func() {
					for goOn(acknowledged.Load()) {
						start := time.Now()
						value, err := r.read(t)
						if err != nil {
							t.Errorf("read: %v", err)
							return
						}
						wrote, err := r.compareAndExchange(t, value, value+1)
						switch {
						case err != nil:
							open.Add(1)
							t.Logf("not known: %v", err)
						case wrote:
							acknowledged.Add(1)
						}
						// As in the original, writers that meet pause for individual times before
						// they go on.
						time.Sleep(rand.N(300*time.Millisecond + 3*time.Since(start)))
					}
				})
			}
			group.Wait()
			value, err := register{s3test.Once(t, replicas[0]), bucket, "register"}.read(t)
			if least, most := acknowledged.Load(), acknowledged.Load()+open.Load(); err != nil || int64(value) < least || int64(value) > most {
				t.Errorf("the register is %d (%v), but between %d and %d increments were acknowledged", value, err, least, most)
			}
			if acknowledged.Load() < enoughIncrements {
				t.Errorf("only %d increments got through: that shows nothing", acknowledged.Load())
			}
			t.Logf("%d increments, %d of unknown end", acknowledged.Load(), open.Load())
		})
	}
}
