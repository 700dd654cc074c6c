package proxy

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// sseHeaders are those of SSE-S3 and SSE-KMS. The headers of SSE-C begin with SSEHeader, too.
var sseHeaders = []string{object.SSEHeader, object.SSEKeyHeader, object.SSEContextHeader, object.SSEBucketHeader}

// What S3 calls its algorithms.
const (
	sseS3   = "AES256"
	sseKMS  = "aws:kms"
	sseDSSE = "aws:kms:dsse"
)

var sseAlgorithms = []string{sseS3, sseKMS, sseDSSE}

// maxKeyID is the longest name of a key that KMS takes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
const maxKeyID = 2048

// encryption is what S3 calls server-side encryption: an object's, or a bucket's default. To the
// proxy it is a label, because all objects are encrypted alike.
type encryption struct {
	algorithm string
	keyID     string // of SSE-KMS, as it was named; "" for the account's own
	context   string // as it came
	bucketKey bool
}

// usesKMS tells whether the algorithm has a key with a name.
func (e encryption) usesKMS() bool { return strings.HasPrefix(e.algorithm, sseKMS) }

// ownsEncryption tells whether server-side encryption is the proxy's own layer here.
func (x *exchange) ownsEncryption() bool { return !x.Passthrough && x.SSE != object.SSEStore }

// adoptEncryption reads the encryption that the client asks for. If it asks for none, and the
// answer shows one, the bucket's default is looked up meanwhile.
func (x *exchange) adoptEncryption() error {
	if !x.ownsEncryption() {
		return nil
	}
	if x.op.passesHeader(object.SSEHeader) {
		var err error
		if x.wanted, err = readEncryption(x.r.Header); err != nil {
			return err
		}
	}
	if x.wanted == nil && x.op.tellsEncryption && !x.unsigned() {
		x.bucketDefault = x.proxy.defaults.begin(x.Objects, x.bucket)
	}
	return nil
}

// readEncryption reads the headers of a request with S3's rules and texts; nil if it asks
// for nothing. The key that it names need not exist, because it is not used.
func readEncryption(h http.Header) (*encryption, error) {
	e := &encryption{algorithm: h.Get(object.SSEHeader), keyID: h.Get(object.SSEKeyHeader), context: h.Get(object.SSEContextHeader), bucketKey: strings.EqualFold(h.Get(object.SSEBucketHeader), "true")}
	if len(h.Values(object.SSEHeader)) > 0 && !slices.Contains(sseAlgorithms, e.algorithm) {
		return nil, s3err.InvalidArgument.WithMessage("The encryption method specified is not supported").Argument(strings.ToLower(object.SSEHeader), e.algorithm)
	}
	if (e.keyID != "" || e.context != "") && !e.usesKMS() {
		return nil, s3err.InvalidArgument.WithMessage("Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms").Argument(strings.ToLower(object.SSEHeader), e.algorithm)
	}
	if len(e.keyID) > maxKeyID {
		return nil, s3err.InvalidArgument.WithMessage("The name of a KMS key has at most %d bytes.", maxKeyID).Argument(strings.ToLower(object.SSEKeyHeader), e.keyID[:100])
	}
	if v := h.Get(object.SSEBucketHeader); v != "" && !e.bucketKey && !strings.EqualFold(v, "false") {
		return nil, s3err.InvalidArgument.WithMessage("The header '%s' is neither true nor false.", strings.ToLower(object.SSEBucketHeader)).Argument(strings.ToLower(object.SSEBucketHeader), v)
	}
	if e.context != "" && !isContext(e.context) {
		return nil, s3err.InvalidArgument.WithMessage("The header '%s' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map", strings.ToLower(object.SSEContextHeader)).
			Argument(strings.ToLower(object.SSEContextHeader), "")
	}
	if e.algorithm == "" {
		return nil, nil
	}
	return e, nil
}

func isContext(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	var pairs map[string]string
	return err == nil && json.Unmarshal(raw, &pairs) == nil
}

// tellEncryption adds S3's headers about the object's encryption to an answer; store has those of
// the store's answer. If the ETag is not an MD5, the answer says SSE-KMS, as S3's does then:
// otherwise SDKs compare the ETag with an MD5 of their own.
func (x *exchange) tellEncryption(h http.Header, isMD5 bool, store http.Header) {
	if !x.ownsEncryption() {
		tellStores(h, isMD5, store)
		return
	}
	e := encryption{algorithm: sseS3}
	switch {
	case x.wanted != nil:
		e = *x.wanted
	case x.bucketDefault != nil:
		if known, err := x.bucketDefault(); err == nil {
			e = known
		}
	}
	if !isMD5 && !e.usesKMS() {
		e = encryption{algorithm: sseKMS}
	}
	h.Set(object.SSEHeader, e.algorithm)
	if !e.usesKMS() {
		return
	}
	for name, v := range map[string]string{object.SSEKeyHeader: e.keyID, object.SSEContextHeader: e.context} {
		if v != "" {
			h.Set(name, v)
		}
	}
	if e.bucketKey {
		h.Set(object.SSEBucketHeader, "true")
	}
}

// setETag gives an object's answer its ETag, and says how the object is encrypted; store has
// the headers of the store's answer.
func (x *exchange) setETag(h http.Header, tag object.ETag, store http.Header) {
	if tag.Shown != "" {
		h["ETag"] = []string{tag.Shown}
		x.tellEncryption(h, tag.Plain, store)
	}
}

// tellStores passes on what the store says about its own encryption, where that is the only layer
// or a second one.
func tellStores(h http.Header, isMD5 bool, store http.Header) {
	if !isMD5 && !strings.HasPrefix(store.Get(object.SSEHeader), sseKMS) {
		h.Set(object.SSEHeader, sseKMS)
		return
	}
	for _, name := range object.ShownSSEHeaders() {
		if v := store.Get(name); v != "" {
			h.Set(name, v)
		}
	}
}
