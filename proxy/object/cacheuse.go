package object

import "sync/atomic"

// CacheUse says what a cache of this process holds, and how many look-ups found their entry.
type CacheUse struct {
	Name         string
	Entries      int
	Hits, Misses uint64 // since the start
}

// Lookups counts the look-ups in a cache, found or not.
type Lookups struct{ hits, misses atomic.Uint64 }

// Count counts one look-up.
func (l *Lookups) Count(hit bool) {
	if hit {
		l.hits.Add(1)
	} else {
		l.misses.Add(1)
	}
}

// Of returns the use of the cache to which the look-ups belong.
func (l *Lookups) Of(name string, entries int) CacheUse {
	return CacheUse{name, entries, l.hits.Load(), l.misses.Load()}
}

// Use returns the use of the caches of objects' ends: that of all states, and that of the state in
// which an object was last seen, thanks to which a range takes a single request.
func (c *Cache) Use() []CacheUse {
	return []CacheUse{c.trailers.looks.Of("trailers", c.trailers.lru.Len()), c.lastLooks.Of("last_seen", c.last.Len())}
}
