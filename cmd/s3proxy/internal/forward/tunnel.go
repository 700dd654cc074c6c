package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// drainIdle is how long a tunnel may be silent once the proxy is to end: what is on its way goes
// on, and a client's idle connection does not hold up the end.
const drainIdle = 2 * time.Second

// tunnelBuffer is held for each direction of a tunnel, in bytes.
const tunnelBuffer = 16 << 10

// tunnels are those that are open.
type tunnels struct {
	idle     time.Duration
	places   chan struct{}
	draining atomic.Bool

	mu   sync.Mutex
	open map[*tunnel]struct{}
	none *sync.Cond
}

func newTunnels(most int, idle time.Duration) *tunnels {
	t := &tunnels{idle: idle, places: make(chan struct{}, most), open: map[*tunnel]struct{}{}}
	t.none = sync.NewCond(&t.mu)
	return t
}

// enter takes a place, which leave gives back; false where there is none.
func (t *tunnels) enter() bool {
	select {
	case t.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t *tunnels) leave() {
	<-t.places
	t.mu.Lock()
	defer t.mu.Unlock()
	t.none.Broadcast()
}

func (t *tunnels) maxIdle() time.Duration {
	if t.draining.Load() {
		return min(t.idle, drainIdle)
	}
	return t.idle
}

// drain shortens how long tunnels may be silent.
func (t *tunnels) drain() {
	t.draining.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.open {
		one.wake()
	}
}

// end waits for all tunnels, those whose host is yet to answer among them, and cuts them when ctx
// ends.
func (t *tunnels) end(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for one := range t.open {
			one.close()
		}
		t.none.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	cut := false
	for len(t.open) > 0 || len(t.places) > 0 && ctx.Err() == nil {
		t.none.Wait()
		cut = cut || ctx.Err() != nil
	}
	if cut {
		return errors.New("tunnels were cut")
	}
	return nil
}

// tunnel is two connections whose bytes go from one to the other.
type tunnel struct {
	client, host   net.Conn
	received, sent atomic.Int64 // from and to the client, in bytes
	moved          atomic.Int64 // when bytes moved last, as a Unix time in nanoseconds
}

// run moves bytes until one side ends, both are silent for too long, or the tunnel is closed.
// early is what the client has sent already.
func (t *tunnels) run(one *tunnel, early []byte) {
	t.mu.Lock()
	t.open[one] = struct{}{}
	t.mu.Unlock()
	defer func() {
		one.close()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, one)
		t.none.Broadcast()
	}()
	one.moved.Store(time.Now().UnixNano())
	up := make(chan struct{})
	go func() {
		defer close(up)
		if len(early) > 0 && !one.write(one.host, early, t.maxIdle, &one.received) {
			one.close()
			return
		}
		if !t.move(one, one.host, one.client, &one.received) || !closeWrite(one.host) {
			one.close()
		}
	}()
	if !t.move(one, one.client, one.host, &one.sent) || !closeWrite(one.client) {
		one.close()
	}
	<-up
}

// move copies until from ends, which is true, or nothing more can be done.
func (t *tunnels) move(one *tunnel, to, from net.Conn, count *atomic.Int64) (ended bool) {
	buffer := make([]byte, tunnelBuffer)
	for {
		idle := t.maxIdle()
		end := time.Unix(0, one.moved.Load()).Add(idle)
		if time.Now().After(end) || from.SetReadDeadline(end) != nil {
			return false
		}
		if t.maxIdle() != idle { // since: wake may have come before the deadline was set
			continue
		}
		n, err := from.Read(buffer)
		if n > 0 && !one.write(to, buffer[:n], t.maxIdle, count) {
			return false
		}
		switch {
		case err == io.EOF:
			return true
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return false
		}
	}
}

func (one *tunnel) write(to net.Conn, bytes []byte, idle func() time.Duration, count *atomic.Int64) bool {
	one.moved.Store(time.Now().UnixNano())
	if to.SetWriteDeadline(time.Now().Add(idle())) != nil {
		return false
	}
	n, err := to.Write(bytes)
	count.Add(int64(n))
	one.moved.Store(time.Now().UnixNano())
	return err == nil
}

// wake has the tunnel look at how long it may still be silent.
func (one *tunnel) wake() {
	_ = one.client.SetReadDeadline(time.Now())
	_ = one.host.SetReadDeadline(time.Now())
}

func (one *tunnel) close() {
	_ = one.client.Close()
	_ = one.host.Close()
}

// closeWrite tells the other end that no more comes; false if that cannot be said without
// closing all.
func closeWrite(c net.Conn) bool {
	half, can := c.(interface{ CloseWrite() error })
	return can && half.CloseWrite() == nil
}
