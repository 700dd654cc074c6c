package kms

// Held is how many keys a Keyring has in memory, unwrapped: with these it works while its
// KMS does not answer.
type Held struct {
	// Windows are the window keys that new objects get, one for each bucket that is being
	// written to, by the versioned URI of the key that wrapped them.
	Windows map[string]int
	// Cached are the window keys that objects are read with.
	Cached int
}

// Any tells whether there are keys at all.
func (h Held) Any() bool { return len(h.Windows) > 0 || h.Cached > 0 }

// Held counts the keys that are in memory now.
func (k *Keyring) Held() Held {
	h := Held{Windows: map[string]int{}, Cached: k.cache.len()}
	if k.windows != nil {
		k.windows.count(h.Windows)
	}
	return h
}

func (w *windows) count(byKEK map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.current.Values() {
		if !c.ended && w.now().Sub(c.made) < w.age {
			byKEK[c.kek]++
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
