package kms_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

func TestAHundredFirstWritersInThreeBucketsMakeThreeWindows(t *testing.T) {
	for _, held := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, nil)
			release := func() {}
			if held { // all of them wait for the same three windows
				release = f.key.hold()
			}
			var mu sync.Mutex
			windows := make(map[string]bool)
			for i := range 100 {
				go func() {
					bucket := fmt.Sprintf("bucket-%d", i%3)
					_, m, err := f.NewKey(t.Context(), name(bucket, fmt.Sprint(i)))
					if err != nil {
						t.Errorf("NewKey: %v", err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					windows[bucket+"/"+id(m)] = true
				}()
			}
			synctest.Wait()
			release()
			synctest.Wait()
			if f.key.windowWraps() != 3 || f.key.otherWraps() != 0 || f.records.putCount() != 3 || len(windows) != 3 {
				t.Errorf("%d wraps of windows, %d others, %d puts, %d windows; want 3, 0, 3 and 3",
					f.key.windowWraps(), f.key.otherWraps(), f.records.putCount(), len(windows))
			}
		})
	}
}

func TestAWindowServesExactlyItsNumberOfObjects(t *testing.T) {
	const objects, limit = 205, 10
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = limit })
	var mu sync.Mutex
	used := make(map[string]int)
	var all sync.WaitGroup
	for i := range objects {
		all.Go(func() {
			_, m, err := f.NewKey(t.Context(), name("photos", fmt.Sprint(i)))
			if err != nil {
				t.Errorf("NewKey: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			used[id(m)]++
		})
	}
	all.Wait()
	for window, n := range used {
		if n > limit {
			t.Errorf("window %s served %d objects, more than %d", window, n, limit)
		}
	}
	if want := (objects + limit - 1) / limit; len(used) != want {
		t.Errorf("%d windows, want %d", len(used), want)
	}
}

func TestAWindowEndsByAge(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *kms.Config) { c.Now = func() time.Time { return now } })
	first := id(f.object("photos", "a"))
	now = now.Add(time.Hour - 1)
	if id(f.object("photos", "b")) != first {
		t.Error("the window ended early")
	}
	now = now.Add(1)
	if id(f.object("photos", "c")) == first {
		t.Error("the window did not end")
	}
}

func TestAnotherBucketHasAnotherWindow(t *testing.T) {
	f := newFixture(t, nil)
	if id(f.object("photos", "a")) == id(f.object("copies", "a")) {
		t.Error("two buckets share a window")
	}
}

func TestTheRecordIsInTheBucketBeforeTheFirstObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		gate := make(chan struct{})
		f.records.gate = gate
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.object("photos", "a")
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Error("NewKey did not wait for the record")
		default:
		}
		if f.records.putCount() != 1 {
			t.Errorf("%d puts, want 1", f.records.putCount())
		}
		close(gate)
		<-done
	})
}

