package kms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

// mustWrite makes an object's key and returns the KEK that it names.
func (f *fixture) mustWrite(bucket string) string {
	f.t.Helper()
	return f.object(bucket, "k").KEK
}

func TestARotationBeginsNewWindowsWithinThePollOfEveryBucketInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = 0 }) // 10 s
		first := id(f.object("photos", "a"))
		f.mustWrite("copies")
		f.key.rotate("v2")
		for range 9 { // with constant use
			time.Sleep(time.Second)
			f.mustWrite("photos")
			f.mustWrite("copies")
		}
		if got := f.mustWrite("photos"); got != "fake://a/key#v1" {
			t.Errorf("after 9 s: %s", got)
		}
		f.records.set("photos", first, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, bucket := range []string{"photos", "copies"} {
			if got := f.mustWrite(bucket); got != "fake://a/key#v2" {
				t.Errorf("%s after 10 s: %s", bucket, got)
			}
		}
		if f.key.asked() != 1 {
			t.Errorf("%d questions, want one for all windows", f.key.asked())
		}
		if !f.records.has("photos", first) {
			t.Error("the record of the window that ended was not asserted")
		}
		if f.key.windowWraps() != 4 {
			t.Errorf("%d windows, want 4", f.key.windowWraps())
		}
	})
}

func TestTheKMSIsNotPolledWhileNoWindowIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = time.Second })
		time.Sleep(time.Minute)
		if f.key.asked() != 0 {
			t.Errorf("%d questions before the first use", f.key.asked())
		}
		f.mustWrite("photos")
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if f.key.asked() != 1 {
			t.Errorf("%d questions for one use, want 1", f.key.asked())
		}
		// The first use after a pause asks at once: the following objects use the new version.
		f.key.rotate("v2")
		f.mustWrite("photos")
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := f.mustWrite("photos"); got != "fake://a/key#v2" {
			t.Errorf("after a pause: %s", got)
		}
	})
}

func TestWithoutARotationAWindowStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = time.Second })
		for range 600 {
			f.mustWrite("photos")
			time.Sleep(time.Second)
		}
		if f.key.windowWraps() != 1 || f.key.asked() < 590 {
			t.Errorf("%d windows and %d questions, want 1 and about 600", f.key.windowWraps(), f.key.asked())
		}
	})
}

func TestAPollThatFailsIsLoggedOnceAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = time.Second })
		window := id(f.object("photos", "a"))
		for outage := 1; outage <= 2; outage++ {
			f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
			for range 20 {
				time.Sleep(time.Second)
				if got := id(f.object("photos", "a")); got != window {
					t.Fatal("the window ended")
				}
			}
			f.key.setFail(nil)
			for range 3 {
				time.Sleep(time.Second)
				f.mustWrite("photos")
			}
			synctest.Wait()
			if n := strings.Count(f.log.String(), "could not ask"); n != outage {
				t.Errorf("outage %d: logged %d times:\n%s", outage, n, f.log.String())
			}
		}
	})
}

func TestAWindowThatWasMadeWhileThePollAskedIsNotEndedByItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = time.Second })
		f.mustWrite("photos")
		f.key.holdCurrent()
		time.Sleep(time.Second)
		synctest.Wait() // the answer is v1, but has not arrived yet
		f.key.rotate("v2")
		w := id(f.object("copies", "a"))
		f.key.releaseCurrent()
		synctest.Wait()
		if got := id(f.object("copies", "b")); got != w {
			t.Error("a window of the new version was ended")
		}
	})
}

func TestCloseEndsThePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.Poll = time.Second })
		f.mustWrite("photos")
		release := f.key.hold()
		defer release()
		time.Sleep(time.Second)
		synctest.Wait() // it asks, and gets no answer
		before := time.Now()
		if err := f.Close(t.Context()); err != nil || time.Since(before) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(before))
		}
		asked := f.key.asked()
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.key.asked() != asked || f.log.String() != "" {
			t.Errorf("asked again after Close: %d, %d; %s", asked, f.key.asked(), f.log.String())
		}
	})
}

// An outage of the KMS, as seen by a proxy.

func TestDuringAKMSOutageCachedKeysServeUntilTheirTTLAndAgainAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		reader := f.another(func(c *kms.Config) { c.CacheTTL = time.Minute })
		m := f.object("photos", "a")
		open := func() error {
			dek, err := reader.OpenKey(t.Context(), name("photos", "a"), m)
			if err == nil {
				dek.Destroy()
			}
			return err
		}
		if err := open(); err != nil {
			t.Fatal(err)
		}
		f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
		time.Sleep(time.Minute - 1)
		if err := open(); err != nil {
			t.Errorf("within the TTL: %v", err)
		}
		time.Sleep(time.Nanosecond)
		for range 3 {
			if err := open(); !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("after the TTL: %v, want %v", err, kms.ErrUnavailable)
			}
		}
		f.key.setFail(nil)
		if err := open(); err != nil {
			t.Errorf("when the KMS is back: %v", err)
		}
	})
}

func TestDuringAKMSOutageAWindowsObjectsAreReadUntilItEndsEvenIfTheCacheIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.CacheTTL = time.Minute })
		m := f.object("photos", "a")
		f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
		open := func(bucket string) error {
			_, err := f.OpenKey(t.Context(), name(bucket, "a"), m)
			return err
		}
		time.Sleep(time.Hour - time.Second)
		if err := open("photos"); err != nil {
			t.Errorf("before the window's end: %v", err)
		}
		f.object("photos", "b")
		if err := open("copies"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("in another bucket: %v, want %v", err, kms.ErrUnavailable)
		}
		time.Sleep(time.Second)
		if err := open("photos"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("after its end: %v, want %v", err, kms.ErrUnavailable)
		}
		if _, _, err := f.NewKey(t.Context(), name("photos", "c")); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("a write after its end: %v, want %v", err, kms.ErrUnavailable)
		}
		f.key.setFail(nil)
		if err := open("photos"); err != nil {
			t.Errorf("when the KMS is back: %v", err)
		}
		f.object("photos", "d")
	})
}

// A machine that slept has an old window, and a timer that has not fired yet.
func TestAWindowThatIsTooOldOpensNothingEvenIfItsTimerIsLate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *kms.Config) { c.Now = func() time.Time { return now } })
	m := f.object("photos", "a")
	f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
	now = now.Add(time.Hour)
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("OpenKey: %v, want %v", err, kms.ErrUnavailable)
	}
}

func TestAnEarlierWindowsObjectIsNotOpenedByTheCurrentWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *kms.Config) { c.CacheTTL, c.WindowObjects = time.Minute, 1 })
		first := f.object("photos", "a")
		f.object("photos", "b")
		time.Sleep(2 * time.Minute)
		if _, err := f.OpenKey(t.Context(), name("photos", "a"), first); err != nil {
			t.Errorf("OpenKey: %v", err)
		}
	})
}

func TestTwentyThousandObjectsInFourBucketsCostAFewWraps(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 100_000 })
	for i := range 20_000 {
		f.mustWrite(fmt.Sprintf("bucket-%d", i%4))
	}
	if all := f.key.count(func(kms.Context) bool { return true }); all != 4 {
		t.Errorf("%d wraps, want 4", all)
	}
}
