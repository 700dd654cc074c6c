package proxy

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// maxForwarded bounds a document that is forwarded. S3's largest, a lifecycle configuration of
// 1000 rules, is smaller.
const maxForwarded = 4 << 20

// forward sends a request to the store as far as its row allows, with the client's document, and
// passes the store's answer back unchanged.
func forward(x *exchange) error {
	body, err := x.readDocument(maxForwarded)
	if err != nil {
		return err
	}
	return x.forwardDocument(body)
}

func (x *exchange) forwardDocument(body []byte) error {
	req := x.request()
	h := req.Header
	if len(body) > 0 || x.r.Header.Get("Content-Md5") != "" || x.declaresChecksum() {
		sum := md5.Sum(body)
		h.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	if len(body) > 0 {
		if v := x.r.Header.Get("Content-Type"); v != "" {
			h.Set("Content-Type", v)
		}
		req.Bytes = body
	}
	resp, err := x.Upstream.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.passCommon(resp.Header)
	h = x.w.Header()
	for _, name := range []string{
		"Content-Type", "Content-Length", "X-Amz-Version-Id", "X-Amz-Request-Charged", "X-Amz-Restore-Output-Path", "X-Amz-Transition-Default-Minimum-Object-Size",
	} {
		if v := resp.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	x.w.WriteHeader(resp.StatusCode)
	_, err = io.Copy(x.w, resp.Body)
	return err
}

// declaresChecksum tells whether the client declared a checksum of the body, which S3 requires
// for some documents.
func (x *clientRequest) declaresChecksum() bool {
	for name := range x.r.Header {
		if checksum.Named(strings.TrimPrefix(name, checksum.HeaderPrefix)) != envelope.NoChecksum && strings.HasPrefix(name, checksum.HeaderPrefix) {
			return true
		}
	}
	return x.r.Header.Get("X-Amz-Trailer") != ""
}

// restoreObject is forwarded, except for its SELECT form: the store could only select from
// ciphertext.
func restoreObject(x *exchange) error {
	body, err := x.readDocument(maxForwarded)
	if err != nil {
		return err
	}
	var request struct {
		Type   string    `xml:"Type"`
		Select *struct{} `xml:"SelectParameters"`
		Output *struct{} `xml:"OutputLocation"`
	}
	if len(body) > 0 {
		if err := s3xml.Unmarshal(body, &request); err != nil {
			return s3err.MalformedXML.Because(err)
		}
	}
	if request.Type != "" || request.Select != nil || request.Output != nil {
		return s3err.NotImplemented
	}
	return x.forwardDocument(body)
}
