package proxy

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// encryptionName is the name of the own object that holds a bucket's default encryption, as S3's
// document. Nothing in it is secret, and it changes only what answers say.
const encryptionName = "encryption"

// maxEncryption bounds the document; real ones have about 500 bytes.
const maxEncryption = 16 << 10

// encryptionDocument is https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
type encryptionDocument struct {
	XMLName xml.Name       `xml:"ServerSideEncryptionConfiguration"`
	Xmlns   string         `xml:"xmlns,attr"`
	Rule    encryptionRule `xml:"Rule"`
}

type encryptionRule struct {
	Algorithm string        `xml:"ApplyServerSideEncryptionByDefault>SSEAlgorithm"`
	KeyID     string        `xml:"ApplyServerSideEncryptionByDefault>KMSMasterKeyID,omitempty"`
	Blocked   *blockedTypes `xml:"BlockedEncryptionTypes"`
	BucketKey bool          `xml:"BucketKeyEnabled"`
}

// blockedTypes are kept for the client alone: SSE-C is refused whatever they are.
type blockedTypes struct {
	Types []string `xml:"EncryptionType"`
}

var encryptionShape = s3xml.Shape{"Rule": {Shape: s3xml.Shape{
	"ApplyServerSideEncryptionByDefault": {Shape: s3xml.Shape{"SSEAlgorithm": {}, "KMSMasterKeyID": {}}},
	"BlockedEncryptionTypes":             {Shape: s3xml.Shape{"EncryptionType": {Many: true}}},
	"BucketKeyEnabled":                   {},
}}}

// noEncryptionSet is S3's default, for buckets without a setting.
var noEncryptionSet = encryptionRule{Algorithm: sseS3}

// parseEncryption reads a document as S3 does, and refuses what S3's reference does not list.
func parseEncryption(body []byte) (r encryptionRule, err error) {
	var root s3xml.Element
	if err := s3xml.Unmarshal(body, &root); err != nil {
		return r, s3err.MalformedXML.Because(err)
	}
	if root.XMLName.Local != "ServerSideEncryptionConfiguration" || len(root.Children) == 0 {
		return r, s3err.MalformedXML
	}
	if err := root.Check(encryptionShape); err != nil {
		return r, s3err.MalformedXML.Because(err)
	}
	rule := root.Child("Rule")
	byDefault := rule.Child("ApplyServerSideEncryptionByDefault")
	r.Algorithm, r.KeyID = byDefault.Child("SSEAlgorithm").Content(), byDefault.Child("KMSMasterKeyID").Content()
	if byDefault == nil {
		r.Algorithm = sseS3
	}
	if !slices.Contains(sseAlgorithms, r.Algorithm) {
		return r, s3err.MalformedXML
	}
	if r.KeyID != "" && r.Algorithm == sseS3 {
		return r, s3err.InvalidArgument.WithMessage("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse").
			With(s3err.Field{Name: "ArgumentName", Value: "ApplyServerSideEncryptionByDefault"})
	}
	if len(r.KeyID) > maxKeyID || !validHeader(object.SSEKeyHeader, r.KeyID) {
		return r, s3err.InvalidArgument.WithMessage("KMSMasterKeyID is not a valid key id").With(s3err.Field{Name: "ArgumentName", Value: "KMSMasterKeyID"})
	}
	switch v := rule.Child("BucketKeyEnabled").Content(); v {
	case "true":
		r.BucketKey = true
	case "false", "":
	default:
		return r, s3err.MalformedXML
	}
	if blocked := rule.Child("BlockedEncryptionTypes"); blocked != nil {
		r.Blocked = &blockedTypes{}
		for _, e := range blocked.Children {
			if e.Text != "NONE" && e.Text != "SSE-C" {
				return r, s3err.MalformedXML
			}
			r.Blocked.Types = append(r.Blocked.Types, e.Text)
		}
	}
	return r, nil
}

// label is what answers say about objects that asked for no encryption. S3 does not mention a
// bucket key with SSE-S3.
func (r encryptionRule) label() encryption {
	return encryption{algorithm: r.Algorithm, keyID: r.KeyID, bucketKey: r.BucketKey && r.Algorithm != sseS3}
}

// encryptionRequest begins a request for the setting of a bucket.
func encryptionRequest(at state.Store, method string, bucket s3name.Bucket) (*upstream.Request, error) {
	stateBucket, prefix := at.Place.Of(bucket)
	key, err := at.Place.OwnKey(prefix + encryptionName)
	return &upstream.Request{Method: method, Bucket: stateBucket, Key: key}, err
}

