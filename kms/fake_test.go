package kms_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/kmstest"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// fakeKey is a KMS in memory. It passes the driver suite, so the Keyring treats it like any driver.
type fakeKey struct {
	uri string

	mu       sync.Mutex
	current  string
	versions map[string]*subtle.AESGCM
	wraps    []kms.Context // of every Wrap that succeeded
	unwraps  []kms.Context // of every Unwrap call
	fail     error         // returned by every call
	gate     chan struct{} // calls wait until it is closed; nil: they do not wait
	padding  int           // makes blobs longer

	currents    int           // calls of Current
	currentGate chan struct{} // Current's answers wait until it is closed
}

func newFakeKey(uri string) *fakeKey {
	f := &fakeKey{uri: uri, versions: make(map[string]*subtle.AESGCM)}
	f.rotate("v1")
	return f
}

func (f *fakeKey) rotate(version string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	aead, err := subtle.NewAESGCM(raw)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current, f.versions[version] = version, aead
}

func (f *fakeKey) retire(version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.versions, version)
}

func (f *fakeKey) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// hold makes calls wait until the returned function is called.
func (f *fakeKey) hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.gate = gate
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.gate = nil
		close(gate)
	}
}

func (f *fakeKey) enter(ctx context.Context) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fake: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail
}

func (f *fakeKey) URI() string { return f.uri }

func (f *fakeKey) Wrap(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	if err := f.enter(ctx); err != nil {
		return kms.Wrapped{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	sealed, err := f.versions[f.current].Encrypt(plaintext, c.Canonical())
	if err != nil {
		return kms.Wrapped{}, err
	}
	f.wraps = append(f.wraps, maps.Clone(c))
	blob := append([]byte(f.current+":"), sealed...)
	return kms.Wrapped{KEK: f.uri + "#" + f.current, Blob: append(blob, make([]byte, f.padding)...)}, nil
}

func (f *fakeKey) Unwrap(ctx context.Context, w kms.Wrapped, c kms.Context) ([]byte, error) {
	f.mu.Lock()
	f.unwraps = append(f.unwraps, maps.Clone(c))
	f.mu.Unlock()
	if err := f.enter(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	version, ok := strings.CutPrefix(w.KEK, f.uri+"#")
	sealed, named := bytes.CutPrefix(w.Blob, []byte(version+":"))
	if !ok || !named {
		return nil, fmt.Errorf("%w: fake: %q", kms.ErrInvalid, w.KEK)
	}
	aead, ok := f.versions[version]
	if !ok {
		return nil, fmt.Errorf("%w: fake: %q", kms.ErrNotFound, w.KEK)
	}
	plaintext, err := aead.Decrypt(sealed, c.Canonical())
	if err != nil {
		return nil, fmt.Errorf("%w: fake: does not open", kms.ErrInvalid)
	}
	return plaintext, nil
}

func (f *fakeKey) Current(ctx context.Context) (string, error) {
	f.mu.Lock()
	f.currents++
	f.mu.Unlock()
	if err := f.enter(ctx); err != nil {
		return "", err
	}
	f.mu.Lock()
	kek, gate := f.uri+"#"+f.current, f.currentGate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return kek, nil
}

// holdCurrent makes Current wait for releaseCurrent, with the answer that it knows at that time.
func (f *fakeKey) holdCurrent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.currentGate = make(chan struct{})
}

func (f *fakeKey) releaseCurrent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.currentGate)
	f.currentGate = nil
}

func (f *fakeKey) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.currents
}

func (f *fakeKey) Check(ctx context.Context) error { return f.enter(ctx) }

// windowWraps counts the wraps of window keys, otherWraps all others.
func (f *fakeKey) windowWraps() int { return f.count(func(c kms.Context) bool { return len(c) == 1 }) }
func (f *fakeKey) otherWraps() int {
	return f.count(func(c kms.Context) bool { return len(c) != 1 })
}

func (f *fakeKey) count(is func(kms.Context) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.wraps {
		if is(c) {
			n++
		}
	}
	return n
}

func (f *fakeKey) unwrapped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.unwraps)
}

// richKey is a fakeKey whose KMS has all optional abilities.
type richKey struct {
	*fakeKey
	others []*fakeKey // of the same KMS

	rewraps    int
	failRewrap error
	spoil      func(w kms.Wrapped) kms.Wrapped // changes the answer of Rewrap
}

func (r *richKey) Rotate(ctx context.Context) (string, error) {
	if err := r.enter(ctx); err != nil {
		return "", err
	}
	r.mu.Lock()
	version := fmt.Sprintf("v%d", len(r.versions)+1)
	r.mu.Unlock()
	r.rotate(version)
	return r.uri + "#" + version, nil
}

