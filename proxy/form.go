package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// maxFormFields bounds a form without its file, as S3 does.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
const maxFormFields = 20 << 10

// form is a multipart/form-data body up to its file; the file is read from it.
type form struct {
	// fields are those before the file, by their names in lower case. S3 ignores
	// what comes behind it.
	fields map[string]string
	// filename is the file's name without its folders.
	filename string
	// size is what the file has when nothing but the closing boundary follows it.
	size int64

	lines *lineReader
	parts *multipart.Reader
	file  *multipart.Part
	left  int64 // of size; only for a file that is held to it
	bound bool
}

// readForm reads up to the first byte of the file.
func readForm(r *http.Request, body io.Reader) (*form, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: "Bucket POST must be of the enclosure-type multipart/form-data"})
	}
	boundary := parameters["boundary"]
	if boundary == "" {
		return nil, s3err.MalformedPOSTRequest
	}
	if r.ContentLength < 0 {
		return nil, s3err.MissingContentLength
	}
	lines := &lineReader{in: bufio.NewReaderSize(body, formBuffer), byLine: true}
	f := &form{lines: lines, fields: map[string]string{}, parts: multipart.NewReader(lines, boundary)}
	for f.file == nil {
		// Raw: a Content-Transfer-Encoding says nothing in a form (RFC 7578, 4.7).
		part, err := f.parts.NextRawPart()
		if err == io.EOF {
			return nil, s3err.InvalidArgument.WithMessage("POST requires exactly one file upload per request.").Argument("file", "0")
		}
		if err != nil {
			return nil, formError(err)
		}
		if err := f.add(part); err != nil {
			return nil, err
		}
	}
	f.size = r.ContentLength - lines.given - int64(len("\r\n--"+boundary+"--\r\n"))
	if f.size < 0 {
		return nil, s3err.MalformedPOSTRequest
	}
	lines.byLine = false
	f.expand()
	return f, nil
}

// formBuffer is how much is read at once from a client that is not yet known.
const formBuffer = 8 << 10

func (f *form) add(part *multipart.Part) error {
	name := strings.ToLower(part.FormName())
	if name == "" {
		return s3err.MalformedPOSTRequest
	}
	if name == "file" {
		f.file = part
		f.filename = part.FileName()
		f.filename = f.filename[strings.LastIndexAny(f.filename, `/\`)+1:]
		return nil
	}
	raw, err := io.ReadAll(part) // bounded by the lineReader
	if err != nil {
		return formError(err)
	}
	value := string(raw)
	before, twice := f.fields[name]
	switch {
	case !utf8.ValidString(value):
		return invalidField(name, "A form field is not UTF-8.")
	case twice && strings.HasPrefix(name, object.MetaPrefix):
		value = before + "," + value // as headers of the same name
	case twice:
		return invalidField(name, "A form field is given twice.")
	}
	f.fields[name] = value
	return nil
}

func invalidField(name, text string) error {
	return s3err.InvalidArgument.WithMessage("%s", text).With(s3err.Field{Name: "ArgumentName", Value: name})
}

// expand puts the file's name in the place of ${filename}. The policy and its
// signature are over what was sent.
func (f *form) expand() {
	for name, value := range f.fields {
		if name != "policy" && name != "x-amz-signature" && name != "signature" {
			f.fields[name] = strings.ReplaceAll(value, "${filename}", f.filename)
		}
	}
}

// hold reads the whole file, of at most f.size bytes, whatever follows it.
func (f *form) hold() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(f.size) + bytes.MinRead)
	_, err := b.ReadFrom(f)
	return b.Bytes(), err
}

// bind requires the file to have f.size bytes: for any other size the read ends with an error
// instead of io.EOF.
func (f *form) bind() { f.bound, f.left = true, f.size }

var errNotLast = s3err.InvalidRequest.WithMessage("The file must be the last field of the form, and nothing may follow it, when it has more than 1 MiB.")

// Read gives the file. io.EOF says that its part ended as it should, and that
// the whole body came.
func (f *form) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	if f.left -= int64(n); f.bound && f.left < 0 {
		return 0, errNotLast
	}
	if err != io.EOF {
		return n, formError(err)
	}
	if f.bound && f.left > 0 {
		return n, errNotLast
	}
	if err := f.end(); err != nil {
		return n, formError(err)
	}
	return n, io.EOF
}

// end reads what follows the file. S3 ignores it, but a form that was cut off is refused.
func (f *form) end() error {
	for {
		part, err := f.parts.NextRawPart()
		if err == io.EOF {
			// Behind the closing boundary; the body's own checks are at its end.
			_, err := io.Copy(io.Discard, f.lines)
			return err
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			return err
		}
	}
}

// formError is the answer to an error that ended the reading of a form: of the body, or of the
// form in it.
func formError(err error) error {
	var ofBody *s3err.Error
	if err == nil || errors.As(err, &ofBody) {
		return err
	}
	return s3err.MalformedPOSTRequest.Because(err)
}

// lineReader returns at most one line per Read while byLine is set. A reader above it that reads
// on only when it has to, as bufio's do, then never passes the end of a line, and given is its
// position in the body.
type lineReader struct {
	in     *bufio.Reader
	byLine bool
	given  int64
}

func (l *lineReader) Read(p []byte) (int, error) {
	if !l.byLine {
		return l.in.Read(p)
	}
	if _, err := l.in.Peek(1); err != nil {
		return 0, err
	}
	line, _ := l.in.Peek(min(l.in.Buffered(), len(p)))
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	n := copy(p, line)
	_, _ = l.in.Discard(n)
	if l.given += int64(n); l.given > maxFormFields {
		return 0, s3err.MaxPostPreDataLengthExceededError
	}
	return n, nil
}

// formHeaders gives the fields that are headers in a PUT.
func formHeaders(fields map[string]string) (http.Header, error) {
	h := http.Header{}
	for name, value := range fields {
		switch name {
		case "acl":
			name = "x-amz-acl"
		case "tagging":
			tags, err := tagHeader(value)
			if err != nil {
				return nil, err
			}
			name, value = "x-amz-tagging", tags
		case "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires":
		default:
			if !strings.HasPrefix(name, "x-amz-") || sigv4.FormAuthField(name) {
				continue
			}
		}
		if !validHeader(name, value) {
			return nil, invalidField(name, "A form field cannot have this name or value.")
		}
		if value != "" {
			h.Set(name, value)
		}
	}
	return h, nil
}
