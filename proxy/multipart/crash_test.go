package multipart

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/semaphore"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// replica is a process in front of a real store. It may end at one of its requests.
type replica struct {
	*Uploads
	Target
	ending *lab.Ending
}

const never = 1 << 30 // more requests than any test makes

// scene has the uploads of one object in a real store.
type scene struct {
	t      *testing.T
	store  *lab.Store
	ring   *kms.Keyring
	bucket s3name.Bucket
	key    s3name.Key
}

func newScene(t *testing.T, store *lab.Store) *scene {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(file); err != nil {
		t.Fatal(err)
	}
	kek, err := localfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := kms.NewKeyring(kms.Config{Write: kek, CacheSize: 10, CacheTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close(context.Background()) })
	s := &scene{t: t, store: store, ring: ring}
	if s.bucket, err = s3name.ParseBucket("crash-" + strings.ToLower(rand.Text()[:12])); err != nil {
		t.Fatal(err)
	}
	s.upload()
	s.must(s.replica(never, false).Upstream.Do(t.Context(), &upstream.Request{Method: http.MethodPut, Bucket: s.bucket}))
	return s
}

func (s *scene) must(resp *http.Response, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
}

// upload moves on to another key.
func (s *scene) upload() {
	s.t.Helper()
	var err error
	if s.key, err = s3name.ParseKey("k-" + rand.Text()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) replica(requests int, answered bool) *replica {
	s.t.Helper()
	r := &replica{ending: lab.NewEnding(requests, answered), Uploads: NewUploads(slog.New(slog.DiscardHandler), semaphore.NewWeighted(64<<20))}
	endpoint, err := url.Parse(s.store.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadChecked, Wrap: func(http.RoundTripper) http.RoundTripper { return r.ending },
		Credentials: credentials.NewStaticCredentialsProvider(s.store.AccessKey, s.store.SecretKey, ""),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Target = Target{Objects: object.New(object.Settings{Upstream: client, Keyring: s.ring}, state.Place{}, object.NewCache()), Bucket: s.bucket, Key: s.key}
	return r
}

func (r *replica) create(ctx context.Context) (s3name.UploadID, error) {
	id, _, err := r.Create(ctx, r.Target, envelope.Upload{}, http.Header{})
	return id, err
}

func (r *replica) send(ctx context.Context, id s3name.UploadID, number int, content []byte) (etag string, err error) {
	u, err := r.Open(ctx, r.Target, id)
	if err != nil {
		return "", err
	}
	defer u.Close()
	p, err := u.SendPart(ctx, number, int64(len(content)), object.ReadPlain(bytes.NewReader(content), u.Declared()))
	return u.PartETag(p), err
}

func (r *replica) finish(ctx context.Context, id s3name.UploadID, etags ...string) error {
	wanted := Wanted{Size: -1, Header: func(context.Context) (http.Header, bool, error) { return http.Header{}, false, nil }}
	for i, etag := range etags {
		number := s3xml.PartNumber(i + 1)
		wanted.Parts = append(wanted.Parts, s3xml.CompletedPart{PartNumber: &number, ETag: &etag})
	}
	_, err := r.Complete(ctx, r.Target, id, wanted)
	return err
}

func (r *replica) abort(ctx context.Context, id s3name.UploadID) error {
	_, err := r.Abort(ctx, r.Target, id, http.Header{})
	return err
}

// object opens the object that the store has under the key.
func (s *scene) object() (content []byte, there bool) {
	s.t.Helper()
	resp, err := s.replica(never, false).Upstream.Do(s.t.Context(), &upstream.Request{Method: http.MethodGet, Bucket: s.bucket, Key: s.key})
	if upstream.IsNotFound(err) {
		return nil, false
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	o, err := object.OpenRaw(s.t.Context(), object.Settings{Keyring: s.ring}, s.bucket.String(), s.key.String(), resp.Header, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	var plain bytes.Buffer
	if _, err := o.WriteTo(&plain); err != nil {
		s.t.Fatal(err)
	}
	return plain.Bytes(), true
}

// inProgress lists the uploads that the store has for the key.
func (s *scene) inProgress() (ids []s3name.UploadID) {
	s.t.Helper()
	var list struct {
		Upload s3xml.Bounded[struct {
			UploadID string `xml:"UploadId"`
		}]
	}
	query := url.Values{"uploads": {""}, "prefix": {s.key.String()}}
	if _, err := s.replica(never, false).Upstream.GetXML(s.t.Context(), &upstream.Request{Bucket: s.bucket, Query: query}, &list); err != nil {
		s.t.Fatal(err)
	}
	for _, u := range list.Upload {
		id, err := s3name.ParseUploadID(u.UploadID)
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// atEachRequest makes a process end at each of its requests in turn, sent or not, until it gets
// through. try does its work, and returns an error if it did not succeed.
func atEachRequest(t *testing.T, try func(t *testing.T, s *scene, ending *replica) error) {
	for _, store := range lab.SharedStores(t) {
		s := newScene(t, store)
		for _, answered := range []bool{false, true} {
			for k, through := 0, false; !through; k++ {
				s.upload()
				ending := s.replica(k, answered)
				err := try(t, s, ending)
				through = ending.ending.Lives()
				if t.Failed() || k > 60 || through && (err != nil || k < 2) {
					t.Fatalf("%s: with %d requests (answered: %t): %v", store.Name, k, answered, err)
				}
			}
		}
	}
}

func TestACompleteThatEndsAtAnyRequestIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	for name, atOnce := range map[string]int{"while the client waits": removedAtOnce, "beside the client": 0} {
		t.Run("records are removed "+name, func(t *testing.T) {
			t.Parallel()
			completeEndsAtEachRequest(t, atOnce)
		})
	}
}

func completeEndsAtEachRequest(t *testing.T, atOnce int) {
	large, small := bytes.Repeat([]byte("large..."), envelope.MinPartSize/8+1), []byte("small")
	atEachRequest(t, func(t *testing.T, s *scene, ending *replica) error {
		ending.removals.atOnce = atOnce
		well := s.replica(never, false)
		id, err := well.create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var etags []string
		for i, content := range [][]byte{large, small} {
			etag, err := well.send(t.Context(), id, i+1, content)
			if err != nil {
				t.Fatal(err)
			}
			etags = append(etags, etag)
		}
		failed := ending.finish(t.Context(), id, etags...)
		if err := ending.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		later := s.replica(never, false)
		if _, err := later.Open(t.Context(), later.Target, id); failed == nil && ending.ending.Lives() && !errors.Is(err, ErrNoState) {
			t.Errorf("the upload that was completed can be opened: %v", err)
		}
		// A client that did not get the answer repeats the request in any case.
		if err := later.finish(t.Context(), id, etags...); err != nil {
			t.Errorf("Complete again: %v", err)
		}
		if content, _ := s.object(); !bytes.Equal(content, append(bytes.Clone(large), small...)) {
			t.Errorf("the object has %d bytes", len(content))
		}
		sweep := Sweeper{Store: later.Upstream, Place: later.Place}
		if _, err := sweep.Bucket(t.Context(), s.bucket.String()); err != nil {
			t.Error(err)
		}
		if left, err := later.upload(later.Target, id).hasState(t.Context()); left || err != nil {
			t.Errorf("state of the upload is left after a sweep: %t, %v", left, err)
		}
		return failed
	})
}

func TestAnAbortThatEndsAtAnyRequestIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	atEachRequest(t, func(t *testing.T, s *scene, ending *replica) error {
		well := s.replica(never, false)
		id, err := well.create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		etag, err := well.send(t.Context(), id, 1, []byte("part"))
		if err != nil {
			t.Fatal(err)
		}
		failed := ending.abort(t.Context(), id)
		if failed != nil {
			if err := s.replica(never, false).abort(t.Context(), id); err != nil && !errors.Is(err, s3err.NoSuchUpload) {
				t.Errorf("Abort again: %v", err)
			}
		}
		if err := s.replica(never, false).finish(t.Context(), id, etag); !errors.Is(err, s3err.NoSuchUpload) {
			t.Errorf("Complete after it: %v", err)
		}
		if _, there := s.object(); there || len(s.inProgress()) != 0 {
			t.Errorf("an object exists: %t; uploads in progress: %v", there, s.inProgress())
		}
		return failed
	})
}

func TestAPartWhoseSendingEndsAtAnyRequestDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, number := range []int{1, envelope.MaxParts} {
		atEachRequest(t, func(t *testing.T, s *scene, ending *replica) error {
			well := s.replica(never, false)
			id, err := well.create(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			etag, failed := ending.send(t.Context(), id, number, []byte("first"))
			u, err := well.Open(t.Context(), well.Target, id)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			listed, err := u.ListParts(t.Context(), 0, 10_000, http.Header{})
			if err != nil {
				t.Fatal(err)
			}
			if failed == nil && (len(listed.Parts) != 1 || u.PartETag(listed.Parts[0].Part) != etag) {
				t.Errorf("part %d: %d parts are listed", number, len(listed.Parts))
			}
			again, err := well.send(t.Context(), id, number, []byte("second"))
			if err != nil {
				t.Fatal(err)
			}
			if listed, err = u.ListParts(t.Context(), 0, 10_000, http.Header{}); err != nil || len(listed.Parts) != 1 || u.PartETag(listed.Parts[0].Part) != again {
				t.Errorf("part %d, sent again: %d parts are listed, %v", number, len(listed.Parts), err)
			}
			return failed
		})
	}
}

func TestAnUploadWithoutItsStateTakesNoPart(t *testing.T) {
	t.Parallel()
	without := 0
	atEachRequest(t, func(t *testing.T, s *scene, ending *replica) error {
		_, failed := ending.create(t.Context())
		for _, id := range s.inProgress() {
			later := s.replica(never, false)
			etag, err := later.send(t.Context(), id, 1, []byte("part"))
			if failed != nil && errors.Is(err, ErrNoState) {
				without++
				continue
			}
			if err != nil {
				t.Error(err)
			} else if err := later.finish(t.Context(), id, etag); err != nil {
				t.Error(err)
			}
		}
		return failed
	})
	if without == 0 {
		t.Error("no upload lost its state")
	}
}
