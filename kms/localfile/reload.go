package localfile

import (
	"io/fs"
	"os"
	"time"
)

const (
	// lookEvery is how often to look at the file while its keys are in use.
	lookEvery = time.Second
	// retryEvery is how often to read a broken file again that has not changed: the passphrase
	// may be there now. Each reading may cost an Argon2.
	retryEvery = 5 * time.Second
)

// state is what is known about the file.
type state struct {
	set    *loaded     // of its last good reading
	seen   fs.FileInfo // the file that was last read; nil if there was none
	read   time.Time   // when
	broken error       // why it cannot be used now; nil if it can
}

// now gives the keys. It looks at the file at most once in lookEvery; callers that come while
// another looks get what was known before.
func (k *Key) now() *state {
	if time.Now().UnixNano()-k.looked.Load() < int64(lookEvery) {
		return k.state.Load()
	}
	return k.refresh(false)
}

// refresh looks at the file, and reads it if it is not the one that was read last. If another
// caller is looking, it waits for that only if wait is set.
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
	// If os.Stat failed, load says so in its own words.
	set, err := load(k.path, k.options)
	after := &state{set: set, seen: info, read: now, broken: err}
	switch {
	case err != nil:
		after.set = before.set
		if before.broken == nil {
			k.options.logger().Error("the keyset file is broken; the keys that were read from it earlier stay in use", "error", err)
		}
	case before.broken != nil || set.primary != before.set.primary || len(set.aeads) != len(before.set.aeads):
		k.options.logger().Info("the keyset file was read again", "path", k.path, "primary", kekName(set.primary), "enabled", len(set.aeads))
	}
	k.state.Store(after)
	return after
}

// same tells whether a file is the one that was read. A rename changes what os.SameFile
// compares, a chmod the mode, a write in place the time or the size.
func same(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