func TestTheRecordIsWhatTheFormatSays(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	sum := sha256.Sum256(m.Window)
	if id(m) != hex.EncodeToString(sum[:16]) {
		t.Errorf("id %s is not the hash of the wrapped key", id(m))
	}
	body := f.records.records["photos/"+id(m)]
	var r map[string]any
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	blob, err := base64.StdEncoding.DecodeString(r["wrapped"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != string(recordOf("fake://a/key#v1", blob)) {
		t.Errorf("record %s", body)
	}
	if string(blob) != string(m.Window) {
		t.Error("the record does not begin with the metadata's form")
	}
	windowKey, err := f.key.Unwrap(t.Context(), kms.Wrapped{KEK: m.KEK, Blob: m.Window}, kms.Context{"bucket": "photos"})
	if err != nil {
		t.Fatal(err)
	}
	// Once rewrapped, the record has a context of its own.
	f.key.rotate("v2")
	f.mustRewrap(f.Keyring, "photos", id(m))
	if err := json.Unmarshal(f.records.records["photos/"+id(m)], &r); err != nil {
		t.Fatal(err)
	}
	if blob, err = base64.StdEncoding.DecodeString(r["wrapped"].(string)); err != nil {
		t.Fatal(err)
	}
	recordKey, err := f.key.Unwrap(t.Context(), kms.Wrapped{KEK: "fake://a/key#v2", Blob: blob}, kms.Context{"bucket": "photos", "id": id(m)})
	if err != nil || string(windowKey) != string(recordKey) {
		t.Errorf("the re-wrapped record holds another key than the metadata, or %v", err)
	}
}

func TestARecordThatCannotBePutLeavesNoWindow(t *testing.T) {
	f := newFixture(t, nil)
	store := &storeError{Code: "NoSuchBucket"}
	f.records.setFail(store)
	for range 2 {
		if _, _, err := f.NewKey(t.Context(), name("photos", "a")); err != error(store) {
			t.Errorf("NewKey: %v, want the store's error as it is", err)
		}
	}
	if f.key.windowWraps() != 2 {
		t.Errorf("%d windows were tried, want 2", f.key.windowWraps())
	}
	f.records.setFail(nil)
	if m := f.object("photos", "a"); !f.records.has("photos", id(m)) {
		t.Error("there is no record")
	}
}

func TestWithTheKMSAwayAWindowServesToItsEnd(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *kms.Config) { c.Now = func() time.Time { return now } })
	m := f.object("photos", "a")
	f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
	now = now.Add(time.Hour - 1)
	f.object("photos", "b")
	now = now.Add(1)
	for range 2 {
		if _, _, err := f.NewKey(t.Context(), name("photos", "c")); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("NewKey after the window's end: %v, want %v", err, kms.ErrUnavailable)
		}
	}
	f.key.setFail(nil)
	if id(f.object("photos", "d")) == id(m) {
		t.Error("the old window came back")
	}
}

func TestAWriterWhoGivesUpDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		release := f.key.hold()
		first, cancel := context.WithCancel(t.Context())
		var firstErr, secondErr error
		var both sync.WaitGroup
		both.Go(func() { _, _, firstErr = f.NewKey(first, name("photos", "a")) })
		synctest.Wait() // the first caller's window is being made
		both.Go(func() { _, _, secondErr = f.NewKey(t.Context(), name("photos", "b")) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(firstErr, context.Canceled) {
			t.Errorf("the caller that gave up: %v, want %v", firstErr, context.Canceled)
		}
		release()
		both.Wait()
		if secondErr != nil || f.key.windowWraps() != 1 {
			t.Errorf("the caller that stayed: %v with %d windows, want none and 1", secondErr, f.key.windowWraps())
		}
		if _, _, err := f.NewKey(first, name("copies", "a")); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended before: %v", err)
		}
		synctest.Wait()
		if f.key.windowWraps() != 1 {
			t.Error("a window was made for nobody")
		}
	})
}

func TestAForgottenBucketGetsANewWindowAndRecord(t *testing.T) {
	f := newFixture(t, nil)
	first := id(f.object("photos", "a"))
	other := id(f.object("copies", "a"))
	f.records.set("photos", first, nil)
	f.ForgetBucket("photos")
	f.ForgetBucket("never seen")
	second := id(f.object("photos", "a"))
	if second == first || !f.records.has("photos", second) {
		t.Error("the next write made no new window and record")
	}
	if id(f.object("copies", "b")) != other {
		t.Error("another bucket's window went too")
	}
	if f.records.has("photos", first) {
		t.Error("the forgotten window's record was put again")
	}
}

func TestABucketForgottenWhileItsWindowIsMadeGetsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		gate := make(chan struct{})
		f.records.gate = gate
		got := make(chan string)
		go func() { got <- id(f.object("photos", "a")) }()
		synctest.Wait() // the first record is being put
		f.ForgetBucket("photos")
		close(gate)
		used := <-got
		if f.key.windowWraps() != 2 || !strings.HasSuffix(f.records.puts[1], used) {
			t.Errorf("%d windows, object in %s; want the second of 2", f.key.windowWraps(), used)
		}
		if id(f.object("photos", "b")) != used {
			t.Error("the second window is not the current one")
		}
	})
}

