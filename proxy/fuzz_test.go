package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// FuzzCopySource: what is taken names a place inside a bucket, and is written again as
// what it was read as.
func FuzzCopySource(f *testing.F) {
	for _, seed := range []string{"/bucket/key", "bucket%2Fkey", "bucket/a+b%20c?versionId=3/L4", "bucket/key?versionId=null", "bucket/../victim/k", "bucket/%2e%2e/k", "bucket/k%3FversionId=x", "127.0.0.1/k", "//", "bucket/%ff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		src, err := parseCopySource(header)
		if err != nil {
			return
		}
		written := url.QueryEscape(src.Bucket.String() + "/" + src.Key.String())
		if v := src.Version.String(); v != "" {
			written += "?versionId=" + url.QueryEscape(v)
		}
		if again, err := parseCopySource(written); err != nil || again != src {
			t.Errorf("%q is %+v; %q is %+v, %v", header, src, written, again, err)
		}
		if key := src.Key.String(); key == ".." || strings.HasPrefix(key, "../") {
			t.Errorf("%q leads out: %+v", header, src)
		}
	})
}

// FuzzDeleteObjects: each name of a list that goes on has passed the filter, and each that
// does not is answered.
func FuzzDeleteObjects(f *testing.F) {
	for _, seed := range []string{
		"<Delete><Object><Key>k</Key></Object></Delete>", "<Delete><Quiet>true</Quiet><Object><Key>k</Key><VersionId>v</VersionId></Object></Delete>", "<Delete><Object><Key>../k</Key></Object></Delete>",
		"<Delete><Object><Key>.s3proxy/keys/x</Key></Object></Delete>", "<Delete><Object><Key>k</Key><VersionId>../x</VersionId></Object></Delete>", "<Delete/>", "<Delete><Object><Key>&#xD800;</Key></Object></Delete>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in s3xml.DeleteObjects
		if s3xml.Unmarshal(body, &in) != nil {
			return
		}
		list, refused, err := readDeletions(state.Place{}, in)
		if err != nil {
			return
		}
		if len(list.Objects)+len(refused) != len(in.Objects) {
			t.Fatalf("%q: %d of %d are answered", body, len(list.Objects)+len(refused), len(in.Objects))
		}
		for _, d := range list.Objects {
			if s3name.Below(d.Key.String(), state.StateFolder) {
				t.Errorf("%q: the proxy's own %q goes on", body, d.Key)
			}
		}
	})
}

// FuzzForm: a form is a form or refused in S3's words, and gives no more than came.
func FuzzForm(f *testing.F) {
	const head = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../f\"\r\n\r\n"
	for _, seed := range []string{head + "content\r\n--b--\r\n", head + "content", head + "\r\n--b--", "--b--\r\n", "--b\r\n\r\n\r\n", "", head + "x\r\n--b\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\ny\r\n--b--\r\n", strings.ReplaceAll(head, "\r\n", "\n") + "x\n--b--\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := openForm("multipart/form-data; boundary=b", body, bytes.NewReader(body))
		var refused *s3err.Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Status >= 500 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		form.bind()
		got, err := io.ReadAll(form)
		if err == nil && (int64(len(got)) != form.size || !bytes.Contains(body, got)) {
			t.Errorf("%q: %d bytes of %d", body, len(got), form.size)
		}
		if strings.ContainsAny(form.filename, `/\`) {
			t.Errorf("%q: the file's name is %q", body, form.filename)
		}
	})
}
