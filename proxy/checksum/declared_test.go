package checksum

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// sum is the checksum of a text as a header has it.
func sum(a envelope.Algorithm, text string) string {
	h := New(a)
	io.WriteString(h, text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

const said = "hello"

// helloMD5 is the MD5 of said.
const helloMD5 = "XUFAKrxLKna5cZ2REBfFkg=="

func TestWhatAClientDeclaresIsReadOrRefusedInS3sWords(t *testing.T) {
	crc := sum(envelope.CRC32, said)
	for name, c := range map[string]struct {
		h         http.Header
		trailers  []string
		presigned bool
		want      envelope.Algorithm
		refused   *s3err.Error
	}{
		"nothing":                           {want: envelope.CRC64NVME},
		"an MD5":                            {h: http.Header{"Content-Md5": {helloMD5}}, want: envelope.CRC64NVME},
		"a short MD5":                       {h: http.Header{"Content-Md5": {"XUFA"}}, refused: s3err.InvalidDigest},
		"two MD5s":                          {h: http.Header{"Content-Md5": {helloMD5, helloMD5}}, refused: s3err.InvalidDigest},
		"a header":                          {h: http.Header{"X-Amz-Checksum-Crc32": {crc}}, want: envelope.CRC32},
		"a header of another length":        {h: http.Header{"X-Amz-Checksum-Crc32": {sum(envelope.SHA1, said)}}, refused: s3err.InvalidRequest},
		"two headers":                       {h: http.Header{"X-Amz-Checksum-Crc32": {crc}, "X-Amz-Checksum-Sha1": {sum(envelope.SHA1, said)}}, refused: s3err.InvalidRequest},
		"an unknown algorithm":              {h: http.Header{"X-Amz-Checksum-Crc31": {crc}}, refused: s3err.InvalidRequest},
		"a trailer":                         {trailers: []string{"x-amz-checksum-sha256"}, want: envelope.SHA256},
		"an unknown trailer":                {trailers: []string{"x-amz-meta-late"}, refused: s3err.InvalidRequest},
		"a header and a trailer":            {h: http.Header{"X-Amz-Checksum-Crc32": {crc}}, trailers: []string{"x-amz-checksum-crc32"}, refused: s3err.InvalidRequest},
		"an SDK's algorithm alone":          {h: http.Header{"X-Amz-Sdk-Checksum-Algorithm": {"CRC32"}}, refused: s3err.InvalidRequest},
		"the same in a presigned URL":       {h: http.Header{"X-Amz-Sdk-Checksum-Algorithm": {"CRC32"}}, presigned: true, want: envelope.CRC64NVME},
		"an SDK's algorithm, and another's": {h: http.Header{"X-Amz-Sdk-Checksum-Algorithm": {"SHA1"}, "X-Amz-Checksum-Crc32": {crc}}, refused: s3err.InvalidRequest},
		"the JavaScript SDK's MD5":          {h: http.Header{"X-Amz-Sdk-Checksum-Algorithm": {"MD5"}, "Content-Md5": {helloMD5}}, want: envelope.CRC64NVME},
	} {
		d, err := ReadDeclared(c.h, c.trailers, c.presigned)
		if c.refused != nil {
			if !errors.Is(err, c.refused) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || d.Algorithm != c.want {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// trailers are headers behind a body.
type trailers map[string]string

func (t trailers) Trailers() map[string]string { return t }

func TestABodyEndsWellOnlyIfItKeepsWhatWasDeclared(t *testing.T) {
	for name, c := range map[string]struct {
		h       http.Header
		behind  trailers
		refused *s3err.Error
	}{
		"nothing":              {},
		"its MD5":              {h: http.Header{"Content-Md5": {helloMD5}}},
		"another MD5":          {h: http.Header{"Content-Md5": {"AAAAAAAAAAAAAAAAAAAAAA=="}}, refused: s3err.BadDigest},
		"its checksum":         {h: http.Header{"X-Amz-Checksum-Sha256": {sum(envelope.SHA256, said)}}},
		"another's checksum":   {h: http.Header{"X-Amz-Checksum-Sha256": {sum(envelope.SHA256, "hellO")}}, refused: s3err.BadDigest},
		"its trailer":          {behind: trailers{"x-amz-checksum-crc32c": sum(envelope.CRC32C, said)}},
		"another's trailer":    {behind: trailers{"x-amz-checksum-crc32c": sum(envelope.CRC32C, "hellO")}, refused: s3err.BadDigest},
		"a trailer of nothing": {behind: trailers{"x-amz-checksum-crc32c": ""}, refused: s3err.InvalidRequest},
	} {
		var names []string
		for n := range c.behind {
			names = append(names, n)
		}
		d, err := ReadDeclared(c.h, names, false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := NewReader(strings.NewReader(said), c.behind, d)
		if r.Ended() || r.Whole() == nil {
			t.Errorf("%s: it is whole before it was read", name)
		}
		got, err := io.ReadAll(r)
		if c.refused != nil {
			if !errors.Is(err, c.refused) || !errors.Is(r.Refusal(), c.refused) || r.Verified() || r.Whole() == nil {
				t.Errorf("%s: %v, %v", name, err, r.Refusal())
			}
			if _, again := r.Read(make([]byte, 1)); !errors.Is(again, c.refused) {
				t.Errorf("%s: it goes on with %v", name, again)
			}
			continue
		}
		f := r.Facts().Checksum
		want, _ := base64.StdEncoding.DecodeString(sum(f.Algorithm, said))
		if err != nil || string(got) != said || r.Whole() != nil || !bytes.Equal(f.Value, want) {
			t.Errorf("%s: %q, %v, %+v", name, got, err, f)
		}
	}
}

func TestAFinalChecksumIsOfOneAlgorithmAndForm(t *testing.T) {
	crc := sum(envelope.CRC32, said)
	for value, want := range map[string]envelope.ChecksumType{crc: envelope.FullObject, crc + "-3": envelope.Composite} {
		if c, err := ReadFinal(http.Header{"X-Amz-Checksum-Crc32": {value}}); err != nil || c.Type != want || c.Algorithm != envelope.CRC32 {
			t.Errorf("%s: %+v, %v", value, c, err)
		}
	}
	for name, h := range map[string]http.Header{
		"no number of parts":    {"X-Amz-Checksum-Crc32": {crc + "-x"}},
		"a composite CRC64NVME": {"X-Amz-Checksum-Crc64nvme": {sum(envelope.CRC64NVME, said) + "-2"}},
		"another length":        {"X-Amz-Checksum-Sha1": {crc}},
		"two":                   {"X-Amz-Checksum-Crc32": {crc, crc}},
	} {
		if c, err := ReadFinal(h); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
