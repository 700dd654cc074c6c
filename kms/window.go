package kms

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/sync/errgroup"
)

const (
	// assertEvery is how often a window's record is put again while the window is in use. The
	// record may be lost because the bucket was deleted and created again behind this process's
	// back, or a sweep went wrong.
	assertEvery = 5 * time.Minute

	// maxWindows limits the number of buckets with a current window.
	maxWindows = 1024

	// maxKEK and maxBlob, in bytes, keep an object's metadata within its 700 bytes.
	maxKEK  = 200
	maxBlob = 300
)

// window is a key with which this process wraps data keys, for a limited time and number of
// objects.
type window struct {
	bucket  string
	id      []byte // 16 bytes
	kek     string
	wrapped []byte // bound to the bucket; for the metadata of objects
	record  []byte // for Records
	aead    tink.AEAD
	made    time.Time
	timer   *time.Timer // ends the window if nobody writes to the bucket any longer

	// Guarded by windows.mu.
	used     int
	asserted time.Time // when the last put of the record ended or began
	ended    bool
}

// windows holds the current window of each bucket. If there are too many, the least recently
// used one ends.
type windows struct {
	write   Key
	records Records
	age     time.Duration
	objects int
	now     func() time.Time
	log     *slog.Logger
	cache   *cache
	timeout timeout
	loads   flights[*window]

	mu      sync.Mutex
	current *simplelru.LRU[string, *window]
	making  map[string]*making // by bucket; flights runs one at a time
	closed  bool
	poll    poll

	background sync.WaitGroup // added to under mu, while not closed
}

// making is a window that is being made.
type making struct {
	forgotten bool // the bucket was deleted meanwhile, perhaps with the record
}

func newWindows(c Config, cache *cache) *windows {
	// It fails only if maxWindows is not positive.
	current, _ := simplelru.NewLRU[string, *window](maxWindows, nil)
	return &windows{
		write: c.Write, records: c.Records, age: c.Window, objects: c.WindowObjects,
		now: c.Now, log: c.Log, cache: cache,
		timeout: timeout(c.Timeout), loads: flights[*window]{timeout: timeout(c.Timeout)},
		current: current, making: make(map[string]*making),
		poll: newPoll(c.Poll),
	}
}

// take returns the bucket's window for one object, making one if necessary. If more callers need a
// new window at once than it may serve, the rest make the next one.
func (s *windows) take(ctx context.Context, bucket string) (*window, error) {
	if w := s.usable(bucket); w != nil && s.reserve(w) {
		return w, nil
	}
	for {
		w, err := s.loads.do(ctx, bucket, func(ctx context.Context) (*window, error) {
			return s.load(ctx, bucket)
		})
		if err != nil {
			return nil, err
		}
		if s.reserve(w) {
			return w, nil
		}
	}
}

// usable returns the bucket's current window if it may serve one more object, else nil.
func (s *windows) usable(bucket string) *window {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.current.Get(bucket); ok && s.serves(w) {
		return w
	}
	return nil
}

// reserve counts one object for w, which other buckets may have pushed out of s.current since it
// was loaded.
func (s *windows) reserve(w *window) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serves(w) {
		return false
	}
	w.used++
	s.pollSoon()
	if now := s.now(); now.Sub(w.asserted) >= assertEvery {
		w.asserted = now
		s.assert(w)
	}
	return true
}

// serves reports whether w may serve one more object, and ends it if not. A window that has served
// none is never too old for its first object: otherwise, if the KMS took longer than the window
// lasts, it would be asked for ever.
func (s *windows) serves(w *window) bool {
	if w.ended || s.closed {
		return false
	}
	if w.used >= s.objects || w.used > 0 && s.now().Sub(w.made) >= s.age {
		w.ended = true
		s.remove(w)
		return false
	}
	return true
}

// remove takes w out of s.current, if it is there, and asserts its record for the
// objects that it has served.
func (s *windows) remove(w *window) {
	if current, ok := s.current.Peek(w.bucket); !ok || current != w {
		return
	}
	s.current.Remove(w.bucket)
	w.timer.Stop()
	s.assert(w)
}

// assert puts w's record again, in the background. It only logs a failure: the objects open without
// the record until their KEK's version is retired.
func (s *windows) assert(w *window) {
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.timeout))
		defer cancel()
		if err := w.put(ctx, s.records); err != nil {
			s.log.Warn("could not put a window record again; its objects still open with their own metadata",
				"bucket", w.bucket, "window", hex.EncodeToString(w.id), "error", err)
		}
	})
}

func (w *window) put(ctx context.Context, records Records) error {
	return records.PutRecord(ctx, w.bucket, hex.EncodeToString(w.id), w.record)
}

// load makes a window and makes it current.
func (s *windows) load(ctx context.Context, bucket string) (*window, error) {
	// A load may have ended since the caller looked.
	if w := s.usable(bucket); w != nil {
		return w, nil
	}
	m, err := s.begin(bucket)
	if err != nil {
		return nil, err
	}
	defer s.background.Done()
	w, err := s.make(ctx, bucket)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.making, bucket)
	if err != nil {
		return nil, err
	}
	if m.forgotten || s.closed {
		w.ended = true // take then tries again
		return w, nil
	}
	s.cache.put(newCacheName(bucket, w.kek, w.wrapped), w.aead)
	w.timer = time.AfterFunc(s.age, func() { s.expire(w) })
	if s.current.Len() >= maxWindows {
		if _, oldest, ok := s.current.GetOldest(); ok {
			s.remove(oldest)
		}
	}
	s.current.Add(bucket, w)
	s.poll.last = time.Now() // the KMS has just told its current version
	return w, nil
}

