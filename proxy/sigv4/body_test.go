package sigv4

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestStreamingShapesAreOnlyForWhoSignedThem(t *testing.T) {
	for name, c := range map[string]struct {
		auth    Auth
		trailer string
		want    *s3err.Error
	}{
		"nobody, signed chunks":     {Auth{Payload: streamingSigned}, "", s3err.InvalidRequest},
		"nobody, signed trailer":    {Auth{Payload: streamingSignedTrailer}, "x-amz-checksum-crc32", s3err.InvalidRequest},
		"nobody, unsigned trailer":  {Auth{Payload: streamingUnsignedTrailer}, "x-amz-checksum-crc32", nil},
		"presigned, signed chunks":  {Auth{AccessKeyID: "a", Presigned: true, Payload: streamingSigned}, "", s3err.InvalidRequest},
		"version 4a":                {Auth{AccessKeyID: "a", Payload: streamingV4a}, "", s3err.NotImplemented},
		"version 4a, trailer":       {Auth{AccessKeyID: "a", Payload: streamingV4aTrailer}, "", s3err.NotImplemented},
		"no trailer but declared":   {Auth{AccessKeyID: "a", Payload: streamingSigned}, "x-amz-checksum-crc32", s3err.InvalidRequest},
		"not streamed but declared": {Auth{AccessKeyID: "a", Payload: UnsignedPayload}, "x-amz-checksum-crc32", s3err.InvalidRequest},
	} {
		r := httptest.NewRequest("PUT", "http://s3.test/b/k", strings.NewReader("x"))
		r.Header.Set("X-Amz-Decoded-Content-Length", "1")
		if c.trailer != "" {
			r.Header.Set("X-Amz-Trailer", c.trailer)
		}
		if _, err := c.auth.Body(r); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABodyMustHaveTheSignedHash(t *testing.T) {
	for data, want := range map[string]*s3err.Error{"hello": nil, "hellO": s3err.XAmzContentSHA256Mismatch, "": s3err.XAmzContentSHA256Mismatch, "hello!": s3err.XAmzContentSHA256Mismatch} {
		for _, sum := range []string{hexSum([]byte("hello")), strings.ToUpper(hexSum([]byte("hello")))} {
			r := sdkSigned(t, httptest.NewRequest("PUT", "http://s3.test/b/k", nil), sum, exampleTime)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(data)), -1
			got, _, err := read(t, r)
			if want == nil && (err != nil || string(got) != data) || want != nil && !errors.Is(err, want) {
				t.Errorf("%q: %q, %v", data, got, err)
			}
			var e *s3err.Error
			if errors.As(err, &e) && (e.Field("ClientComputedContentSHA256") != strings.ToLower(sum) || e.Field("S3ComputedContentSHA256") != hexSum([]byte(data))) {
				t.Errorf("%+v", e.Fields)
			}
		}
	}
}

func TestABodyOfAnotherLengthThanItsContentLengthIsRefused(t *testing.T) {
	for _, payload := range []string{UnsignedPayload, hexSum([]byte("hello"))} {
		for _, length := range []int64{4, 6} {
			r := sdkSigned(t, httptest.NewRequest("PUT", "http://s3.test/b/k", nil), payload, exampleTime)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), length
			_, _, err := read(t, r)
			wantRefused(t, err, s3err.IncompleteBody, wrongLength)
		}
	}
}

func TestWhatEndsTheConnectionIsToldAsS3Does(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{io.ErrUnexpectedEOF, s3err.IncompleteBody}, {errors.New("reset"), s3err.IncompleteBody}, {os.ErrDeadlineExceeded, s3err.RequestTimeout},
	} {
		for _, payload := range []string{UnsignedPayload, emptySum, streamingUnsignedTrailer, streamingSigned} {
			r := httptest.NewRequest("PUT", "http://s3.test/b/k", nil)
			r.Header.Set("X-Amz-Decoded-Content-Length", "100")
			sdkSigned(t, r, payload, exampleTime)
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("64"), iotest.ErrReader(c.err))), -1
			_, body, err := read(t, r)
			if !errors.Is(err, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%s, %v: %v", payload, c.err, err)
			}
			if _, again := body.Read(make([]byte, 1)); again != err {
				t.Errorf("then: %v", again)
			}
		}
	}
}
