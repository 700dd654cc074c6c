package multipart

import (
	"context"
	"sync"
)

// locks serialize work on an upload within this process.
type locks struct {
	mu   sync.Mutex
	held map[Name]*lock
}

type lock struct {
	slot    chan struct{} // of one
	waiting int
}

// acquire waits for its turn until ctx ends. release ends the turn.
func (l *locks) acquire(ctx context.Context, name Name) (release func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[Name]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{slot: make(chan struct{}, 1)}
		l.held[name] = k
	}
	k.waiting++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.waiting--; k.waiting == 0 {
			delete(l.held, name)
		}
	}
	select {
	case k.slot <- struct{}{}:
		return func() { <-k.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
