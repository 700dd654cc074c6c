package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatDoesNotWorkIsSaidEveryMinuteUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		broken := true
		looks := 0
		at := trial{what: "the store", at: "http://h", look: func(ctx context.Context) error {
			looks++
			if !broken {
				return nil
			}
			<-ctx.Done() // it hangs
			return errors.New("dial: connection refused\n and more")
		}, toDo: kmsToDo}
		tried := time.Time{}
		start := time.Now()
		ended := make(chan struct{})
		go func() {
			at.follow(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func() {
				if tried.IsZero() {
					tried = time.Now()
				}
			})
			close(ended)
		}()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if took := tried.Sub(start); took > 5*time.Second {
			t.Errorf("said after %v", took)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 3 || strings.Count(log.String(), `"the store does not work: nothing listens there`) != 3 {
			t.Errorf("in three minutes:\n%s", log.String())
		}
		broken = false
		<-ended
		if !strings.HasSuffix(log.String(), "msg=\"the store works now\" at=http://h\n") || looks != 4 {
			t.Errorf("after %d looks:\n%s", looks, log.String())
		}
	})
}
