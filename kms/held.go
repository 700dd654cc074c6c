package kms

import "time"

// Held counts the unwrapped keys that a Keyring has in memory: with these it works while its KMS
// does not answer.
type Held struct {
	// Windows counts the window keys for new objects, one for each bucket that is being written to,
	// by the versioned URI of the key that wrapped them.
	Windows map[string]int
	// NextEnd is when the first of Windows ends: then the next object of that bucket needs the KMS.
	// Zero without windows.
	NextEnd time.Time
	// Cached counts the window keys for reading objects.
	Cached int
	// Hits and Misses count, since the start, how often the window key for reading an object was in
	// memory, and how often it was not.
	Hits, Misses uint64
}

// Any reports whether there are any keys.
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
