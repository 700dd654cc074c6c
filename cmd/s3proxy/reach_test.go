package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestAStoreIsAwayWhenItHasNotAnsweredForTheSetTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reach{unreadyAfter: time.Minute}
		never := &reach{}
		silent, answer := upstream.Exchange{Method: "GET"}, upstream.Exchange{Method: "GET", Status: 503}
		want := func(what string, away bool) {
			t.Helper()
			if r.away() != away || never.away() {
				t.Errorf("%s: away is %v (%v with 0)", what, r.away(), never.away())
			}
		}
		told := func(e upstream.Exchange) { r.observe(e); never.observe(e) }
		want("not asked yet", false)
		told(silent)
		want("never an answer", true)
		told(answer)
		want("the first answer", false)
		told(silent)
		time.Sleep(59 * time.Second)
		told(silent)
		want("59 seconds", false)
		time.Sleep(time.Second)
		want("a minute", true)
		told(upstream.Exchange{Method: "PUT", GivenUp: true})
		want("a client that went", true)
		told(answer)
		want("an error of the store's", false)
		time.Sleep(time.Hour)
		told(upstream.Exchange{Method: "PUT", GivenUp: true})
		time.Sleep(time.Hour)
		want("clients that go", false)
	})
}

// Without requests only the proxy's own looks show whether the store is there.
func TestAStoreThatNobodyAsksIsLookedAtEveryMinuteAndOftenerWhileItIsSilent(t *testing.T) {
	for _, after := range []time.Duration{time.Minute, 0} {
		synctest.Test(t, func(t *testing.T) {
			r := &reach{unreadyAfter: after}
			var broken atomic.Bool
			var looks atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			at := trial{what: "the store", reach: r, toDo: kmsToDo, look: func(context.Context) error {
				looks.Add(1)
				e := upstream.Exchange{Method: "GET", Status: 200}
				var err error
				if broken.Load() {
					e.Status, err = 0, errors.New("connection refused")
				}
				r.observe(e)
				return err
			}}
			go at.follow(ctx, slog.New(slog.DiscardHandler), func() {})
			during := func(d time.Duration, least, most int64) {
				t.Helper()
				before := looks.Load()
				time.Sleep(d)
				synctest.Wait()
				if n := looks.Load() - before; n < least || n > most {
					t.Errorf("%d looks in %v, want %d to %d", n, d, least, most)
				}
			}
			during(10*time.Minute+time.Second, 9, 11)
			for range 60 { // requests that are answered show it as well
				r.observe(upstream.Exchange{Method: "GET", Status: 404})
				during(10*time.Second, 0, 0)
			}
			broken.Store(true)
			during(2*time.Minute, 5, 9)
			during(time.Minute, 5, 7)
			if r.silence() < time.Minute || r.away() != (after > 0) {
				t.Errorf("silent for %v, away: %v", r.silence(), r.away())
			}
			broken.Store(false)
			during(11*time.Second, 1, 2)
			if r.silence() != 0 || r.away() {
				t.Error("nobody has noticed that the store is back")
			}
			cancel()
			synctest.Wait()
		})
	}
}