func TestTheRecordIsPutAgainEveryFiveMinutesOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		m := f.object("photos", "a")
		at := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			for i := range 10 {
				f.object("photos", fmt.Sprint(i))
			}
			synctest.Wait()
			if got := f.records.putCount(); got != want {
				t.Errorf("%d puts, want %d", got, want)
			}
		}
		at(0, 1)
		at(5*time.Minute-1, 1)
		at(1, 2)
		f.records.set("photos", id(m), nil) // as by a sweep gone wrong
		at(17*time.Minute, 3)               // unused in between: once, not three times
		if !f.records.has("photos", id(m)) {
			t.Error("the record was not put again")
		}
		at(5*time.Minute-1, 3)
		at(1, 4)
	})
}

func TestTheRecordIsPutAgainWhenTheWindowEnds(t *testing.T) {
	for what, end := range map[string]func(f *fixture){
		"by age, unused": func(*fixture) { time.Sleep(time.Hour) },
		"by count":       func(f *fixture) { f.object("photos", "b"); f.object("photos", "c") },
		"by Close":       func(f *fixture) { _ = f.Close(f.t.Context()) },
		"for want of room": func(f *fixture) {
			for i := range 1024 {
				f.object(fmt.Sprintf("bucket-%d", i), "a")
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 2 })
				m := f.object("photos", "a")
				f.records.set("photos", id(m), nil)
				end(f)
				synctest.Wait()
				if !f.records.has("photos", id(m)) {
					t.Error("the record was not put again")
				}
				puts := 0
				for _, put := range f.records.puts {
					if put == "photos/"+id(m) {
						puts++
					}
				}
				if puts != 2 {
					t.Errorf("%d puts of the record, want 2", puts)
				}
			})
		})
	}
}

func TestAWindowEndsByAgeOnceWhateverNoticesItFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		first := id(f.object("photos", "a"))
		time.Sleep(time.Hour)
		for i := range 20 {
			go f.object("photos", fmt.Sprint(i))
		}
		synctest.Wait()
		if f.key.windowWraps() != 2 {
			t.Errorf("%d windows, want 2", f.key.windowWraps())
		}
		puts := 0
		for _, put := range f.records.puts {
			if put == "photos/"+first {
				puts++
			}
		}
		if puts != 2 {
			t.Errorf("%d puts of the first record, want 2", puts)
		}
	})
}

func TestAFailureToPutTheRecordAgainIsLoggedAndNotFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		m := f.object("photos", "a")
		f.records.setFail(&storeError{Code: "SlowDown"})
		time.Sleep(6 * time.Minute)
		f.object("photos", "b")
		synctest.Wait()
		if log := f.log.String(); !strings.Contains(log, "SlowDown") || !strings.Contains(log, id(m)) {
			t.Errorf("log %q, want the error and the window", log)
		}
	})
}

func TestAStoreThatHangsDoesNotHoldUpWritersOrStayForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.object("photos", "a")
		f.records.gate = make(chan struct{}) // never opened
		time.Sleep(6 * time.Minute)
		before := time.Now()
		f.object("photos", "b")
		if time.Since(before) != 0 {
			t.Error("a writer waited for the record's second put")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !strings.Contains(f.log.String(), "deadline exceeded") {
			t.Errorf("log %q, want a deadline", f.log.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		before = time.Now()
		if err := f.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 5*time.Second {
			t.Errorf("Close: %v after %v, want the deadline after 5s", err, time.Since(before))
		}
	})
}

