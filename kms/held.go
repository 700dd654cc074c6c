package kms

import "time"

// Held is how many keys a Keyring has in memory, unwrapped: with these it works while its
// KMS does not answer.
type Held struct {
	// Windows are the window keys that new objects get, one for each bucket that is being
	// written to, by the versioned URI of the key that wrapped them.
	Windows map[string]int
	// NextEnd is when the first of Windows ends: the next object of its bucket needs the KMS.
	// Zero without windows.
	NextEnd time.Time
	// Cached are the window keys that objects are read with.
	Cached int
	// Hits and Misses are how often a window key that an object is read with was in memory, and
	// how often it was not, since the start.
	Hits, Misses uint64
}

// Any tells whether there are keys at all.
func (h Held) Any() bool { return len(h.Windows) > 0 || h.Cached > 0 }

// Held counts the keys that are in memory now.
func (k *Keyring) Held() Held {
	h := Held{Windows: map[string]int{}, Cached: k.cache.len(), Hits: k.hits.Load(), Misses: k.misses.Load()}
	if k.windows != nil {
		k.windows.count(&h)
	}
	return h
}

func (w *windows) count(h *Held) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.current.Values() {
		if c.ended || w.now().Sub(c.made) >= w.age {
			continue
		}
		h.Windows[c.kek]++
		if end := c.made.Add(w.age); h.NextEnd.IsZero() || end.Before(h.NextEnd) {
			h.NextEnd = end
		}
	}
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return 0
	}
	return c.keys.Len()
}
