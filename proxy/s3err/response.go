package s3err

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// maxBody bounds what is read of a store's error answer, in bytes.
const maxBody = 1 << 20

// FromResponse makes the Error of a store's answer that is no success. It reads
// at most 1 MiB of the body and does not close it. The status is the answer's;
// code, message and further elements are those of its XML. Without such a body
// (HEAD, a gateway's HTML) the code is the one that S3 gives that status, and
// the cause says what was there instead.
func FromResponse(resp *http.Response) *Error {
	e := &Error{Status: resp.StatusCode}
	err := e.decode(io.LimitReader(resp.Body, maxBody))
	if err == nil && e.Code != "" {
		if e.Message == "" {
			e.Message = ofStatus(e.Status).Message
		}
	} else {
		known := ofStatus(e.Status)
		e.Code, e.Message, e.Fields = known.Code, known.Message, nil
		if err != nil && !errors.Is(err, io.EOF) {
			e.cause = fmt.Errorf("the store answered %d without S3's error document: %w", resp.StatusCode, err)
		}
	}
	if v := resp.Header.Get("Retry-After"); v != "" {
		e.Header = http.Header{"Retry-After": {v}}
	}
	return e
}

// InDocument gives the Error that is the body of an answer with status 200, as S3
// may send when a long operation fails in the end; nil if the body is no error.
// Its status is the one that the code has elsewhere, 500 where that is not known.
func InDocument(body []byte) *Error {
	e := &Error{Status: http.StatusInternalServerError}
	if err := e.decode(bytes.NewReader(body)); err != nil || e.Code == "" {
		return nil
	}
	for _, known := range []*Error{
		PreconditionFailed, ConditionalRequestConflict, OperationAborted, NoSuchUpload, NoSuchKey, NoSuchBucket,
		InvalidPart, InvalidPartOrder, EntityTooSmall, InvalidRequest, AccessDenied, SlowDown, ServiceUnavailable,
	} {
		if known.Code == e.Code {
			e.Status = known.Status
		}
	}
	e.Fields = nil // of the store's own request
	return e
}

// decode reads the children of <Error>; what is below them is passed over.
func (e *Error) decode(r io.Reader) error {
	d := s3xml.NewDecoder(r)
	root, err := nextStart(d)
	if err != nil {
		return err
	}
	if root.Name.Local != "Error" {
		return fmt.Errorf("root element <%s>", root.Name.Local)
	}
	for {
		child, err := nextStart(d)
		if err != nil {
			return err
		}
		if child == nil {
			return nil
		}
		var raw string
		if err := d.DecodeElement(&raw, child); err != nil {
			return err
		}
		switch text := strings.TrimSpace(raw); child.Name.Local {
		case "Code":
			e.Code = text
		case "Message":
			e.Message = raw // as the store wrote it
		default:
			e.Fields = append(e.Fields, Field{child.Name.Local, text})
		}
	}
}

// nextStart gives the next start element, or nil at the end of the parent.
func nextStart(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		}
	}
}

// ofStatus is the error that S3 means by a status without a body, as it sends
// it in answer to HEAD. A 404 may be a missing key or a missing bucket; the
// caller who knows which it asked for says so.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func ofStatus(status int) *Error {
	switch status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return PermanentRedirect
	case http.StatusNotModified:
		return NotModified
	case http.StatusBadRequest:
		return BadRequest
	case http.StatusUnauthorized, http.StatusForbidden:
		return AccessDenied
	case http.StatusNotFound:
		return NoSuchKey
	case http.StatusMethodNotAllowed:
		return MethodNotAllowed
	case http.StatusConflict:
		return OperationAborted
	case http.StatusLengthRequired:
		return MissingContentLength
	case http.StatusPreconditionFailed:
		return PreconditionFailed
	case http.StatusRequestEntityTooLarge:
		return EntityTooLarge
	case http.StatusRequestedRangeNotSatisfiable:
		return InvalidRange
	case http.StatusTooManyRequests:
		return SlowDown
	case http.StatusNotImplemented:
		return NotImplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ServiceUnavailable
	}
	if status >= 400 && status < 500 {
		return InvalidRequest
	}
	return InternalError
}
