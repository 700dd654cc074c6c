package upstream

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// GetXML asks the store for a document, and gives the headers of its answer.
func (c *Client) GetXML(ctx context.Context, req *Request, doc any) (http.Header, error) {
	if req.Method == "" {
		req.Method = http.MethodGet
	}
	resp, err := c.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if long, ok := doc.(s3xml.LongDocument); ok {
		long.Asked(req.Query)
		err = s3xml.DecodeLong(resp.Body, long)
	} else {
		err = s3xml.Decode(resp.Body, doc)
	}
	if err != nil {
		return nil, fmt.Errorf("the store's document: %w", err)
	}
	return resp.Header, nil
}

// AskBucket asks for a bucket's location, to learn why the store refuses the bucket: the answer to a
// HEAD has no error document.
func (c *Client) AskBucket(ctx context.Context, bucket s3name.Bucket, unsigned bool) error {
	resp, err := c.Do(ctx, &Request{Method: http.MethodGet, Bucket: bucket, Query: url.Values{"location": {""}}, Unsigned: unsigned})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Result asks the store for something that it may answer with 200 before it knows the
// outcome: CopyObject, UploadPartCopy and CompleteMultipartUpload. An error in the document
// is given as one.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
func (c *Client) Result(ctx context.Context, req *Request, doc any) (http.Header, error) {
	resp, err := c.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, s3xml.MaxBytes))
	if err != nil {
		return nil, s3err.ServiceUnavailable.Because(err)
	}
	if refused := s3err.InDocument(answer); refused != nil {
		return nil, refused
	}
	if err := s3xml.Unmarshal(answer, doc); err != nil {
		return nil, s3err.ServiceUnavailable.Because(fmt.Errorf("the store's answer: %w", err))
	}
	return resp.Header, nil
}

// ContentMD5 is the value of the Content-MD5 header (RFC 1864), which S3 demands of a PUT
// into a bucket with Object Lock.
func ContentMD5(body []byte) string {
	sum := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Status gives the status of a refusal by the store.
func Status(err error) (status int, refused bool) {
	var s3 *s3err.Error
	if errors.As(err, &s3) {
		return s3.Status, true
	}
	return 0, false
}

// IsNotFound tells whether the store refused with 404.
func IsNotFound(err error) bool {
	status, refused := Status(err)
	return refused && status == http.StatusNotFound
}

// Wait waits, or gives the context's error.
func Wait(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// AnsweredVersion is the version id in a store's answer, which may be none.
func AnsweredVersion(h http.Header) (s3name.VersionID, error) {
	text := h.Get("X-Amz-Version-Id")
	if text == "" {
		return s3name.VersionID{}, nil
	}
	v, err := s3name.ParseVersionID(text)
	if err != nil {
		return v, BadName(err)
	}
	return v, nil
}

// BadName is the error for an invalid name in a store's answer. That is the store's fault and not a
// client's: the class of err is not kept.
func BadName(err error) error { return fmt.Errorf("%w: it holds %v", ErrStored, err) }

// ErrStored says that a stored object cannot be what the proxy wrote.
var ErrStored = errors.New("the stored object is not what was written")

// WholeSize is the stored size of the whole object, though the answer may be about a range of it;
// -1 if the store gave none.
func WholeSize(resp *http.Response) (int64, error) {
	if resp.StatusCode != http.StatusPartialContent {
		return resp.ContentLength, nil
	}
	_, total, ok := strings.Cut(resp.Header.Get("Content-Range"), "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%w: the store's Content-Range has no total size", ErrStored)
	}
	return n, nil
}

// Acknowledged tells whether a success says that the store has the object: S3 names its ETag then.
// Without one the error is s3err.ServiceUnavailable: something else answered in the store's place.
func Acknowledged(h http.Header) error {
	if h.Get("Etag") == "" {
		return s3err.ServiceUnavailable.Because(fmt.Errorf("a write was answered with success, but without an ETag: %w of the store", ErrNoAnswer))
	}
	return nil
}
