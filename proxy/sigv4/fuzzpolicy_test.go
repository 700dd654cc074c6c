package sigv4

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// FuzzPolicy: a policy is judged or refused in S3's words; none that has expired is taken.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		`{"expiration":"2100-01-01T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key","k"],["content-length-range",0,10]]}`, `{"expiration":"2000-01-01T00:00:00Z","conditions":[]}`, `{}`, `[]`, `{"expiration":"2100-01-01T00:00:00Z","conditions":[{}]}`,
		`{"expiration":"2100-01-01T00:00:00Z","conditions":[["eq","$key"]]}`, `{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",-1,1e99]]}`,
	} {
		f.Add(seed)
	}
	now := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(text)), now)
		if err == nil {
			err = errors.Join(p.Allow(map[string]string{"key": "k", "x-amz-meta-a": "b"}, "b", "k"), p.AllowLength(5))
		}
		var refused *s3err.Error
		if err != nil && (!errors.As(err, &refused) || refused.Status >= 500) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
