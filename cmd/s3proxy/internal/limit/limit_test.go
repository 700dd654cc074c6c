package limit

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestNoMoreThanTheLimitAreInAtOnce(t *testing.T) {
	refused := map[string]int{}
	l := New(Limits{Requests: 3, ClientRequests: 2}, func(limit string) { refused[limit]++ })
	in := func(client string) (done func()) {
		t.Helper()
		done, err := l.Admit(client)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	out := func(client, limit string) {
		t.Helper()
		before := refused[limit]
		_, err := l.Admit(client)
		var told *s3err.Error
		if !errors.As(err, &told) || told.Code != "SlowDown" || told.Status != 503 || refused[limit] != before+1 {
			t.Fatalf("%v, %v; want to be refused by %s", err, refused, limit)
		}
	}
	first, second := in("a"), in("a")
	out("a", ClientRequests)
	third := in("b")
	out("b", Requests)
	out("c", Requests)
	first()
	fourth := in("b")
	out("b", ClientRequests)
	for _, done := range []func(){second, third, fourth} {
		done()
	}
	in("b")
}

func TestARefusedRequestTakesNoPlace(t *testing.T) {
	l := New(Limits{Requests: 1, ClientRequests: 1}, func(string) {})
	done, err := l.Admit("a")
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := l.Admit("b"); err == nil {
			t.Fatal("more than the limit")
		}
	}
	done()
	if _, err := l.Admit("b"); err != nil {
		t.Error(err)
	}
}

func TestARateLeavesOtherClientsAlone(t *testing.T) {
	l := New(Limits{ClientRate: 1e-9, ClientBurst: 5}, func(string) {})
	for _, client := range []string{"a", "b", ""} {
		for i := range 8 {
			if _, err := l.Admit(client); (err == nil) != (i < 5) {
				t.Errorf("%q, request %d: %v", client, i, err)
			}
		}
	}
}

func TestAdmitCountsRightUnderManyClients(t *testing.T) {
	const most = 7
	l := New(Limits{Requests: most}, func(string) {})
	var inside, admitted atomic.Int64
	var all sync.WaitGroup
	for _, client := range []string{"a", "b", "c", "d"} {
		for range 8 {
			all.Go(func() {
				for range 500 {
					done, err := l.Admit(client)
					if err != nil {
						continue
					}
					if n := inside.Add(1); n > most {
						t.Errorf("%d at once", n)
					}
					admitted.Add(1)
					inside.Add(-1)
					done()
				}
			})
		}
	}
	all.Wait()
	if l.running.Load() != 0 || admitted.Load() == 0 {
		t.Errorf("%d are left, %d were in", l.running.Load(), admitted.Load())
	}
}
