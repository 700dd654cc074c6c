package forward

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A host may answer when the proxy is to end already, and each CONNECT is told of.
func TestTheEndWaitsForATunnelThatIsYetToOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunnels := newTunnels(1, time.Minute)
		if !tunnels.enter() {
			t.Fatal("no place")
		}
		ended := make(chan error, 1)
		go func() { ended <- tunnels.end(t.Context()) }()
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("the end did not wait")
		}
		tunnels.leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		tunnels.enter()
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tunnels.end(late); err == nil {
			t.Error("a tunnel that never opened is not told of")
		}
	})
}
