package object

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Clients who come and go must not leave reads behind that no limit on requests counts.
func TestAReadThatItsRequestHasLeftEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads sharedReads
		var running atomic.Int64
		ctx, leave := context.WithCancel(t.Context())
		for n := range 2 * maxLeft {
			together(ctx, &reads, strconv.Itoa(n), func(ctx context.Context) (int, error) {
				running.Add(1)
				defer running.Add(-1)
				<-ctx.Done()
				return 0, ctx.Err()
			})
		}
		synctest.Wait()
		if n := running.Load(); n != 2*maxLeft {
			t.Fatalf("%d reads run", n)
		}
		leave()
		synctest.Wait()
		if n := running.Load(); n != maxLeft {
			t.Errorf("%d reads go on without their requests, want %d", n, maxLeft)
		}
		time.Sleep(leftFor)
		synctest.Wait()
		if running, left := running.Load(), reads.left.Load(); running != 0 || left != 0 {
			t.Errorf("%d reads go on, %d are counted, want none", running, left)
		}
	})
}

func TestAPanicInASharedReadIsAnError(t *testing.T) {
	var reads sharedReads
	_, err := together(t.Context(), &reads, "", func(context.Context) (int, error) { panic("at the disco") })()
	if err == nil || !strings.Contains(err.Error(), "at the disco") || !strings.Contains(err.Error(), "end_test.go") {
		t.Errorf("%v", err)
	}
}
