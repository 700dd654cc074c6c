package s3test

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Racer is an object that one client keeps overwriting while others read it.
type Racer struct {
	Key            string
	Updates        bool // every other write updates only the metadata
	Parts          bool // the other writes are multipart uploads
	started, acked atomic.Int64
	seen           atomic.Int64 // the newest write that a read has returned
}

// Write writes the next number as body and metadata, or as metadata only.
func (c *Racer) Write(t *testing.T, client *s3.Client, bucket string) error {
	n := c.started.Add(1)
	meta := map[string]string{"n": strconv.FormatInt(n, 10)}
	body := []byte(strings.Repeat(strconv.FormatInt(n, 10)+" ", 100))
	var err error
	switch {
	case c.Updates && n%2 == 0:
		_, err = client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &c.Key, CopySource: aws.String(bucket + "/" + c.Key), MetadataDirective: types.MetadataDirectiveReplace, Metadata: meta})
	case c.Parts:
		err = PutParts(t.Context(), client, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &c.Key, Metadata: meta}, [][]byte{body})
	default:
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &c.Key, Metadata: meta, Body: bytes.NewReader(body)})
	}
	if err != nil {
		return fmt.Errorf("write %d of %s: %w", n, c.Key, err)
	}
	c.acked.Store(n)
	return nil
}

// Read checks the guarantees of a register with one writer and any number of readers. It must
// return nothing older than what was acknowledged or read before, nothing that was not yet begun,
// and body and metadata of the same write (an update of the metadata keeps the body of the write
// before it).
func (c *Racer) Read(t *testing.T, client *s3.Client, bucket string) error {
	least := max(c.acked.Load(), c.seen.Load())
	if least == 0 {
		time.Sleep(time.Millisecond)
		return nil
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &c.Key})
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Key, err)
	}
	most := c.started.Load()
	n, err := strconv.ParseInt(out.Metadata["n"], 10, 64)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%s is %v, not of %d to %d", c.Key, out.Metadata, least, most)
	}
	want := n
	if c.Updates && n%2 == 0 {
		want--
	}
	if first, _, _ := strings.Cut(string(body), " "); first != strconv.FormatInt(want, 10) {
		return fmt.Errorf("%s: body %s under metadata %d", c.Key, first, n)
	}
	for seen := c.seen.Load(); n > seen && !c.seen.CompareAndSwap(seen, n); seen = c.seen.Load() {
	}
	return nil
}
