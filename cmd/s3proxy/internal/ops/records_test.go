package ops

import (
	"cmp"
	"crypto/md5"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// recordStore keeps the window records of one bucket, and does to them what a test says.
// What S3 does is never proven against it.
type recordStore struct {
	mu      sync.Mutex
	objects map[string][]byte // by path
	// before is called for each request for a record, and may answer it.
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func (s *recordStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" { // the bucket has no settings
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if s.before != nil && s.before(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body, there := s.objects[r.URL.Path]
	etag := fmt.Sprintf(`"%x"`, md5.Sum(body))
	switch {
	case r.Method == http.MethodPut:
		if want := r.Header.Get("If-Match"); want != "" && (!there || want != etag) || there && r.Header.Get("If-None-Match") == "*" {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		s.objects[r.URL.Path], _ = io.ReadAll(r.Body)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Etag", etag)
		w.Write(body)
	}
}

// keyed is a bucket whose objects' keys a key file wraps.
type keyed struct {
	t       *testing.T
	keyset  string
	store   *recordStore
	records state.Records
}

func newKeyed(t *testing.T) *keyed {
	t.Helper()
	k := &keyed{t: t, keyset: filepath.Join(t.TempDir(), "keyset.json"), store: &recordStore{objects: map[string][]byte{}}}
	if err := localfile.Create(k.keyset); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(k.store)
	t.Cleanup(server.Close)
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	k.records.Store, err = upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadUnsigned, Attempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const keyedBucket = "bucket"

// path is where the store has a record.
func (k *keyed) path(id string) string { return "/" + keyedBucket + "/.s3proxy/keys/" + id }

// ring opens the key file as it is now; change may put another key in its place.
func (k *keyed) ring(window time.Duration, change ...func(kms.Key) kms.Key) *kms.Keyring {
	k.t.Helper()
	key, err := localfile.Open(k.keyset)
	if err != nil {
		k.t.Fatal(err)
	}
	conf := kms.Config{Write: key, Records: k.records, Window: window, WindowObjects: 1000, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		conf.Write = c(conf.Write)
	}
	ring, err := kms.NewKeyring(conf)
	if err != nil {
		k.t.Fatal(err)
	}
	return ring
}

// object gives the metadata of a new object. Each is of a window of its own.
func (k *keyed) object(window time.Duration) *envelope.Metadata {
	k.t.Helper()
	dek, m, err := k.ring(window).NewKey(k.t.Context(), kms.Name{Bucket: keyedBucket, Key: "key", Kind: envelope.KindSingle})
	if err != nil {
		k.t.Fatal(err)
	}
	dek.Destroy()
	return m
}

// rotate makes a new version and gives its KEK.
func (k *keyed) rotate() string {
	k.t.Helper()
	version, err := localfile.Rotate(k.t.Context(), k.keyset)
	if err != nil {
		k.t.Fatal(err)
	}
	return version
}

// destroy takes the version of a KEK out of the key file.
func (k *keyed) destroy(kek string) {
	k.t.Helper()
	_, version, _ := strings.Cut(kek, "#")
	if err := localfile.Destroy(k.t.Context(), k.keyset, cmp.Or(version, kek)); err != nil {
		k.t.Fatal(err)
	}
}

// rewrapping is one to the key file's current version.
func (k *keyed) rewrapping() *kms.Rewrapping {
	k.t.Helper()
	r, err := k.ring(time.Hour).NewRewrapping(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

// bucket is it as commands have it open.
func (k *keyed) bucket(ring *kms.Keyring) *Bucket {
	return &Bucket{Name: keyedBucket, Origin: keyedBucket, Keyring: ring, Records: k.records}
}
