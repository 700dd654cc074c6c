package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
)

func TestAKEKMayGoOnlyIfAllWasLookedAtAndNothingNeedsIt(t *testing.T) {
	t.Parallel()
	const old, current = "localfile:#1", "localfile:#2"
	seen := func(change func(*statusCount)) *statusCount {
		c := &statusCount{KeyStatus: KeyStatus{Current: current, Objects: true}}
		if change != nil {
			change(c)
		}
		return c
	}
	for _, c := range []struct {
		name  string
		count *statusCount
		use   KEKUse
		want  string // the beginning of the reason; "" is a yes
	}{
		{"all objects are covered", seen(nil), KEKUse{KEK: old, Objects: 7, Covered: 7}, ""},
		{"nothing names it", seen(nil), KEKUse{KEK: old}, ""},
		{"nothing that is configured is called so, but objects name it and are covered", seen(nil), KEKUse{KEK: old, Objects: 1, Covered: 1, unknown: true}, ""},
		{"it is current", seen(nil), KEKUse{KEK: current}, "it is the current one"},
		{"the floor", seen(nil), KEKUse{KEK: old, Floor: true}, "the bucket's floor"},
		{"records", seen(nil), KEKUse{KEK: old, Records: 1}, "1 window records"},
		{"window 0", seen(nil), KEKUse{KEK: old, Objects: 2, WindowZero: 2}, "2 objects of window 0"},
		{"a record is missing", seen(nil), KEKUse{KEK: old, Objects: 3, NoRecord: 3}, "3 objects have no window record"},
		{"a record does not open", seen(nil), KEKUse{KEK: old, Objects: 4, Covered: 3, BadRecord: 1}, "1 objects have a window record that does not open"},
		{"objects were not looked at", seen(func(c *statusCount) { c.Objects = false }), KEKUse{KEK: old}, "not known: only --objects"},
		{"it may be misspelt", seen(nil), KEKUse{KEK: old, unknown: true}, "not known: no configured key has this name"},
		{"something could not be looked at", seen(func(c *statusCount) { c.Unreadable = Reasons{{Key: "x"}: "y"} }), KEKUse{KEK: old, Objects: 1, Covered: 1}, "not known: not everything"},
		{"an upload of window 0", seen(func(c *statusCount) { c.zeroUpload = true }), KEKUse{KEK: old}, "not known while uploads of window 0"},
	} {
		got := c.count.needs(&c.use)
		if c.want == "" && got != "" || c.want != "" && !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	all := seen(nil).needs(&KEKUse{KEK: current, Floor: true, Records: 1, WindowZero: 2, NoRecord: 3, BadRecord: 4})
	if n := strings.Count(all, ", "); !strings.HasPrefix(all, "it is the current one, the bucket's floor") || n < 5 {
		t.Errorf("several reasons: %q", all)
	}
}

// counting is a count over the bucket, by the key file as it is now.
func (k *keyed) counting(change ...func(kms.Key) kms.Key) *statusCount {
	return &statusCount{
		bucket: k.bucket(k.ring(time.Hour, change...)),
		uses:   map[string]*KEKUse{}, read: map[string]readRecord{},
	}
}

// failing is a key whose KMS gives an error.
type failing struct {
	kms.Key
	err error
}

func (f failing) Unwrap(context.Context, kms.Wrapped, kms.Context) ([]byte, error) {
	return nil, f.err
}

func TestAnObjectIsCoveredOnlyByARecordThatAnotherKEKOpensNow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		window time.Duration
		// then is what happens to the bucket whose record has this path.
		then func(k *keyed, path string)
		// also changes the key that the count asks.
		also func(kms.Key) kms.Key
		want cover
		err  error // or this
	}{
		{name: "no window", then: func(*keyed, string) {}, want: windowZero},
		{name: "the record is of the same KEK", window: time.Hour, then: func(*keyed, string) {}, want: recordOfSameKEK},
		{name: "the record is of another KEK", window: time.Hour, then: rewrapAll, want: coveredByRecord},
		{name: "the other KEK is gone", window: time.Hour, then: func(k *keyed, path string) {
			rewrapAll(k, path)
			second := k.rewrapping().KEK()
			k.rotate()
			k.destroy(second)
		}, want: recordBroken},
		{name: "the record is another window's", window: time.Hour, then: func(k *keyed, path string) {
			rewrapAll(k, path)
			other := k.object(time.Hour)
			k.store.objects[path] = k.store.objects[k.path(hex.EncodeToString(other.WindowID()))]
		}, want: recordBroken},
		{name: "no record", window: time.Hour, then: func(k *keyed, path string) { delete(k.store.objects, path) }, want: recordMissing},
		{name: "garbage", window: time.Hour, then: func(k *keyed, path string) { k.store.objects[path] = []byte("garbage") }, want: recordBroken},
		{name: "the KMS is silent", window: time.Hour, then: rewrapAll, also: func(key kms.Key) kms.Key { return failing{key, kms.ErrUnavailable} }, err: kms.ErrUnavailable},
		{name: "the KMS refuses", window: time.Hour, then: rewrapAll, also: func(key kms.Key) kms.Key { return failing{key, kms.ErrDenied} }, want: recordBroken},
		{name: "the store is silent", window: time.Hour, then: func(k *keyed, _ string) {
			k.store.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true }
		}, err: errAny},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t)
			m := k.object(c.window)
			path := ""
			if m.Window != nil {
				path = k.path(hex.EncodeToString(m.WindowID()))
			}
			c.then(k, path)
			var change []func(kms.Key) kms.Key
			if c.also != nil {
				change = append(change, c.also)
			}
			count := k.counting(change...)
			got, err := count.cover(t.Context(), m)
			if c.err != nil {
				if err == nil || c.err != errAny && !errors.Is(err, c.err) {
					t.Errorf("%v %v, want an error: %v", got, err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("%v %v, want %v", got, err, c.want)
			}
			if err := count.object(t.Context(), Item{Key: "key"}, m, false); err != nil {
				t.Fatal(err)
			}
			use := count.use(m.KEK)
			if (use.Covered == 1) != (c.want == coveredByRecord) || use.Objects != 1 {
				t.Errorf("counted as %+v", use)
			}
			if named := len(use.First) == 1; named != (c.want != coveredByRecord && c.want != recordOfSameKEK) {
				t.Errorf("named: %v, %+v", named, use)
			}
		})
	}
}

