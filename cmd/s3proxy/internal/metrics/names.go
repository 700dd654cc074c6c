package metrics

import "sync"

// other stands for all names but the first ones.
const other = "other"

// names bounds the values of a label that clients choose.
type names struct {
	most int
	mu   sync.RWMutex
	seen map[string]bool
}

func newNames(most int) *names { return &names{most: most, seen: map[string]bool{}} }

// of gives name, or other where the bound is reached.
func (n *names) of(name string) string {
	n.mu.RLock()
	known, full := n.seen[name], len(n.seen) >= n.most
	n.mu.RUnlock()
	switch {
	case known:
		return name
	case full:
		return other
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.seen[name] && len(n.seen) >= n.most {
		return other
	}
	n.seen[name] = true
	return name
}

// has tells whether name has a value of its own.
func (n *names) has(name string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.seen[name]
}