func TestAfterCloseNoKeysAreMadeAndReadingStillWorks(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.records.putCount() != 2 {
		t.Errorf("%d puts, want 2", f.records.putCount())
	}
	for _, bucket := range []string{"photos", "copies"} {
		if _, _, err := f.NewKey(t.Context(), name(bucket, "b")); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("NewKey: %v, want %v", err, kms.ErrUnavailable)
		}
	}
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); err != nil || f.key.unwrapped() != 1 {
		t.Errorf("OpenKey: %v after %d unwraps, want none after 1: the cache is empty", err, f.key.unwrapped())
	}
	if err := f.Close(t.Context()); err != nil || f.records.putCount() != 2 {
		t.Errorf("a second Close: %v, %d puts", err, f.records.putCount())
	}
}

func TestCloseWaitsForAWindowOnItsWayButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		release := f.key.hold()
		var err error
		var writer sync.WaitGroup
		writer.Go(func() { _, _, err = f.NewKey(t.Context(), name("photos", "a")) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		before := time.Now()
		if err := f.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 5*time.Second {
			t.Errorf("Close: %v after %v, want the deadline after 5s", err, time.Since(before))
		}
		closed := make(chan error)
		go func() { closed <- f.Close(t.Context()) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the window")
		default:
		}
		release()
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		writer.Wait()
		if !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("NewKey: %v, want %v", err, kms.ErrUnavailable)
		}
	})
}

func TestCloseSaysWhichRecordsItCouldNotPut(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	f.object("copies", "a")
	store := &storeError{Code: "SlowDown"}
	f.records.setFail(store)
	err := f.Close(t.Context())
	if !errors.Is(err, error(store)) || !strings.Contains(err.Error(), id(m)) || !strings.Contains(err.Error(), "copies") {
		t.Errorf("Close: %v, want the store's error with both windows", err)
	}
}

func TestAKMSSlowerThanTheWindowStillServes(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *kms.Config) {
		c.Now = func() time.Time { // each look at the clock is one window later
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(2 * time.Hour)
			return now
		}
	})
	for i := range 5 {
		f.object("photos", fmt.Sprint(i))
	}
	if f.key.windowWraps() != 5 {
		t.Errorf("%d windows, want 5", f.key.windowWraps())
	}
}

func TestMoreBucketsThanWindowsAreServedAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	var all sync.WaitGroup
	for i := range 1500 {
		all.Go(func() {
			if _, _, err := f.NewKey(t.Context(), name(fmt.Sprintf("bucket-%d", i), "a")); err != nil {
				t.Errorf("NewKey: %v", err)
			}
		})
	}
	all.Wait()
	if f.key.windowWraps() != 1500 {
		t.Errorf("%d windows, want 1500", f.key.windowWraps())
	}
}

func BenchmarkNewKeyInAWindow(b *testing.B) {
	k, err := kms.NewKeyring(kms.Config{Write: newFakeKey("fake:"), Records: newFakeRecords(), Window: time.Hour, WindowObjects: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := k.NewKey(b.Context(), name("photos", "a")); err != nil {
				b.Error(err)
			}
		}
	})
}

func recordOf(kek string, blob []byte) []byte {
	return fmt.Appendf(nil, `{"format":1,"kek":%q,"wrapped":%q}`, kek, base64.StdEncoding.EncodeToString(blob))
}

func TestABucketThatIsNotThereCostsNoCallAndNoRecord(t *testing.T) {
	key, records := newFakeKey("fake:"), newFakeRecords()
	records.missing = errors.New("no such bucket")
	k, err := kms.NewKeyring(kms.Config{Write: key, Records: records, Window: time.Hour, WindowObjects: 10})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, _, err := k.NewKey(t.Context(), name("none", "k")); !errors.Is(err, records.missing) {
			t.Errorf("NewKey: %v", err)
		}
	}
	if len(records.puts) > 0 || len(key.wraps) > 0 {
		t.Errorf("%d records were put, and the KMS was called %d times", len(records.puts), len(key.wraps))
	}
}
