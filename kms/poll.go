package kms

import (
	"context"
	"time"
)

// defaultPoll notices a rotation within seconds at a low cost: six calls a minute from a process
// that writes, none from one that does not.
const defaultPoll = 10 * time.Second

// poll asks the KMS for the key's current version while windows are in use, with one call for all
// windows. windows.mu guards its fields.
type poll struct {
	every  time.Duration
	timer  *time.Timer // for the next call; nil if none is due
	last   time.Time   // when the KMS last told the version, or was asked
	used   bool        // a window has served since then
	failed bool        // the last call failed; logged once per outage
	ctx    context.Context
	cancel context.CancelFunc
}

func newPoll(every time.Duration) poll {
	ctx, cancel := context.WithCancel(context.Background())
	return poll{every: every, ctx: ctx, cancel: cancel}
}

func (p *poll) end() {
	p.cancel()
	if p.timer != nil {
		p.timer.Stop()
	}
}

// pollSoon is called for each use of a window. After a time without use the call is due at once,
// because the key may have been rotated meanwhile.
func (s *windows) pollSoon() {
	s.poll.used = true
	if s.poll.timer == nil {
		s.poll.timer = time.AfterFunc(s.poll.every-time.Since(s.poll.last), s.look)
	}
}

// look asks for the current version, ends the windows of other versions, and schedules its next
// call. If no window was used since the last time, it does not ask, and the next use starts it
// again.
func (s *windows) look() {
	s.mu.Lock()
	if s.closed || !s.poll.used {
		s.poll.timer = nil
		s.mu.Unlock()
		return
	}
	s.poll.used, s.poll.last = false, time.Now()
	// Only these windows: one made meanwhile may know a newer version than the answer.
	asked := s.current.Values()
	s.background.Add(1)
	s.mu.Unlock()
	defer s.background.Done()

	var kek string
	err := s.timeout.bound(s.poll.ctx, func(ctx context.Context) (err error) {
		kek, err = s.write.Current(ctx)
		return err
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.poll.timer = time.AfterFunc(s.poll.every, s.look)
	if err != nil {
		if !s.poll.failed {
			s.log.Warn("could not ask the KMS for the key's current version; until it answers, a rotation is noticed only when windows end", "error", err)
		}
		s.poll.failed = true
		return
	}
	if s.poll.failed {
		s.log.Info("the KMS tells the key's current version again", "kek", kek)
	}
	s.poll.failed = false
	for _, w := range asked {
		if w.kek != kek && !w.ended {
			w.ended = true
			s.remove(w)
		}
	}
}
