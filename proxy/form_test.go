package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// encodeForm writes a form as Go, browsers and boto3 do.
func encodeForm(t *testing.T, fields [][2]string, file []byte) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a file.txt")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func openForm(kind string, body []byte, in io.Reader) (*form, error) {
	r := httptest.NewRequest("POST", "/bucket", nil)
	r.Header.Set("Content-Type", kind)
	r.ContentLength = int64(len(body))
	return readForm(r, in)
}

func TestTheSizeOfAFileIsKnownBeforeItIsRead(t *testing.T) {
	t.Parallel()
	fields := [][2]string{{"key", "folder/${filename}"}, {"X-Amz-Meta-Text", "two\r\nlines\n\r\n--and a dash"}, {"x-amz-meta-text", "more"}}
	for _, file := range []string{"", "x", "\n", "\r\n", "\r\n--", strings.Repeat("line\r\n", 50_000), strings.Repeat("\n", 9000)} {
		kind, body := encodeForm(t, fields, []byte(file))
		for name, in := range map[string]io.Reader{
			"at once": bytes.NewReader(body), "byte by byte": iotest.OneByteReader(bytes.NewReader(body)), "half": iotest.HalfReader(bytes.NewReader(body)),
		} {
			f, err := openForm(kind, body, in)
			if err != nil {
				t.Fatal(err)
			}
			if f.size != int64(len(file)) {
				t.Errorf("%s: the size is %d, not %d", name, f.size, len(file))
			}
			if f.fields["key"] != "folder/a file.txt" || f.fields["x-amz-meta-text"] != "two\r\nlines\n\r\n--and a dash,more" {
				t.Errorf("%q", f.fields)
			}
			f.bind()
			if got, err := io.ReadAll(f); err != nil || string(got) != file {
				t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(file), err)
			}
		}
	}
}

func TestAFormThatIsCutNeverEndsWell(t *testing.T) {
	t.Parallel()
	kind, body := encodeForm(t, [][2]string{{"key", "k"}}, bytes.Repeat([]byte("0123456789\r\n"), 100))
	for n := range body {
		for _, bound := range []bool{true, false} {
			f, err := openForm(kind, body, bytes.NewReader(body[:n]))
			if err == nil {
				if bound {
					f.bind()
				}
				_, err = io.Copy(io.Discard, f)
			}
			// The closing boundary's own line end is what RFC 2046 lets a form leave out.
			if err == nil && n < len(body)-2 {
				t.Fatalf("cut at %d of %d: no error", n, len(body))
			}
		}
	}
}

func TestWhatFollowsALargeFileIsRefusedAndASmallOneIsRead(t *testing.T) {
	t.Parallel()
	kind, body := encodeForm(t, [][2]string{{"key", "k"}}, []byte("content"))
	boundary := body[:bytes.Index(body, []byte("\r\n"))]
	submit := append(append([]byte{}, boundary...), "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n"...)
	for name, longer := range map[string][]byte{
		"an epilogue":   append(append([]byte{}, body...), "tail"...),
		"another field": bytes.Replace(body, append([]byte("content\r\n"), boundary...), append(append([]byte("content\r\n"), submit...), boundary...), 1),
	} {
		f, err := openForm(kind, longer, bytes.NewReader(longer))
		if err != nil {
			t.Fatal(err)
		}
		if held, err := f.hold(); err != nil || string(held) != "content" {
			t.Errorf("%s: %q, %v", name, held, err)
		}
		if f, err = openForm(kind, longer, bytes.NewReader(longer)); err != nil {
			t.Fatal(err)
		}
		f.bind()
		if _, err := io.ReadAll(f); !errors.Is(err, s3err.InvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFieldsBeforeTheFileAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxFormFields)
	for name, fields := range map[string][][2]string{
		"a value": {{"key", long}}, "a name": {{long, "v"}}, "lines": {{"key", strings.Repeat("x\n", maxFormFields)}},
	} {
		kind, body := encodeForm(t, fields, nil)
		if _, err := openForm(kind, body, bytes.NewReader(body)); !errors.Is(err, s3err.MaxPostPreDataLengthExceededError) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFieldThatIsGivenTwiceIsRefused(t *testing.T) {
	t.Parallel()
	kind, body := encodeForm(t, [][2]string{{"key", "a"}, {"Key", "b"}}, nil)
	if _, err := openForm(kind, body, bytes.NewReader(body)); !errors.Is(err, s3err.InvalidArgument) {
		t.Error(err)
	}
}
