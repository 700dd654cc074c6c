package inplace

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// scene is an object in a real store.
type scene struct {
	t      *testing.T
	store  *lab.Store
	ring   *kms.Keyring
	bucket string
	key    string
	limits object.Limits
}

// onStores runs a test with a new bucket on each store.
func onStores(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Parallel()
	for _, store := range lab.SharedStores(t) {
		t.Run(store.Name, func(t *testing.T) {
			t.Parallel()
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
			s := &scene{t: t, store: store, ring: ring, bucket: "inplace-" + strings.ToLower(rand.Text()[:12]), key: "k"}
			s.send(&upstream.Request{Method: http.MethodPut}, "")
			test(t, s)
		})
	}
}

// settings are those of a process that reaches the store this way.
func (s *scene) settings(way http.RoundTripper) object.Settings {
	s.t.Helper()
	endpoint, err := url.Parse(s.store.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadChecked, Wrap: func(http.RoundTripper) http.RoundTripper { return way },
		Credentials: credentials.NewStaticCredentialsProvider(s.store.AccessKey, s.store.SecretKey, ""),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return object.Settings{Upstream: client, Keyring: s.ring, Limits: s.limits}
}

// send sends a request to the store as its operator, who sees ciphertext.
func (s *scene) send(req *upstream.Request, key string) (http.Header, []byte) {
	s.t.Helper()
	var err error
	if req.Bucket, err = s3name.ParseBucket(s.bucket); err != nil {
		s.t.Fatal(err)
	}
	if key != "" {
		if req.Key, err = s3name.ParseKey(key); err != nil {
			s.t.Fatal(err)
		}
	}
	resp, err := s.settings(http.DefaultTransport).Upstream.Do(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.Header, body
}

// put writes the object, sealed.
func (s *scene) put(content []byte, headers map[string]string) {
	s.t.Helper()
	fields, sealed, err := object.SealRaw(s.t.Context(), object.Settings{Keyring: s.ring}, s.bucket, s.key, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := io.ReadAll(sealed)
	if err != nil {
		s.t.Fatal(err)
	}
	h := http.Header{}
	for name, value := range fields {
		h.Set(object.MetaPrefix+name, value)
	}
	for name, value := range headers {
		h.Set(name, value)
	}
	s.send(&upstream.Request{Method: http.MethodPut, Bytes: raw, Header: h}, s.key)
}

// object opens the object that the store holds.
func (s *scene) object() (http.Header, []byte) {
	s.t.Helper()
	h, raw := s.send(&upstream.Request{Method: http.MethodGet}, s.key)
	o, err := object.OpenRaw(s.t.Context(), object.Settings{Keyring: s.ring}, s.bucket, s.key, h, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	var plain bytes.Buffer
	if _, err := o.WriteTo(&plain); err != nil {
		s.t.Fatal(err)
	}
	return h, plain.Bytes()
}

func (s *scene) renewer(way http.RoundTripper) *Renewer {
	return NewRenewer(s.settings(way), state.Place{})
}

// wrapAnew is the change that a rotation makes.
func (s *scene) wrapAnew(ctx context.Context, n *Renewal) error {
	meta, err := s.ring.WrapKey(ctx, kms.Name{Bucket: s.bucket, Key: s.key, Kind: n.Meta.Kind}, n.DEK)
	if err == nil {
		meta.Facts = n.Meta.Facts
		n.Meta = meta
	}
	return err
}

var kept = map[string]string{"Content-Type": "text/x-test", "Cache-Control": "no-store", "X-Amz-Meta-Colour": "blue", "X-Amz-Tagging": "a=1&b=2%20c"}

// checkKept checks that an object still has everything it was put with.
func (s *scene) checkKept(h http.Header) {
	s.t.Helper()
	want := maps.Clone(kept)
	delete(want, "X-Amz-Tagging")
	for name, value := range want {
		if h.Get(name) != value {
			s.t.Errorf("%s is %q, want %q", name, h.Get(name), value)
		}
	}
	if _, tags := s.send(&upstream.Request{Method: http.MethodGet, Query: url.Values{"tagging": {""}}}, s.key); !strings.Contains(string(tags), "<Value>2 c</Value>") {
		s.t.Errorf("the tags are %s", tags)
	}
}

// A process that ends in the middle leaves the object in its old or new form, whichever change it
// is, and the next process does the rest.
func TestARenewalThatEndsAtAnyRequestLeavesOneObject(t *testing.T) {
	content := bytes.Repeat([]byte("content."), 25_000)
	onStores(t, func(t *testing.T, s *scene) {
		for name, limits := range map[string]object.Limits{"one PUT": {}, "streamed": {Buffer: 1}, "in parts": {Buffer: 1, CopyObject: 1, CopyPart: envelope.MinPartSize}} {
			s.limits = limits
			s.limits.Stall = 100 * time.Millisecond // each process has to find out that MinIO locks
			for _, rekey := range []bool{false, true} {
				for _, answered := range []bool{false, true} {
					for k, through := 0, false; !through; k++ {
						s.put(content, kept)
						before, _ := s.object()
						change := func(r *Renewer) func(context.Context, *Renewal) error {
							if rekey {
								return func(ctx context.Context, n *Renewal) error { return r.Rekey(ctx, s.bucket, s.key, n) }
							}
							return s.wrapAnew
						}
						way := lab.NewEnding(k, answered)
						ending, next := s.renewer(way), s.renewer(http.DefaultTransport)
						err := ending.Renew(t.Context(), s.bucket, s.key, change(ending))
						if through = way.Lives(); through && err != nil || k > 60 {
							t.Fatalf("%s, %d requests: %v", name, k, err)
						}
						h, is := s.object()
						s.checkKept(h)
						if err := next.Renew(t.Context(), s.bucket, s.key, change(next)); err != nil {
							t.Fatalf("%s, after %d requests: %v", name, k, err)
						}
						h, then := s.object()
						s.checkKept(h)
						if !bytes.Equal(is, content) || !bytes.Equal(then, content) || maps.EqualFunc(metadataOf(h), metadataOf(before), slices.Equal) {
							t.Fatalf("%s, %d requests (answered: %t): %d bytes, then %d", name, k, answered, len(is), len(then))
						}
					}
				}
			}
		}
	})
}

// A write by another between the renewal's look and its own write always wins, and the renewal
// starts over with the result.
func TestAWriteBesideARenewalWins(t *testing.T) {
	onStores(t, func(t *testing.T, s *scene) {
		for name, limits := range map[string]object.Limits{"one PUT": {}, "in parts": {Buffer: 1, CopyObject: 1}} {
			s.limits = limits
			s.put(bytes.Repeat([]byte("old"), 5000), nil)
			seen := []string{}
			err := s.renewer(http.DefaultTransport).Renew(t.Context(), s.bucket, s.key, func(ctx context.Context, n *Renewal) error {
				seen = append(seen, strings.Join(n.Header[object.MetaName("X-Amz-Meta-Colour")], ","))
				if len(seen) == 1 {
					s.put([]byte("new"), kept)
				}
				return s.wrapAnew(ctx, n)
			})
			h, content := s.object()
			s.checkKept(h)
			if err != nil || string(content) != "new" || len(seen) != 2 || seen[1] != "blue" {
				t.Errorf("%s: %d bytes, changes of %q, %v", name, len(content), seen, err)
			}
		}
	})
}

// counted is a way to a store that counts requests.
type counted map[string]int

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.RawQuery == "" && !strings.Contains(r.URL.Path, ".s3proxy/") {
		c[r.Method]++
	}
	return http.DefaultTransport.RoundTrip(r)
}

// An answer that the caller has already spares a question, and is never believed alone: not where it
// is of an older state, nor where the one behind it differs.
func TestAnAnswerThatWasSeenSparesAQuestion(t *testing.T) {
	onStores(t, func(t *testing.T, s *scene) {
		s.put([]byte("first"), nil)
		first, _ := s.send(&upstream.Request{Method: http.MethodHead}, s.key)
		s.put([]byte("second"), kept)
		second, _ := s.send(&upstream.Request{Method: http.MethodHead}, s.key)
		other := second.Clone()
		other.Set("X-Amz-Meta-Colour", "red")
		for name, c := range map[string]struct {
			seen  http.Header
			heads int // the last one is the recheck
		}{"none": {nil, 3}, "an older state": {first, 3}, "a mixture": {other, 3}, "this state": {second, 2}} {
			way := counted{}
			err := s.renewer(way).RenewSeen(t.Context(), s.bucket, s.key, c.seen, func(ctx context.Context, n *Renewal) error {
				if colour := n.Header[object.MetaName("X-Amz-Meta-Colour")]; !slices.Equal(colour, []string{"blue"}) {
					t.Errorf("%s: the change was shown the colour %q", name, colour)
				}
				return errors.Join(s.wrapAnew(ctx, n), errors.New("stop")) // the state stays
			})
			if err == nil || way[http.MethodHead] != c.heads-1 {
				t.Errorf("%s: %v, before a write: %v", name, way, err)
			}
			way = counted{}
			fresh, _ := s.send(&upstream.Request{Method: http.MethodHead}, s.key)
			if name == "this state" {
				if err := s.renewer(way).RenewSeen(t.Context(), s.bucket, s.key, fresh, s.wrapAnew); err != nil || way[http.MethodHead] != c.heads {
					t.Errorf("%s: %v, %v", name, way, err)
				}
			}
		}
		h, content := s.object()
		s.checkKept(h)
		if string(content) != "second" {
			t.Errorf("the object is %q", content)
		}
	})
}

// A writer that is always faster makes a renewal end with an error, and loses nothing.
func TestARenewalGivesUpBeforeABusyWriter(t *testing.T) {
	onStores(t, func(t *testing.T, s *scene) {
		s.put([]byte("0"), nil)
		n := byte('0')
		err := s.renewer(http.DefaultTransport).Renew(t.Context(), s.bucket, s.key, func(ctx context.Context, r *Renewal) error {
			n++
			s.put([]byte{n}, nil)
			return s.wrapAnew(ctx, r)
		})
		if _, content := s.object(); !errors.Is(err, state.ErrRaced) || !bytes.Equal(content, []byte{n}) || n != '0'+MaxTries {
			t.Errorf("%q after %d changes, %v", content, n-'0', err)
		}
	})
}

// An object that does not open is never written again: a renewal would give damaged bytes a new
// key.
func TestADamagedObjectIsNotWrittenAgain(t *testing.T) {
	onStores(t, func(t *testing.T, s *scene) {
		for name, at := range map[string]int{"the first segment": 100, "the second": envelope.SegmentSize + 500, "the end": -20} {
			s.put(bytes.Repeat([]byte("content."), 30_000), nil)
			h, raw := s.send(&upstream.Request{Method: http.MethodGet}, s.key)
			raw[(at+len(raw))%len(raw)] ^= 1
			s.send(&upstream.Request{Method: http.MethodPut, Bytes: raw, Header: metadataOf(h)}, s.key)
			before, _ := s.send(&upstream.Request{Method: http.MethodHead}, s.key)
			for what, change := range map[string]func(*Renewer) func(context.Context, *Renewal) error{
				"wrapped anew": func(*Renewer) func(context.Context, *Renewal) error { return s.wrapAnew },
				"rekeyed": func(r *Renewer) func(context.Context, *Renewal) error {
					return func(ctx context.Context, n *Renewal) error { return r.Rekey(ctx, s.bucket, s.key, n) }
				},
			} {
				r := s.renewer(http.DefaultTransport)
				err := r.Renew(t.Context(), s.bucket, s.key, change(r))
				if after, _ := s.send(&upstream.Request{Method: http.MethodHead}, s.key); err == nil || after.Get("Etag") != before.Get("Etag") || !maps.EqualFunc(metadataOf(after), metadataOf(before), slices.Equal) {
					t.Errorf("damage in %s, %s: %v", name, what, err)
				}
			}
		}
	})
}

// Plaintext is encrypted in place, once, and never if it does not match its checksum.
func TestPlaintextIsEncryptedInPlace(t *testing.T) {
	onStores(t, func(t *testing.T, s *scene) {
		for _, size := range []int{0, 1, envelope.SegmentSize, 200_000} {
			content := bytes.Repeat([]byte{'p'}, size)
			s.send(&upstream.Request{Method: http.MethodPut, Bytes: content, Header: http.Header{"Content-Type": {"text/x-test"}, "Cache-Control": {"no-store"}, "X-Amz-Meta-Colour": {"blue"}, "X-Amz-Tagging": {"a=1&b=2%20c"}}}, s.key)
			r := s.renewer(http.DefaultTransport)
			encrypt := func(ctx context.Context, n *Renewal) error { return r.Encrypt(ctx, s.bucket, s.key, n) }
			if err := r.Renew(t.Context(), s.bucket, s.key, encrypt); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			h, is := s.object()
			s.checkKept(h)
			if _, raw := s.send(&upstream.Request{Method: http.MethodGet}, s.key); !bytes.Equal(is, content) || size > 10 && bytes.Contains(raw, content[:10]) {
				t.Errorf("%d bytes: %d bytes, of %d in the store", size, len(is), len(raw))
			}
			if err := r.Renew(t.Context(), s.bucket, s.key, encrypt); !errors.Is(err, ErrEncrypted) {
				t.Errorf("%d bytes, again: %v", size, err)
			}
		}
		r := s.renewer(http.DefaultTransport)
		if err := r.Renew(t.Context(), s.bucket, "missing", s.wrapAnew); !errors.Is(err, s3err.NoSuchKey) {
			t.Errorf("a missing object: %v", err)
		}
	})
}