// encryptionOf gives the setting of a bucket. A setting that no client could have made, because
// the store changed it, is ignored.
func encryptionOf(ctx context.Context, at state.Store, bucket s3name.Bucket) (encryptionRule, error) {
	body, err := encryptionBody(ctx, at, bucket)
	if err != nil {
		return noEncryptionSet, err
	}
	r, err := parseEncryption(body)
	if err != nil {
		return noEncryptionSet, nil
	}
	return r, nil
}

// encryptionBody reads the document; nil if there is none.
func encryptionBody(ctx context.Context, at state.Store, bucket s3name.Bucket) ([]byte, error) {
	req, err := encryptionRequest(at, http.MethodGet, bucket)
	if err != nil {
		return nil, err
	}
	resp, err := at.Client.Do(ctx, req)
	if upstream.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get the bucket's encryption setting: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEncryption))
	if err != nil {
		return nil, fmt.Errorf("read the bucket's encryption setting: %w", err)
	}
	return body, nil
}

func putEncryption(ctx context.Context, at state.Store, bucket s3name.Bucket, document []byte) error {
	stateBucket, prefix := at.Place.Of(bucket)
	err := at.Put(ctx, stateBucket, prefix+encryptionName, &upstream.Request{Header: http.Header{"Content-Type": {"application/xml"}}, Bytes: document})
	if err != nil {
		return fmt.Errorf("put the bucket's encryption setting: %w", err)
	}
	return nil
}

func deleteEncryption(ctx context.Context, at state.Store, bucket s3name.Bucket) error {
	req, err := encryptionRequest(at, http.MethodDelete, bucket)
	if err != nil {
		return err
	}
	resp, err := at.Client.Do(ctx, req)
	if upstream.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the bucket's encryption setting: %w", err)
	}
	return resp.Body.Close()
}

func getBucketEncryption(x *exchange) error {
	if !x.ownsEncryption() {
		return forward(x)
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	r, err := encryptionOf(x.r.Context(), x.State(), x.bucket)
	if err != nil {
		return err
	}
	x.passCommon(nil)
	return x.answerXML(encryptionDocument{Xmlns: s3xml.Namespace, Rule: r})
}

func putBucketEncryption(x *exchange) error {
	if !x.ownsEncryption() {
		return forward(x)
	}
	body, err := x.readDocument(maxEncryption)
	if err != nil {
		return err
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	r, err := parseEncryption(body)
	if err != nil {
		return err
	}
	if body, err = xml.Marshal(encryptionDocument{Xmlns: s3xml.Namespace, Rule: r}); err != nil {
		return err
	}
	if err := putEncryption(x.r.Context(), x.State(), x.bucket, body); err != nil {
		return err
	}
	x.proxy.defaults.set(x.bucket, r.label())
	return x.answerNothing(http.StatusOK)
}

func deleteBucketEncryption(x *exchange) error {
	if !x.ownsEncryption() {
		return forward(x)
	}
	if err := x.askForBucket(); err != nil {
		return err
	}
	if err := deleteEncryption(x.r.Context(), x.State(), x.bucket); err != nil {
		return err
	}
	x.proxy.defaults.set(x.bucket, noEncryptionSet.label())
	return x.answerNothing(http.StatusNoContent)
}

func (x *response) answerNothing(status int) error {
	x.passCommon(nil)
	if status == http.StatusOK {
		x.w.Header().Set("Content-Length", "0")
	}
	x.w.WriteHeader(status)
	return nil
}

// askForBucket asks the store whether the bucket exists and who owns it, because what follows is
// done with the proxy's own credentials; anonymous clients are refused. It does not use HEAD,
// whose refusals have no text. If the proxy's credentials may not ask, the request goes on,
// unless the client named the owner that it expects.
func (x *exchange) askForBucket() error {
	if x.unsigned() {
		return s3err.AccessDenied
	}
	resp, err := x.Upstream.Do(x.r.Context(), &upstream.Request{Method: http.MethodGet, Bucket: x.bucket, Query: url.Values{"location": {""}}, Header: x.passedHeaders()})
	if errors.Is(err, s3err.AccessDenied) && x.r.Header.Get("X-Amz-Expected-Bucket-Owner") == "" {
		return nil
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// How long a bucket's setting is cached, and how long an answer waits for it at most. Without it
// the answer goes out all the same: it is only a label.
const (
	defaultsAge     = time.Minute
	defaultsWait    = 2 * time.Second
	defaultsBuckets = 10_000
)

// newBucketDefaults caches the default encryption of buckets. S3's default stands in for what
// cannot be read.
func newBucketDefaults() *perBucket[encryption] {
	return newPerBucket(defaultsBuckets, defaultsAge, defaultsWait, func(ctx context.Context, o *object.Objects, bucket s3name.Bucket) (encryption, error) {
		r, _ := encryptionOf(ctx, o.State(), bucket)
		return r.label(), nil
	}, func(error) bool { return false })
}
