package proxy

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// postObject is a browser's upload: a form whose fields take the place of a PUT's headers, and whose
// policy is signed instead of the request.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
func postObject(x *exchange) error {
	if x.Passthrough {
		return s3err.NotImplemented.WithMessage("This bucket is not encrypted, and takes no form uploads through s3proxy.")
	}
	if x.auth.Signed() {
		return s3err.InvalidRequest.WithMessage("A form is signed by its policy, not by an Authorization header or a query.")
	}
	body, err := x.auth.Body(x.r)
	if err != nil {
		return err
	}
	upload, err := x.openForm(x.deadlineReader(body))
	if err != nil {
		x.drain()
		return err
	}
	defer upload.release()
	if err := upload.put.putEncrypted(upload.put.passedHeaders(), upload.plain, upload.size); err != nil {
		return err
	}
	return x.answerForm(upload.form)
}

// formUpload is a form that may be stored, with its file unread or held.
type formUpload struct {
	*form
	put     *exchange // that the form stands for
	plain   *checksum.Reader
	size    int64
	release func()
}

// openForm reads a form up to its file and checks everything that can be checked before it. Only
// then does the client get more time, for the file.
func (x *exchange) openForm(body *timeoutReader) (*formUpload, error) {
	f, err := readForm(x.r, body)
	if err != nil {
		return nil, err
	}
	policy, err := x.authorizeForm(f)
	if err != nil {
		return nil, err
	}
	body.atDeadline = false
	put, err := x.putOf(f.fields)
	if err != nil {
		return nil, err
	}
	declared, err := checksum.ReadDeclared(put.r.Header, nil, false)
	if err != nil {
		return nil, err
	}
	declared.WantsMD5 = x.ETag == object.ETagMD5
	src, size, release, err := x.sizedFile(f)
	if err != nil {
		return nil, err
	}
	if policy != nil {
		if err := policy.AllowLength(size); err != nil {
			release()
			return nil, err
		}
	}
	return &formUpload{form: f, put: put, plain: checksum.NewReader(src, nil, declared), size: size, release: release}, nil
}

// authorizeForm finds the object's key and refuses a form that may not make it. The policy, nil for
// an unsigned form, has yet to judge the size.
func (x *exchange) authorizeForm(f *form) (*sigv4.Policy, error) {
	key := f.fields["key"]
	if key == "" {
		return nil, sigv4.MissingFormField("key")
	}
	var err error
	if x.key, err = x.Place.ClientKey(key); err != nil {
		return nil, err
	}
	auth, policy, err := x.proxy.verifier.VerifyForm(f.fields)
	if err != nil {
		x.refused = true
		return nil, err
	}
	if auth.AccessKeyID != "" { // otherwise it is whom the connection belongs to, or nobody
		x.auth = auth
	}
	if err := x.authorize(); err != nil {
		return nil, err
	}
	if policy == nil {
		return nil, nil
	}
	// A policy grants keys by prefix: a key must not lead elsewhere on a store that folds paths.
	if x.key.Folds() {
		return nil, errLeavesBucket
	}
	return policy, policy.Allow(f.fields, x.bucket.String(), key)
}

// sizedFile returns the file and its size, which has to be known before the first byte goes to the
// store. A small file is read to find its size; a larger one must have the size that it has if
// nothing follows it in the form.
func (x *exchange) sizedFile(f *form) (src io.Reader, size int64, release func(), err error) {
	if f.size > holdLimit || !x.proxy.hold.TryAcquire(f.size) {
		f.bind()
		return f, f.size, func() {}, nil
	}
	release = func() { x.proxy.hold.Release(f.size) }
	file, err := f.hold()
	if err != nil {
		release()
		return nil, 0, nil, err
	}
	return bytes.NewReader(file), int64(len(file)), release, nil
}

// putOf is the PUT that a form stands for. Its headers come from the form's fields; those of the
// request describe the form.
func (x *exchange) putOf(fields map[string]string) (*exchange, error) {
	h, err := formHeaders(fields)
	if err != nil {
		return nil, err
	}
	for name, values := range x.r.Header {
		if !strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, "Content-") && !x.op.passesHeader(name) {
			if _, given := h[name]; !given {
				h[name] = values
			}
		}
	}
	if to := h.Get("X-Amz-Website-Redirect-Location"); to != "" && !strings.HasPrefix(to, "/") && !isWeb(to) {
		return nil, s3err.InvalidRedirectLocation
	}
	put, r := *x, *x.r
	put.r, r.Header = &r, h
	if err := put.refusedHeader(); err != nil {
		return nil, err
	}
	if err := put.refusedOldHeader(); err != nil {
		return nil, err
	}
	if err := put.refusedLock(); err != nil {
		return nil, err
	}
	return &put, put.adoptEncryption()
}

func isWeb(u string) bool { return strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") }

type postResponse struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ PostResponse"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

// answerForm gives the answer that the form asks for.
func (x *exchange) answerForm(f *form) error {
	h := x.w.Header()
	etag := shownETag(h)
	if to := successRedirect(f.fields, x.bucket.String(), x.key.String(), etag); to != "" {
		h.Set("Location", to)
		h.Set("Content-Length", "0")
		x.w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	h.Set("Location", x.location(x.key.String()))
	switch f.fields["success_action_status"] {
	case "201":
		return x.answerDocument(http.StatusCreated, postResponse{Location: x.location(x.key.String()), Bucket: x.bucket.String(), Key: x.key.String(), ETag: etag})
	case "200":
		h.Set("Content-Length", "0")
		x.w.WriteHeader(http.StatusOK)
	default:
		x.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// shownETag finds the ETag of an answer, which is not under net/http's spelling.
func shownETag(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "ETag") {
			return values[0]
		}
	}
	return ""
}

// successRedirect is where the browser goes after the upload, or "". As in S3, anything but an
// http or https URL is ignored.
func successRedirect(fields map[string]string, bucket, key, etag string) string {
	to, ok := fields["success_action_redirect"]
	if !ok {
		to = fields["redirect"] // the old name
	}
	u, err := url.Parse(to)
	if err != nil || !isWeb(to) {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "bucket=" + url.QueryEscape(bucket) + "&key=" + url.QueryEscape(key) + "&etag=" + url.QueryEscape(etag)
	return u.String()
}

// tagHeader turns the tagging document of a form into the value of x-amz-tagging.
func tagHeader(document string) (string, error) {
	var tagging struct {
		XMLName xml.Name `xml:"Tagging"`
		Tags    s3xml.Bounded[struct {
			Key, Value string
		}] `xml:"TagSet>Tag"`
	}
	if err := s3xml.Unmarshal([]byte(document), &tagging); err != nil {
		return "", s3err.MalformedXML.Because(err)
	}
	tags := url.Values{}
	for _, t := range tagging.Tags {
		if tags.Has(t.Key) {
			return "", s3err.InvalidTag.WithMessage("Cannot provide multiple Tags with the same key").With(s3err.Field{Name: "TagKey", Value: t.Key})
		}
		tags.Set(t.Key, t.Value)
	}
	return tags.Encode(), nil
}
