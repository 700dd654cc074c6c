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
	// last names the state in which an object was last seen, including its end. With it, a range
	// takes a single request, as long as the end is among the trailers.
	last *lru.Cache[name, trailerID]
	// commitments has, for each ETag of an object, the commitment of the key that came with it.
	commitments *lru.Cache[[sha256.Size]byte, seenCommitment]
	now         func() time.Time
	// reads are those of objects' ends that are under way.
	reads sharedReads

	lastLooks Lookups
}

// Sizes of the caches, in entries. An entry of last has about 300 bytes, one of commitments about 150.
const (
	lastCacheEntries       = 4096
	commitmentCacheEntries = 100_000
)

func NewCache() *Cache {
	last, err := lru.New[name, trailerID](lastCacheEntries)
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

// SeenState is a state of an object whose end was authenticated, with what follows from its end.
type SeenState struct {
	id      trailerID
	Trailer *envelope.Trailer
	Layout  envelope.Layout
	Tag     ETag
}

// Stored describes the state as far as it is known without the store's headers.
func (st *SeenState) Stored() *Stored {
	return &Stored{
		Bucket: st.id.bucket, Key: st.id.key, Version: st.id.version, UpstreamETag: st.id.etag, Bytes: st.id.bytes,
		Meta: &envelope.Metadata{Kind: st.Trailer.Kind, Commitment: st.id.commitment}, Size: st.Trailer.Size,
	}
}

// Is reports whether an answer is about this state.
func (st *SeenState) Is(s *Stored) bool {
	return s.Meta != nil && s.Meta.Commitment == st.id.commitment && s.Bytes == st.id.bytes && s.UpstreamETag == st.id.etag && s.Meta.Kind == st.Trailer.Kind
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
func (o *Objects) LastSeen(bucket s3name.Bucket, key s3name.Key, version s3name.VersionID) (*SeenState, bool) {
	var st *SeenState
	if id, ok := o.cache.last.Get(name{bucket, key, version}); ok {
		st = o.cache.trailers.get(id)
	}
	o.cache.lastLooks.Count(st != nil)
	return st, st != nil
}

// SeenTrailer returns the trailer of s, if it was seen before.
func (o *Objects) SeenTrailer(s *Stored) (*envelope.Trailer, bool) {
	st := o.cache.trailers.get(trailerOf(s))
	o.cache.trailers.looks.Count(st != nil)
	if st == nil {
		return nil, false
	}
	return st.Trailer, true
}

// prove keeps a state whose trailer was read under its ETag and opened.
func (o *Objects) prove(s *Stored, t *envelope.Trailer) error {
	if err := o.cache.sameKey(s, true); err != nil {
		return err
	}
	if s.UpstreamETag == "" {
		return nil // nothing distinguishes two states of the object
	}
	tag, _ := o.TagOf(s, t.Facts, t)
	id := trailerOf(s)
	o.cache.trailers.add(&SeenState{id, t, LayoutOf(t), tag})
	o.cache.last.Add(name{s.Bucket, s.Key, s.asked}, id)
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
// parts in all of them (about 220 bytes a part).
type trailerCache struct {
	mu    sync.Mutex
	lru   *lru.Cache[trailerID, *SeenState]
	parts int
	looks Lookups
}

const (
	trailerCacheEntries = 4096
	trailerCacheParts   = 40_000
)

func newTrailerCache() *trailerCache {
	c := &trailerCache{}
	cache, err := lru.NewWithEvict(trailerCacheEntries, func(_ trailerID, st *SeenState) { c.parts -= len(st.Trailer.Parts) })
	if err != nil {
		panic(err) // only if the size is below one
	}
	c.lru = cache
	return c
}

func (c *trailerCache) get(id trailerID) *SeenState {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, _ := c.lru.Get(id)
	return st
}

func (c *trailerCache) add(st *SeenState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lru.Contains(st.id) {
		return
	}
	c.parts += len(st.Trailer.Parts)
	c.lru.Add(st.id, st)
	for c.parts > trailerCacheParts && c.lru.Len() > 1 {
		c.lru.RemoveOldest()
	}
}
