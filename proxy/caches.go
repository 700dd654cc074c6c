package proxy

import "github.com/s3proxy/s3proxy/proxy/object"

// CacheUse is what a cache holds, and whether what was looked for was in it.
type CacheUse = object.CacheUse

// Caches tells of the caches whose misses cost requests to the store: "trailers" and "last_seen"
// of objects' ends, "listed" of the ETags in lists.
func (p *Proxy) Caches() []CacheUse {
	return append(p.ends.Use(), p.states.looks.Of("listed", p.states.states.EstimatedSize()))
}
