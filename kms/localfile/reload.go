package localfile

import (
	"io/fs"
	"os"
	"time"
)

const (
	// lookEvery is how often the file is looked at while its keys are used.
	lookEvery = time.Second
	// retryEvery is how often a broken file that did not change is read again: the
	// passphrase may have come meanwhile. A reading may cost an Argon2 each time.
	retryEvery = 5 * time.Second
)

// state is what is known of the file.
type state struct {
	set    *loaded     // of its last good reading
	seen   fs.FileInfo // what was last read; nil: there was nothing to read
	read   time.Time   // when
	broken error       // why it is not good now; nil: it is
}

// now gives the keys, of a file that is looked at at most once in lookEvery. Who
// comes while another looks gets what was known before.
func (k *Key) now() *state {
	if time.Now().UnixNano()-k.looked.Load() < int64(lookEvery) {
		return k.state.Load()
	}
	return k.refresh(false)
}

// refresh looks at the file, and reads it when it is another than the one that was
// read. It waits for a look of another's only if that is demanded.
func (k *Key) refresh(wait bool) *state {
	if wait {
		k.look.Lock()
	} else if !k.look.TryLock() {
		return k.state.Load()
	}
	defer k.look.Unlock()
	before := k.state.Load()
	now := time.Now()
	info, err := os.Stat(k.path)
	k.looked.Store(now.UnixNano())
	if err == nil && same(info, before.seen) && (before.broken == nil || now.Sub(before.read) < retryEvery) {
		return before
	}
	if err != nil {
		info = nil
	}
	// When os.Stat failed, load says so in its own words.
	set, err := load(k.path, k.options)
	after := &state{set: set, seen: info, read: now, broken: err}
	switch {
	case err != nil:
		after.set = before.set
		if before.broken == nil {
			k.options.logger().Error("the keyset file is broken; the keys that were read from it before stay in use", "error", err)
		}
	case before.broken != nil || set.primary != before.set.primary || len(set.aeads) != len(before.set.aeads):
		k.options.logger().Info("the keyset file was read again", "path", k.path, "primary", kekName(set.primary), "enabled", len(set.aeads))
	}
	k.state.Store(after)
	return after
}

// same tells whether a file is the one that was read: a rename changes what
// os.SameFile compares, a chmod the mode, a write in place the time or the size.
func same(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
