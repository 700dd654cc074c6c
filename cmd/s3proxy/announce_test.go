package main

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

func TestTheStartNamesClientsThatWantMD5s(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"opaque": true, "md5": false} {
		var out strings.Builder
		announce(&out, &config.Config{KMS: "localfile:///k", ETag: mode}, config.ClientKey{}, "http://127.0.0.1:8080", false)
		if strings.Contains(out.String(), "rclone's providers AWS and Minio want --etag md5") != want {
			t.Errorf("with --etag %s it prints\n%s", mode, out.String())
		}
	}
}
