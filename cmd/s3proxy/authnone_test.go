package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestWithoutAuthenticationWebPagesOfOthersGetNowhere(t *testing.T) {
	status := func(c *config.Config, method, host string, headers ...string) int {
		r := httptest.NewRequest(method, "/bucket/key", nil)
		r.Host = host
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		refuse := strangers(c, slog.New(slog.DiscardHandler))
		if refuse == nil {
			return http.StatusNoContent
		}
		if err := refuse(r); err != nil {
			var told *s3err.Error
			if !errors.As(err, &told) {
				t.Fatal(err)
			}
			return told.Status
		}
		return http.StatusNoContent
	}
	local := &config.Config{Auth: config.AuthNone, Listen: "127.0.0.1:8080", Domains: []string{"s3.test"}}
	for _, host := range []string{"127.0.0.1:8080", "localhost", "[::1]:8080", "bucket.localhost:8080", "s3.test", "bucket.S3.test:8080", "127.1.2.3"} {
		if got := status(local, "PUT", host); got != 204 {
			t.Errorf("%s gets %d", host, got)
		}
	}
	for _, host := range []string{"evil.example.com:8080", "10.0.0.1:8080", "s3.test.example.com", "127.0.0.1.example.com", ""} {
		if got := status(local, "GET", host); got != 403 {
			t.Errorf("a page's own name %q gets %d", host, got)
		}
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example.com"}, {"Origin", "null"}} {
		for _, method := range []string{"POST", "PUT", "DELETE", "GET", "HEAD"} {
			if got := status(local, method, "127.0.0.1:8080", headers...); got != 403 {
				t.Errorf("%s of a page %v gets %d", method, headers, got)
			}
		}
	}
	if got := status(local, "GET", "127.0.0.1:8080", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); got != 204 {
		t.Errorf("a link to an object gets %d", got)
	}
	if got := status(local, "POST", "127.0.0.1:8080", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); got != 403 {
		t.Errorf("a form of another site gets %d", got)
	}
	if got := status(local, "PUT", "127.0.0.1:8080", "Origin", "http://127.0.0.1:8080"); got != 204 {
		t.Errorf("its own page gets %d", got)
	}
	anywhere := &config.Config{Auth: config.AuthNone, AuthNoneAnywhere: true}
	if got := status(anywhere, "PUT", "proxy.example.com"); got != 204 {
		t.Errorf("anywhere: %d", got)
	}
	if got := status(&config.Config{Auth: config.AuthSigV4}, "PUT", "proxy.example.com", "Sec-Fetch-Site", "cross-site"); got != 204 {
		t.Errorf("with signatures: %d", got)
	}
}