// errClosed is for requests that arrive while the program ends: another replica, or the next
// process, can serve them.
var errClosed = fmt.Errorf("%w: the keyring is closed", ErrUnavailable)

func (s *windows) begin(bucket string) (*making, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	m := &making{}
	s.making[bucket] = m
	s.background.Add(1)
	return m, nil
}

// make makes a window's key and its wrapped form, and puts the record before any object can name
// it. A bucket that does not exist costs no KMS call.
func (s *windows) make(ctx context.Context, bucket string) (*window, error) {
	if err := s.records.CheckBucket(ctx, bucket); err != nil {
		return nil, err
	}
	w := &window{bucket: bucket, made: s.now()}
	w.asserted = w.made
	// A window key is made like a DEK: 32 bytes from Tink, for AES-256-GCM.
	key, err := envelope.NewDEK()
	if err != nil {
		return nil, fmt.Errorf("making a window key: %w", err)
	}
	defer key.Destroy()
	if err := key.WithBytes(func(raw []byte) error { return w.fill(ctx, s.write, raw) }); err != nil {
		return nil, fmt.Errorf("making a window key: %w", err)
	}
	if err := w.put(ctx, s.records); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *window) fill(ctx context.Context, key Key, raw []byte) error {
	forObjects, err := wrap(ctx, key, raw, bucketContext(w.bucket))
	if err != nil {
		return err
	}
	w.kek, w.wrapped, w.id = forObjects.KEK, forObjects.Blob, envelope.WindowID(forObjects.Blob)
	// A window needs only one wrap: at first the record holds the same form, see contextOfRecord.
	if w.record, err = encodeRecord(forObjects); err != nil {
		return err
	}
	w.aead, err = newWindowAEAD(raw)
	return err
}

// expire ends w when its timer fires.
func (s *windows) expire(w *window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.ended = true
	s.remove(w)
}

// end ends the bucket's window, even one being made: the next object needs a new window.
func (s *windows) end(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.making[bucket]; ok {
		m.forgotten = true
	}
	if w, ok := s.current.Peek(bucket); ok {
		w.ended = true
		s.remove(w)
	}
}

// forget drops the bucket's window without asserting its record: the bucket is gone.
func (s *windows) forget(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.making[bucket]; ok {
		m.forgotten = true
	}
	if w, ok := s.current.Peek(bucket); ok {
		w.ended = true
		w.timer.Stop()
		s.current.Remove(bucket)
	}
}

// holds returns the window key of m if m belongs to the bucket's current window.
func (s *windows) holds(bucket string, m *envelope.Metadata) (tink.AEAD, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.current.Peek(bucket)
	if !ok || w.ended || w.kek != m.KEK || !bytes.Equal(w.wrapped, m.Window) || s.now().Sub(w.made) >= s.age {
		return nil, false
	}
	return w.aead, true
}

// close ends all windows, puts their records, and waits for background work.
func (s *windows) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	last := s.current.Values()
	for _, w := range last {
		w.ended = true
		w.timer.Stop()
	}
	s.current.Purge()
	s.poll.end()
	s.mu.Unlock()

	const atOnce = 8
	var group errgroup.Group
	group.SetLimit(atOnce)
	failed := make([]error, len(last))
	for i, w := range last {
		group.Go(func() error {
			if err := w.put(ctx, s.records); err != nil {
				failed[i] = fmt.Errorf("window record %x of bucket %q: %w", w.id, w.bucket, err)
			}
			return nil
		})
	}
	_ = group.Wait() // failed has the errors
	background := make(chan struct{})
	go func() {
		s.background.Wait()
		close(background)
	}()
	select {
	case <-background:
	case <-ctx.Done():
		failed = append(failed, ctx.Err())
	}
	return errors.Join(failed...)
}

// newWindowAEAD makes a window key ready for use. Go cannot erase its key schedule; the garbage
// collector frees it.
func newWindowAEAD(raw []byte) (tink.AEAD, error) {
	aead, err := subtle.NewAESGCM(raw)
	if err != nil {
		return nil, fmt.Errorf("window key: %w", err)
	}
	return aead, nil
}

// wrap calls the KMS and checks that its answer fits into an object's metadata.
func wrap(ctx context.Context, key Key, raw []byte, c Context) (Wrapped, error) {
	w, err := key.Wrap(ctx, raw, c)
	if err != nil {
		return Wrapped{}, err
	}
	return w, checkWrapped(w)
}

func checkWrapped(w Wrapped) error {
	if len(w.KEK) == 0 || len(w.KEK) > maxKEK {
		return fmt.Errorf("the KEK's name is %d bytes long, not 1 to %d: %.80q", len(w.KEK), maxKEK, w.KEK)
	}
	for _, c := range []byte(w.KEK) {
		if c < '!' || c > '~' {
			return fmt.Errorf("the KEK's name is not visible ASCII: %q", w.KEK)
		}
	}
	if len(w.Blob) == 0 || len(w.Blob) > maxBlob {
		return fmt.Errorf("the wrapped key is %d bytes long, not 1 to %d", len(w.Blob), maxBlob)
	}
	return nil
}
