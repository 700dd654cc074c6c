package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func deleteObject(x *exchange) error {
	h := x.passedHeaders()
	const ifSize = "X-Amz-If-Match-Size"
	if n, err := strconv.ParseInt(h.Get(ifSize), 10, 64); err == nil && n >= 0 && n <= envelope.MaxObjectSize { // the store refuses the others
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

// storedSizeOf is the size in the store of an object of n plaintext bytes. An empty object under
// a key that ends in "/" is stored without a byte.
func storedSizeOf(key string, n int64) int64 {
	if object.KindOfPut(key, n) == envelope.KindEmpty {
		return 0
	}
	return envelope.StoredSize(n)
}

// refusedDocument is the answer to a malformed document. Whether an anonymous client may send one
// at all is the store's decision, which is asked first, without the document.
func (x *exchange) refusedDocument(ours *s3err.Error) error {
	if !x.unsigned() {
		return ours
	}
	return x.refusedByStore(x.passedQuery(), ours)
}

// readDeletions checks the names in a client's list. Entries that are refused are answered one by
// one: those of the proxy's own objects, and those that cannot name an object.
func readDeletions(at state.Place, in s3xml.DeleteObjects) (list upstream.Deletions, refused []s3xml.DeleteError, err error) {
	list.Quiet = in.Quiet
	for _, o := range in.Objects {
		if o.Key == "" {
			return list, nil, s3err.MalformedXML
		}
		d := upstream.Deletion{Conditions: o}
		d.Key, err = at.ClientKey(string(o.Key))
		if err == nil && o.VersionID != "" {
			d.Version, err = s3name.ParseVersionID(o.VersionID)
		}
		if err != nil {
			refused = append(refused, refusedName(o, err))
			continue
		}
		list.Objects = append(list.Objects, d)
	}
	return list, refused, nil
}

// refusedName is the answer's entry for a name that was refused.
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
	list, refused, err := readDeletions(x.Place, in)
	if err != nil {
		return err
	}
	result := s3xml.DeleteResult{}
	switch {
	case len(list.Objects) == 0 && len(in.Objects) > 0:
		x.passCommon(nil)
	case x.Passthrough: // sizes and ETags are the store's own; an empty list is for it to judge
		header, err := x.Upstream.DeleteObjects(x.r.Context(), x.bucket, list, x.passedHeaders(), x.unsigned(), &result)
		if err != nil {
			return err
		}
		x.passCommon(header)
	default:
		if err := x.deleteConditional(list, &result); err != nil {
			return err
		}
	}
	result.Xmlns = s3xml.Namespace
	result.Errors = append(result.Errors, refused...)
	return x.answerXML(&result)
}

// readDocument reads and verifies a request's whole body of at most limit bytes.
func (x *exchange) readDocument(limit int64) ([]byte, error) {
	return x.readDocumentOf(limit, x.r.Header)
}

// readDocumentOf reads what is declared about the body from the given headers: in those of a
// Complete, the checksums are the object's.
func (x *exchange) readDocumentOf(limit int64, from http.Header) ([]byte, error) {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return nil, err
	}
	if body.Length > limit {
		return nil, s3err.MaxMessageLengthExceeded
	}
	declared, err := checksum.ReadDeclared(from, body.DeclaredTrailers(), x.auth.Presigned)
	if err != nil {
		return nil, err
	}
	doc, err := io.ReadAll(io.LimitReader(checksum.NewReader(x.deadlineReader(body), body, declared), limit+1))
	if err != nil {
		return nil, uploadError(err)
	}
	if int64(len(doc)) > limit {
		return nil, s3err.MaxMessageLengthExceeded
	}
	return doc, nil
}
