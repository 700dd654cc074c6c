package object

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Cache remembers what was seen of objects. It never answers a client by itself: each read asks the
// store, and the cache says what to ask for, or refuses the answer.
type Cache struct {
	trailers *trailerCache
	// last is the state in which an object was last seen, including its end. With it, a range takes
	// a single request.
	last *lru.Cache[name, *seenState]
	// commitments has, for each ETag of an object, the commitment of the key that came with it.
	commitments *lru.Cache[[sha256.Size]byte, seenCommitment]
	now         func() time.Time
	// reads are those of objects' ends that are under way.
	reads sharedReads

	lastLooks Lookups
}

// Sizes of the caches, in entries. An entry of last holds a trailer that is also among the
// trailers; an entry of commitments has about 150 bytes.
const (
	lastCacheEntries       = 4096
	commitmentCacheEntries = 100_000
)

func NewCache() *Cache {
	last, err := lru.New[name, *seenState](lastCacheEntries)
	if err != nil {
		panic(err) // only if the size is below one
	}
	commitments, err := lru.New[[sha256.Size]byte, seenCommitment](commitmentCacheEntries)
	if err != nil {
		panic(err)
	}
	return &Cache{trailers: newTrailerCache(), last: last, commitments: commitments, now: time.Now}
}

// name is what a client asks for: the current state of an object, or a version of it.
type name struct {
	bucket  s3name.Bucket
	key     s3name.Key
	version s3name.VersionID
}

// seenState is a state of an object whose end was authenticated.
type seenState struct {
	UpstreamETag string
	bytes        int64
	commitment   [32]byte
	Trailer      *envelope.Trailer
}

// Is reports whether an answer is about this state.
func (st *seenState) Is(s *Stored) bool {
	return s.Meta != nil && s.Meta.Commitment == st.commitment && s.Bytes == st.bytes && s.UpstreamETag == st.UpstreamETag && s.Meta.Kind == st.Trailer.Kind
}

// seenCommitment is a commitment that came with an ETag. proven means that bytes with that very
// ETag opened under the key; otherwise it is the store's word, from a HEAD, and valid only for a
// while.
type seenCommitment struct {
	commitment [32]byte
	proven     bool
	at         time.Time
}

// unprovenFor is how long a HEAD's word binds the reads that follow. A client that downloads in
// ranges sends them right after its HEAD. It must not bind for ever, because versitygw 1.8, in the
// middle of an overwrite, answers a HEAD with the metadata of one state and the ETag of the other.
const unprovenFor = time.Minute

// sameKey refuses an object with another key than was seen with its ETag before. Each write has its
// own key, and writing the same bytes again in place keeps it. Objects of kind empty share an ETag
// and hold nothing.
func (c *Cache) sameKey(s *Stored, proven bool) error {
	if s.UpstreamETag == "" || s.Meta.Kind == envelope.KindEmpty {
		return nil
	}
	id := sha256.Sum256(kms.Context{"bucket": s.Bucket.String(), "key": s.Key.String(), "version": s.Version.String(), "etag": s.UpstreamETag}.Canonical())
	seen, ok := c.commitments.Get(id)
	switch {
	case !ok, !seen.proven && c.now().Sub(seen.at) > unprovenFor:
	case seen.commitment != s.Meta.Commitment:
		return fmt.Errorf("%w: %w", upstream.ErrStored, ErrSpliced)
	case seen.proven || !proven:
		return nil
	}
	c.commitments.Add(id, seenCommitment{s.Meta.Commitment, proven, c.now()})
	return nil
}

// LastSeen returns the state in which an object was last seen, including its end.
func (o *Objects) LastSeen(bucket s3name.Bucket, key s3name.Key, version s3name.VersionID) (*seenState, bool) {
	st, ok := o.cache.last.Get(name{bucket, key, version})
	o.cache.lastLooks.Count(ok)
	return st, ok
}

// SeenTrailer returns the trailer of s, if it was seen before.
func (o *Objects) SeenTrailer(s *Stored) (*envelope.Trailer, bool) {
	t := o.cache.trailers.get(trailerOf(s))
	o.cache.trailers.looks.Count(t != nil)
	return t, t != nil
}

// prove keeps a state whose trailer was read under its ETag and opened.
func (c *Cache) prove(s *Stored, t *envelope.Trailer) error {
	if err := c.sameKey(s, true); err != nil {
		return err
	}
	c.trailers.add(trailerOf(s), t)
	if s.UpstreamETag != "" {
		st := &seenState{UpstreamETag: s.UpstreamETag, bytes: s.Bytes, commitment: s.Meta.Commitment, Trailer: t}
		c.last.Add(name{s.Bucket, s.Key, s.asked}, st)
	}
	return nil
}

// trailerID identifies one state of one object, so that an entry is never stale. The commitment
// stands for the metadata, which may change while the bytes stay the same.
type trailerID struct {
	bucket     s3name.Bucket
	key        s3name.Key
	version    s3name.VersionID
	etag       string
	bytes      int64
	commitment [32]byte
}

func trailerOf(s *Stored) trailerID {
	return trailerID{s.Bucket, s.Key, s.Version, s.UpstreamETag, s.Bytes, s.Meta.Commitment}
}

// trailerCache keeps opened trailers. It is bounded by the number of entries, and by the number of
// parts in all of them (about 200 bytes a part).
type trailerCache struct {
	mu    sync.Mutex
	lru   *lru.Cache[trailerID, *envelope.Trailer]
	parts int
	looks Lookups
}

const (
	trailerCacheEntries = 4096
	trailerCacheParts   = 40_000
)

func newTrailerCache() *trailerCache {
	c := &trailerCache{}
	cache, err := lru.NewWithEvict(trailerCacheEntries, func(_ trailerID, t *envelope.Trailer) { c.parts -= len(t.Parts) })
	if err != nil {
		panic(err) // only if the size is below one
	}
	c.lru = cache
	return c
}

func (c *trailerCache) get(id trailerID) *envelope.Trailer {
	if id.etag == "" {
		return nil // nothing distinguishes two states of the object
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, _ := c.lru.Get(id)
	return t
}

func (c *trailerCache) add(id trailerID, t *envelope.Trailer) {
	if id.etag == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lru.Contains(id) {
		return
	}
	c.parts += len(t.Parts)
	c.lru.Add(id, t)
	for c.parts > trailerCacheParts && c.lru.Len() > 1 {
		c.lru.RemoveOldest()
	}
}
