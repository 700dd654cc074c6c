package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// errForeign says that another tool has encrypted an object.
type errForeign struct{ tool string }

func (e errForeign) Error() string {
	return "it was encrypted by " + e.tool + ": read it through that tool and write it through s3proxy"
}

// rcloneMagic begins each file of rclone crypt (https://rclone.org/crypt/#header).
var rcloneMagic = []byte("RCLONE\x00\x00")

// olderS3proxy is the tool whose objects encrypt-existing --legacy reads.
const olderS3proxy = "the older s3proxy (AES-CFB)"

// foreignTool names the tool that has encrypted an object which is none of ours, by its key, its
// headers and its first bytes; "" if none of those is known to have.
func foreignTool(key string, h http.Header, first []byte) string {
	meta := func(names ...string) bool {
		for _, name := range names {
			if h.Get("X-Amz-Meta-"+name) != "" {
				return true
			}
		}
		return false
	}
	switch {
	case meta("S3proxy"):
		return olderS3proxy
	// https://github.com/awslabs/aws-encryption-sdk-specification, s3-encryption/data-format
	case meta("X-Amz-Key", "X-Amz-Key-V2", "X-Amz-C", "X-Amz-Crypto-Instr-File"), strings.HasSuffix(key, ".instruction") && bytes.Contains(first, []byte(`"x-amz-`)):
		return "the Amazon S3 Encryption Client"
	case bytes.HasPrefix(first, rcloneMagic):
		return "rclone crypt"
	case strings.HasSuffix(key, ".s3enc"): // docs/Encryption.md of gaul/s3proxy
		return "gaul's S3Proxy"
	case h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "":
		return "its client's own key at the store (SSE-C)"
	}
	return ""
}

// firstBytes is what foreignTool is shown of an object: an instruction file names its format in the
// first of its fields.
const firstBytes = 256

// refuseForeign gives an errForeign for an object that another tool has encrypted.
func refuseForeign(ctx context.Context, store *upstream.Client, bucket, key string) error {
	b, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	header, first, err := begin(ctx, store, b, k)
	if err != nil {
		return fmt.Errorf("looking for another tool's encryption: %w", err)
	}
	if tool := foreignTool(key, header, first); tool != "" {
		return errForeign{tool}
	}
	return nil
}

// begin reads an object's headers and first bytes.
func begin(ctx context.Context, store *upstream.Client, b s3name.Bucket, k s3name.Key) (http.Header, []byte, error) {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: b, Key: k, Header: http.Header{"Range": {fmt.Sprintf("bytes=0-%d", firstBytes-1)}}})
	if errors.Is(err, s3err.InvalidRange) { // it has no bytes
		resp, err = store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: b, Key: k})
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	first, err := io.ReadAll(io.LimitReader(resp.Body, firstBytes))
	return resp.Header, first, err
}