var errAny = errors.New("any")

// rewrapAll rotates the key, and wraps the record anew.
func rewrapAll(k *keyed, path string) {
	k.rotate()
	fresh, _, changed, err := k.rewrapping().Record(k.t.Context(), keyedBucket, path[strings.LastIndex(path, "/")+1:], k.store.objects[path])
	if err != nil || !changed {
		k.t.Fatalf("wrap the record anew: changed %v, %v", changed, err)
	}
	k.store.objects[path] = fresh
}

func TestPlaintextAndRecordsAreCountedOnceEach(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	m := k.object(time.Hour)
	count := k.counting()
	for range 2 {
		if err := count.object(t.Context(), Item{Key: "plain"}, nil, false); err != nil {
			t.Fatal(err)
		}
		if err := count.object(t.Context(), Item{Key: "key"}, m, false); err != nil {
			t.Fatal(err)
		}
	}
	if use := count.use(m.KEK); count.Plain != 2 || count.Records != 1 || use.Records != 1 || use.Objects != 2 {
		t.Errorf("%+v, %+v", count.KeyStatus, use)
	}
	var none *envelope.Metadata
	if err := count.object(t.Context(), Item{Key: "plain"}, none, false); err != nil || count.Plain != 3 {
		t.Errorf("%d plain, %v", count.Plain, err)
	}
}
