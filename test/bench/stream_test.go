package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	region         = "us-east-1"
	signedChunks   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	unsignedChunks = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	amzDate        = "20060102T150405Z"
	emptySHA256    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// stream signs a request and gives it its body: aws-chunked, unless it is sent otherwise.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func (t *target) stream(req *http.Request, c content, off, n int64, how sending) error {
	now := time.Now().UTC()
	if how.whole != "" {
		return t.sendWhole(req, c, off, n, how.whole, now)
	}
	req.Header.Set("Content-Encoding", "aws-chunked")
	req.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(n, 10))
	payload := signedChunks
	if how.trailer != "" {
		payload = unsignedChunks
		req.Header.Set("X-Amz-Trailer", "x-amz-checksum-"+how.trailer)
	}
	if err := t.sign(req, payload, now); err != nil {
		return err
	}
	var pieces pieces
	if how.trailer != "" {
		pieces = unsignedPieces(c, off, n, how.trailer)
	} else {
		_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
		pieces = signedPieces(t.secret, now, signature, c, off, n)
	}
	req.ContentLength = pieces.size()
	req.Body = io.NopCloser(&pieces)
	return nil
}

// pieces are read one after the other.
type pieces [][]byte

func (p pieces) size() (n int64) {
	for _, piece := range p {
		n += int64(len(piece))
	}
	return n
}

func (p *pieces) Read(b []byte) (n int, err error) {
	for n < len(b) && len(*p) > 0 {
		took := copy(b[n:], (*p)[0])
		n += took
		if (*p)[0] = (*p)[0][took:]; len((*p)[0]) == 0 {
			*p = (*p)[1:]
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func signedPieces(secret string, now time.Time, signature string, c content, off, n int64) (p pieces) {
	date := now.Format("20060102")
	scope := date + "/" + region + "/s3/aws4_request"
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	head := "AWS4-HMAC-SHA256-PAYLOAD\n" + now.Format(amzDate) + "\n" + scope + "\n"
	add := func(data []byte, hash string) {
		signature = hex.EncodeToString(mac(key, head+signature+"\n"+emptySHA256+"\n"+hash))
		p = append(p, fmt.Appendf(nil, "%x;chunk-signature=%s\r\n", len(data), signature))
		if len(data) > 0 {
			p = append(p, data)
		}
		p = append(p, []byte("\r\n"))
	}
	eachChunk(c, off, n, func(data []byte, hash string) { add(data, hash) })
	add(nil, emptySHA256)
	return p
}

func unsignedPieces(c content, off, n int64, algorithm string) (p pieces) {
	eachChunk(c, off, n, func(data []byte, _ string) {
		p = append(p, fmt.Appendf(nil, "%x\r\n", len(data)), data, []byte("\r\n"))
	})
	return append(p, []byte("0\r\nx-amz-checksum-"+algorithm+":"+checksumOf(algorithm, c, off, n)+"\r\n\r\n"))
}

// eachChunk goes through content that begins, as all that is sent does, at a multiple of a chunk.
func eachChunk(c content, off, n int64, do func(data []byte, hash string)) {
	for end := off + n; off < end; {
		data := c.at(off)
		data = data[:min(int64(len(data)), chunk, end-off)]
		number := off / c.piece
		var hash string
		if len(data) == chunk {
			hash = chunkHashes()[(number*mib+off%c.piece)/chunk]
		} else {
			sum := sha256.Sum256(data)
			hash = hex.EncodeToString(sum[:])
		}
		do(data, hash)
		off += int64(len(data))
	}
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}
