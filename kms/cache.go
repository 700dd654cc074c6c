package kms

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// cache keeps unwrapped window keys for reading. When it is full it drops the least recently used
// one, and it drops each key after the TTL, used or not. (The expirable LRU of the same module
// leaks a goroutine for every cache, and its clock cannot be set.)
type cache struct {
	ttl time.Duration
	now func() time.Time

	mu   sync.Mutex
	keys *simplelru.LRU[cacheName, *cached] // nil: nothing is kept
}

// cached is a key in the cache. At a look-up the clock decides whether it is too old; the
// timer drops from memory one that is never looked up again.
type cached struct {
	aead  tink.AEAD
	until time.Time
	timer *time.Timer
}

// cacheName is a hash of everything that selects a window key. The id alone would not do: the store
// may put any id on a record.
type cacheName [sha256.Size]byte

func newCacheName(bucket, kek string, wrapped []byte) cacheName {
	c := Context{"bucket": bucket, "kek": kek, "wrapped": string(wrapped)}
	return sha256.Sum256(c.Canonical())
}

func newCache(size int, ttl time.Duration, now func() time.Time) *cache {
	c := &cache{ttl: ttl, now: now}
	if size > 0 && ttl > 0 {
		// It fails only if size is not positive.
		c.keys, _ = simplelru.NewLRU(size, func(_ cacheName, e *cached) { e.timer.Stop() })
	}
	return c
}

// enabled reports whether keys are kept for reading at all.
func (c *cache) enabled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys != nil
}

func (c *cache) get(name cacheName) (tink.AEAD, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return nil, false
	}
	e, ok := c.keys.Get(name)
	if !ok {
		return nil, false
	}
	if !c.now().Before(e.until) {
		c.keys.Remove(name)
		return nil, false
	}
	return e.aead, true
}

func (c *cache) put(name cacheName, aead tink.AEAD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return
	}
	c.keys.Remove(name) // Add alone would not stop the old key's timer
	e := &cached{aead: aead, until: c.now().Add(c.ttl)}
	e.timer = time.AfterFunc(c.ttl, func() { c.drop(name, e) })
	c.keys.Add(name, e)
}

func (c *cache) drop(name cacheName, e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return
	}
	if current, ok := c.keys.Peek(name); ok && current == e {
		c.keys.Remove(name)
	}
}

// close drops all keys, and keeps none from then on.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys != nil {
		c.keys.Purge()
		c.keys = nil
	}
}
