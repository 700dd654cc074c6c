package proxy

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func deleteObject(x *exchange) error {
	h := x.passedHeaders()
	const ifSize = "X-Amz-If-Match-Size"
	if n, err := strconv.ParseInt(h.Get(ifSize), 10, 64); err == nil && n >= 0 && n <= envelope.MaxObjectSize { // others are for the store to refuse
		h.Set(ifSize, strconv.FormatInt(storedSizeOf(x.key, n), 10))
	}
	resp, err := x.doConditional(x.r.Context(), &upstream.Request{Method: http.MethodDelete, Bucket: x.bucket, Key: x.key, Query: x.passedQuery(), Header: h, Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passHeaders(resp.Header)
	x.w.WriteHeader(resp.StatusCode)
	return nil
}

// storedSizeOf is what the store has of an object of n bytes at a key: a zero-byte one
// under a key that ends in "/" is stored without a byte.
func storedSizeOf(key string, n int64) int64 {
	if kindOfPut(key, n) == envelope.KindEmpty {
		return 0
	}
	return envelope.StoredSize(n)
}

// refusedDocument is the answer to a document that is none. Whether an anonymous
// client may send one at all is for the store to say first: it is asked without it.
func (x *exchange) refusedDocument(ours *s3err.Error) error {
	if !x.unsigned() {
		return ours
	}
	return x.refusedByStore(x.passedQuery(), ours)
}

type deleteRequest struct {
	XMLName xml.Name               `xml:"Delete"`
	Xmlns   string                 `xml:"xmlns,attr,omitempty"`
	Quiet   bool                   `xml:"Quiet,omitempty"`
	Objects bounded[deletedObject] `xml:"Object"`
}

type deletedObject struct {
	Key              xmlText `xml:"Key"`
	VersionID        string  `xml:"VersionId,omitempty"`
	ETag             string  `xml:"ETag,omitempty"`
	LastModifiedTime string  `xml:"LastModifiedTime,omitempty"`
	Size             *int64  `xml:"Size"`
}

type deleteResult struct {
	XMLName xml.Name              `xml:"DeleteResult"`
	Xmlns   string                `xml:"xmlns,attr"`
	Deleted bounded[deletedEntry] `xml:"Deleted"`
	Errors  bounded[deleteError]  `xml:"Error"`
}

type deletedEntry struct {
	Key                   xmlText `xml:"Key"`
	VersionID             string  `xml:"VersionId,omitempty"`
	DeleteMarker          *bool   `xml:"DeleteMarker"`
	DeleteMarkerVersionID string  `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteError struct {
	Key       xmlText `xml:"Key"`
	VersionID string  `xml:"VersionId,omitempty"`
	Code      string  `xml:"Code"`
	Message   string  `xml:"Message"`
}

// locked tells whether a retention or a legal hold was the reason. AWS and
// versitygw say AccessDenied, MinIO InvalidRequest, with these words.
func (e deleteError) locked() bool {
	text := strings.ToLower(e.Message)
	return strings.Contains(text, "object lock") || strings.Contains(text, "worm")
}

// deleteObjects sends the client's list on, without our own objects, and with
// ETags and sizes as the store has them.
func deleteObjects(x *exchange) error {
	body, err := x.readDocument(maxDocument)
	if err != nil {
		return err
	}
	var in deleteRequest
	if err := xml.Unmarshal(body, &in); err != nil {
		return x.refusedDocument(s3err.MalformedXML.Because(err))
	}
	var refused []deleteError
	out := deleteRequest{Xmlns: s3Namespace, Quiet: in.Quiet}
	for _, o := range in.Objects {
		if o.Key == "" {
			return s3err.MalformedXML
		}
		if x.state.owns(string(o.Key)) || leavesBucket(string(o.Key)) {
			refused = append(refused, deleteError{Key: o.Key, VersionID: o.VersionID, Code: s3err.AccessDenied.Code, Message: "Keys that begin with " + x.state.root() + ", or leave their bucket, are refused."})
			continue
		}
		if o.Size != nil {
			stored := storedSizeOf(string(o.Key), *o.Size)
			o.Size = &stored
		}
		out.Objects = append(out.Objects, o)
	}
	result := deleteResult{}
	if len(out.Objects) > 0 || len(in.Objects) == 0 { // an empty list is for the store to judge
		if err := x.deleteConditional(out, &result); err != nil {
			return err
		}
	}
	result.Xmlns = s3Namespace
	result.Errors = append(result.Errors, refused...)
	return x.answerXML(result)
}

// deleteList sends a DeleteObjects; header may be nil.
func (o *objects) deleteList(ctx context.Context, bucket string, list deleteRequest, header http.Header, unsigned bool, result *deleteResult) (http.Header, error) {
	doc, err := xml.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write the list of keys: %w", err)
	}
	h := http.Header{}
	maps.Copy(h, header)
	sum := md5.Sum(doc)
	h.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	h.Set("Content-Type", "application/xml")
	return o.getXML(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: bucket, Query: url.Values{"delete": {""}}, Header: h, Bytes: doc, Unsigned: unsigned,
	}, result)
}

// readDocument reads and verifies a request's whole body of at most limit bytes.
func (x *exchange) readDocument(limit int64) ([]byte, error) {
	return x.readDocumentOf(limit, x.r.Header)
}

// readDocumentOf takes what is promised of the body from other headers: those of a
// Complete have checksums that are the object's.
func (x *exchange) readDocumentOf(limit int64, promises http.Header) ([]byte, error) {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return nil, err
	}
	if body.Length > limit {
		return nil, s3err.MaxMessageLengthExceeded
	}
	promised, err := readPromise(promises, body.PromisedTrailers(), x.auth.Presigned)
	if err != nil {
		return nil, err
	}
	doc, err := io.ReadAll(io.LimitReader(verify(body, body, promised), limit+1))
	if err != nil {
		return nil, uploadError(err)
	}
	if int64(len(doc)) > limit {
		return nil, s3err.MaxMessageLengthExceeded
	}
	return doc, nil
}
