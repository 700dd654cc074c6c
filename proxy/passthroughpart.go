package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// copyPassthroughPart is UploadPartCopy into a bucket that is not encrypted. The store copies if it
// has the source as plaintext, too; otherwise the source is opened here and sent as a part.
func (x *exchange) copyPassthroughPart(ctx context.Context) error {
	src, err := x.openSource(ctx)
	if err != nil {
		return err
	}
	offset, length, err := copyRange(x.r.Header.Get("X-Amz-Copy-Source-Range"), src.Size)
	if err != nil {
		return err
	}
	req := x.request()
	out := s3xml.CopyPartResult{}
	var header http.Header
	if src.Meta == nil && src.Legacy == nil && src.Upstream == x.Upstream {
		req.Header.Set("X-Amz-Copy-Source-If-Match", src.UpstreamETag)
		if v := x.r.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
			req.Header.Set("X-Amz-Copy-Source-Range", v)
		}
		header, err = src.Copy(ctx, x.Upstream, req, &out)
	} else {
		header, err = x.sendPassthroughPart(ctx, req, src, offset, length, &out)
	}
	if err != nil {
		return err
	}
	out.Xmlns = s3xml.Namespace
	x.passCommon(header)
	src.tellVersion(x.w.Header())
	return x.answerXML(out)
}

// sendPassthroughPart sends a range of the source as a part, with the checksum that the upload
// wants of its parts.
func (x *exchange) sendPassthroughPart(ctx context.Context, req *upstream.Request, src *copySource, offset, length int64, out *s3xml.CopyPartResult) (http.Header, error) {
	algorithm, err := x.partChecksum(ctx)
	if err != nil {
		return nil, err
	}
	p := &checksum.Declared{Algorithm: algorithm}
	if algorithm == envelope.NoChecksum {
		p.Algorithm = envelope.CRC64NVME
	}
	body, err := src.Read(ctx, src.Stored, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	plain := checksum.NewReader(body, nil, p)
	if length == 0 {
		if _, err := io.Copy(io.Discard, plain); err != nil {
			return nil, err
		}
	} else {
		req.Body, req.Length = plain, length
		if algorithm != envelope.NoChecksum {
			req.Checksum = &upstream.Checksum{Header: checksum.Header(algorithm), Hash: checksum.New(algorithm)}
		}
	}
	resp, err := x.Upstream.Do(ctx, req)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err := copyFailure(plain, err); err != nil {
		return nil, err
	}
	out.LastModified, out.ETag = time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), resp.Header.Get("Etag")
	if algorithm != envelope.NoChecksum {
		checksum.SetElement(&out.Checksums, plain.Facts().Checksum, 0)
	}
	return resp.Header, nil
}

// partChecksum asks the store which checksum an upload wants of its parts.
func (x *exchange) partChecksum(ctx context.Context) (envelope.Algorithm, error) {
	var list struct {
		Algorithm string `xml:"ChecksumAlgorithm"`
	}
	q := url.Values{"max-parts": {"1"}}
	if _, err := x.Upstream.GetXML(ctx, &upstream.Request{Bucket: x.bucket, Key: x.key, UploadID: x.uploadID, Query: q, Unsigned: x.unsigned()}, &list); err != nil {
		return envelope.NoChecksum, err
	}
	a := checksum.Named(list.Algorithm)
	if a == envelope.NoChecksum && list.Algorithm != "" && !strings.EqualFold(list.Algorithm, "null") {
		return a, fmt.Errorf("the upload wants a checksum that is not known: %q", list.Algorithm)
	}
	return a, nil
}
