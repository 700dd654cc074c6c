package bench

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"sync"
	"time"
)

// sending is how a client sends a body: in signed chunks, unless it says otherwise.
type sending struct {
	trailer string   // unsigned chunks, with a checksum by this algorithm behind them
	whole   string   // no chunks: hashed, or unsigned
	headers []string // further ones of the request
}

// The values of whole: the body's SHA-256 is signed, or nothing of it.
const (
	hashed   = "hashed"
	unsigned = "unsigned"
)

// crc64NVME is of the polynomial in the NVM Express command set specification, reversed.
var crc64NVME = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x9a6c9329ac4bc9b5) })

func newChecksum(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64NVME())
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	panic("no checksum " + algorithm)
}

// checksums are kept: they cost the client nothing in a sample.
var checksums sync.Map

// checksumOf is the value of S3's header.
func checksumOf(algorithm string, c content, off, n int64) string {
	name := fmt.Sprint(algorithm, c, off, n)
	if known, ok := checksums.Load(name); ok {
		return known.(string)
	}
	h := newChecksum(algorithm)
	eachChunk(c, off, n, func(data []byte, _ string) { h.Write(data) })
	value := base64.StdEncoding.EncodeToString(h.Sum(nil))
	checksums.Store(name, value)
	return value
}

func (t *target) sendWhole(req *http.Request, c content, off, n int64, how string, now time.Time) error {
	payload := unsignedPayload
	if how == hashed {
		sum, err := base64.StdEncoding.DecodeString(checksumOf("sha256", c, off, n))
		if err != nil {
			return err
		}
		payload = hex.EncodeToString(sum)
	}
	if err := t.sign(req, payload, now); err != nil {
		return err
	}
	var p pieces
	eachChunk(c, off, n, func(data []byte, _ string) { p = append(p, data) })
	req.ContentLength, req.Body = n, io.NopCloser(&p)
	return nil
}
