package proxy

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func deleteObject(x *exchange) error {
	h := x.passedHeaders()
	const ifSize = "X-Amz-If-Match-Size"
	if n, err := strconv.ParseInt(h.Get(ifSize), 10, 64); err == nil && n >= 0 && n <= envelope.MaxObjectSize { // others are for the store to refuse
		h.Set(ifSize, strconv.FormatInt(storedSizeOf(x.key.String(), n), 10))
	}
	req := x.request()
	req.Header = h
	resp, err := x.doConditional(x.r.Context(), req)
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

// speaksOfLock tells by a store's words whether a retention or a legal hold is why it
// refuses. AWS and versitygw say AccessDenied, MinIO InvalidRequest, with these words.
func speaksOfLock(message string) bool {
	text := strings.ToLower(message)
	return strings.Contains(text, "object lock") || strings.Contains(text, "worm")
}

// deletion is one object of a list, with its key and version checked.
type deletion struct {
	key     s3name.Key
	version s3name.VersionID
	asked   s3xml.ObjectToDelete // conditions as the client gave them
}

// deletions are a list for the store.
type deletions struct {
	quiet   bool
	objects []deletion
}

// readDeletions checks the names of a client's list. What is refused, because it names
// what is not the client's or no object at all, is answered entry by entry.
func (s StatePlace) readDeletions(in s3xml.DeleteObjects) (list deletions, refused []s3xml.DeleteError, err error) {
	list.quiet = in.Quiet
	for _, o := range in.Objects {
		if o.Key == "" {
			return list, nil, s3err.MalformedXML
		}
		d := deletion{asked: o}
		d.key, err = s.clientKey(string(o.Key))
		if err == nil && o.VersionID != "" {
			d.version, err = s3name.ParseVersionID(o.VersionID)
		}
		if err != nil {
			refused = append(refused, refusedName(o, err))
			continue
		}
		list.objects = append(list.objects, d)
	}
	return list, refused, nil
}

// refusedName is the entry of the answer for a name that is none, or not the client's.
func refusedName(o s3xml.ObjectToDelete, err error) s3xml.DeleteError {
	e := s3xml.DeleteError{Key: o.Key, VersionID: o.VersionID, Code: s3err.AccessDenied.Code, Message: "The key leads out of its bucket, or into what belongs to the store or to s3proxy."}
	if errors.Is(err, s3name.ErrVersionID) {
		e.Code, e.Message = s3err.InvalidArgument.Code, "Invalid version id specified"
	}
	return e
}

// deleteObjects sends the client's list on, without our own objects, and with
// ETags and sizes as the store has them.
func deleteObjects(x *exchange) error {
	body, err := x.readDocument(s3xml.MaxBytes)
	if err != nil {
		return err
	}
	var in s3xml.DeleteObjects
	if err := s3xml.Unmarshal(body, &in); err != nil {
		return x.refusedDocument(s3err.MalformedXML.Because(err))
	}
	list, refused, err := x.state.readDeletions(in)
	if err != nil {
		return err
	}
	result := s3xml.DeleteResult{}
	switch {
	case len(list.objects) == 0 && len(in.Objects) > 0:
		x.passRequestID(nil)
	case x.Plain: // sizes and ETags are the store's own; an empty list is for it to judge
		header, err := x.deleteList(x.r.Context(), x.bucket, list, x.passedHeaders(), x.unsigned(), &result)
		if err != nil {
			return err
		}
		x.passRequestID(header)
	default:
		if err := x.deleteConditional(list, &result); err != nil {
			return err
		}
	}
	result.Xmlns = s3xml.Namespace
	result.Errors = append(result.Errors, refused...)
	return x.answerXML(result)
}

// deleteList sends a DeleteObjects; header may be nil.
func (o *objects) deleteList(ctx context.Context, bucket s3name.Bucket, list deletions, header http.Header, unsigned bool, result *s3xml.DeleteResult) (http.Header, error) {
	out := s3xml.DeleteObjects{Xmlns: s3xml.Namespace, Quiet: list.quiet}
	for _, d := range list.objects {
		entry := d.asked
		entry.Key, entry.VersionID = s3xml.Text(d.key.String()), d.version.String()
		out.Objects = append(out.Objects, entry)
	}
	doc, err := xml.Marshal(out)
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
	promised, err := checksum.ReadDeclared(promises, body.PromisedTrailers(), x.auth.Presigned)
	if err != nil {
		return nil, err
	}
	doc, err := io.ReadAll(io.LimitReader(checksum.NewReader(x.hurriedReader(body), body, promised), limit+1))
	if err != nil {
		return nil, uploadError(err)
	}
	if int64(len(doc)) > limit {
		return nil, s3err.MaxMessageLengthExceeded
	}
	return doc, nil
}
