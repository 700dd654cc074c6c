package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// S3 says 200 to what takes long before it knows the outcome.
func TestAnErrorInAnAnswerOf200IsOne(t *testing.T) {
	answer := ""
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer store.Close()
	client := newClient(t, store.URL)
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"<CopyPartResult><ETag>&quot;e&quot;</ETag></CopyPartResult>", nil},
		{"<Error><Code>PreconditionFailed</Code></Error>", s3err.PreconditionFailed},
		{"<Error><Code>InvalidArgument</Code></Error>", s3err.InvalidArgument},
		{"<CopyPartResult><ETag>", s3err.ServiceUnavailable},
		{"", s3err.ServiceUnavailable},
	} {
		answer = c.answer
		var part s3xml.CopyPartResult
		_, err := client.Result(t.Context(), &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey}, &part)
		if !errors.Is(err, c.want) || c.want == nil && part.ETag != `"e"` {
			t.Errorf("%q: %v, %+v", c.answer, err, part)
		}
	}
}
