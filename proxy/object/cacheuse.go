package object

import "sync/atomic"

// CacheUse is what a cache of this process holds, and whether what was looked for was in it.
type CacheUse struct {
	Name         string
	Entries      int
	Hits, Misses uint64 // since the start
}

// Lookups count what was found in a cache, and what was not.
type Lookups struct{ hits, misses atomic.Uint64 }

// Count counts one look-up.
func (l *Lookups) Count(hit bool) {
	if hit {
		l.hits.Add(1)
	} else {
		l.misses.Add(1)
	}
}

// Of is the use of the cache that the look-ups were in.
func (l *Lookups) Of(name string, entries int) CacheUse {
	return CacheUse{name, entries, l.hits.Load(), l.misses.Load()}
}

// Use tells of the caches of objects' ends: those of states, and those of the state in which an
// object was seen last, which a range is answered by with one request.
func (c *Cache) Use() []CacheUse {
	return []CacheUse{c.trailers.looks.Of("trailers", c.trailers.lru.Len()), c.lastLooks.Of("last_seen", c.last.Len())}
}