func (r *richKey) Rewrap(ctx context.Context, _ kms.Key, w kms.Wrapped, from, to kms.Context) (kms.Wrapped, error) {
	r.rewraps++
	if r.failRewrap != nil {
		return kms.Wrapped{}, r.failRewrap
	}
	source := r.fakeKey
	for _, other := range r.others {
		if strings.HasPrefix(w.KEK, other.uri+"#") {
			source = other
		}
	}
	raw, err := source.Unwrap(ctx, w, from)
	if err != nil {
		return kms.Wrapped{}, err
	}
	fresh, err := r.Wrap(ctx, raw, to)
	if err == nil && r.spoil != nil {
		fresh = r.spoil(fresh)
	}
	return fresh, err
}

func TestTheFakeKeyPassesTheSuite(t *testing.T) {
	key := newFakeKey("fake://a/key")
	broken := func(class error) func(*testing.T) kms.Key {
		return func(*testing.T) kms.Key {
			k := newFakeKey("fake://a/key")
			k.setFail(class)
			return k
		}
	}
	other := newFakeKey("fake://another/key")
	rich := &richKey{fakeKey: key, others: []*fakeKey{other}}
	kmstest.Run(t, kmstest.Harness{
		Key:         func(*testing.T) kms.Key { return rich },
		RewrapFrom:  func(*testing.T) kms.Key { return other },
		OtherKey:    func(*testing.T) kms.Key { return newFakeKey("fake://another/key") },
		Unavailable: broken(kms.ErrUnavailable),
		Denied:      broken(kms.ErrDenied),
		RemovedKey: func(t *testing.T, plaintext []byte, c kms.Context) (kms.Key, kms.Wrapped) {
			k := newFakeKey("fake://a/key")
			w, err := k.Wrap(t.Context(), plaintext, c)
			if err != nil {
				t.Fatal(err)
			}
			k.rotate("v2")
			k.retire("v1")
			return k, w
		},
	})
}

// fakeRecords is a store of records that counts calls.
type fakeRecords struct {
	mu      sync.Mutex
	records map[string][]byte // bucket/id
	puts    []string          // bucket/id of every PutRecord call
	gets    int
	fail    error
	missing error // of the bucket
	gate    chan struct{}
}

func newFakeRecords() *fakeRecords { return &fakeRecords{records: make(map[string][]byte)} }

func (f *fakeRecords) CheckBucket(context.Context, string) error { return f.missing }

func (f *fakeRecords) PutRecord(ctx context.Context, bucket, id string, record []byte) error {
	f.mu.Lock()
	gate := f.gate
	f.puts = append(f.puts, bucket+"/"+id)
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	if _, ok := f.records[bucket+"/"+id]; !ok {
		f.records[bucket+"/"+id] = bytes.Clone(record)
	}
	return nil
}

func (f *fakeRecords) GetRecord(_ context.Context, bucket, id string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	if f.fail != nil {
		return nil, f.fail
	}
	record, ok := f.records[bucket+"/"+id]
	if !ok {
		return nil, fmt.Errorf("fake: %w", kms.ErrNoRecord)
	}
	return record, nil
}

func (f *fakeRecords) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *fakeRecords) putCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.puts)
}

func (f *fakeRecords) getCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gets
}

func (f *fakeRecords) has(bucket, id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.records[bucket+"/"+id]
	return ok
}

func (f *fakeRecords) set(bucket, id string, record []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if record == nil {
		delete(f.records, bucket+"/"+id)
	} else {
		f.records[bucket+"/"+id] = record
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fixture is a Keyring over a fake KMS and fake records.
type fixture struct {
	*kms.Keyring
	t       *testing.T
	key     *fakeKey
	records *fakeRecords
	log     *lockedBuffer
}

// newFixture makes a Keyring with windows of an hour and 1000 objects and with a cache. It is
// closed when the test ends. change may be nil.
func newFixture(t *testing.T, change func(c *kms.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, key: newFakeKey("fake://a/key"), records: newFakeRecords(), log: &lockedBuffer{}}
	f.Keyring = f.another(change)
	return f
}

// another makes a second Keyring with the same KMS and store, like another replica.
func (f *fixture) another(change func(c *kms.Config)) *kms.Keyring {
	f.t.Helper()
	c := kms.Config{
		Write: f.key, Records: f.records,
		Window: time.Hour, WindowObjects: 1000,
		CacheSize: 100, CacheTTL: time.Hour,
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	}
	if change != nil {
		change(&c)
	}
	k, err := kms.NewKeyring(c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = k.Close(context.Background()) })
	return k
}

// object makes an object's key and returns its metadata. It may be called from another goroutine.
func (f *fixture) object(bucket, key string) *envelope.Metadata {
	f.t.Helper()
	_, m, err := f.NewKey(f.t.Context(), name(bucket, key))
	if err != nil {
		f.t.Errorf("NewKey for %s/%s: %v", bucket, key, err)
		return new(envelope.Metadata)
	}
	return m
}

func name(bucket, key string) kms.Name {
	return kms.Name{Bucket: bucket, Key: key, Kind: envelope.KindSingle}
}
