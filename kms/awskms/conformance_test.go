package awskms_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms"
	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/kms/kmstest"
)

// newFake starts a fake that this test's SDK finds.
func newFake(t *testing.T) *fakekms.Server {
	t.Helper()
	s := fakekms.New()
	t.Cleanup(s.Close)
	for name, value := range s.Environment() {
		t.Setenv(name, value)
	}
	return s
}

func open(t *testing.T, uri string) kms.Key {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	key, err := awskms.OpenImpatient(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConformance(t *testing.T) {
	s := newFake(t)
	photos, other, retired, foreign := s.CreateKey("", ""), s.CreateKey("", ""), s.CreateKey("", ""), s.CreateKey("444455556666", "")
	s.Alias("alias/photos", photos)
	profiles := filepath.Join(t.TempDir(), "config")
	write(t, profiles, fmt.Sprintf("[profile stranger]\naws_access_key_id = %s\naws_secret_access_key = %s\n", fakekms.StrangerID, fakekms.SecretAccessKey))
	t.Setenv("AWS_CONFIG_FILE", profiles)
	away := fakekms.New()
	away.Close()
	for name, c := range map[string]struct{ key, other string }{
		"by ARN":   {"awskms:///" + photos, "awskms:///" + other},
		"by id":    {"awskms:///" + photos[strings.LastIndex(photos, "/")+1:], "awskms:///" + other},
		"by alias": {"awskms://alias/photos", "awskms:///" + other},
		"foreign":  {"awskms://alias/photos", "awskms:///" + foreign},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, kmstest.Harness{
				Key:        func(t *testing.T) kms.Key { return open(t, c.key) },
				OtherKey:   func(t *testing.T) kms.Key { return open(t, c.other) },
				RewrapFrom: func(t *testing.T) kms.Key { return open(t, "awskms:///"+other) },
				RemovedKey: func(t *testing.T, plaintext []byte, c kms.Context) (kms.Key, kms.Wrapped) {
					s.SetState(retired, fakekms.Enabled)
					key := open(t, "awskms:///"+retired)
					w, err := key.Wrap(t.Context(), plaintext, c)
					if err != nil {
						t.Fatal(err)
					}
					s.SetState(retired, fakekms.PendingDeletion)
					return key, w
				},
				Unavailable: func(t *testing.T) kms.Key {
					return open(t, "awskms:///"+photos+"?endpoint="+url.QueryEscape(away.URL))
				},
				Denied: func(t *testing.T) kms.Key { return open(t, c.key+"?profile=stranger") },
			})
		})
	}
}
