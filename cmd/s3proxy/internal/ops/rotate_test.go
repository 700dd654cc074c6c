package ops

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// aRecord is a bucket with one window record of the key file's first version.
func aRecord(t *testing.T) (k *keyed, id, kek string) {
	t.Helper()
	k = newKeyed(t)
	m := k.object(time.Hour)
	return k, hex.EncodeToString(m.WindowID()), m.KEK
}

func TestARecordIsWrappedAnewOnlyWhereItIsToBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    func(first string) rotation
		then func(k *keyed, path string)
		want recordOutcome
		// written: it is of the new version then.
		written bool
	}{
		{name: "another version", want: recordRewrapped, written: true, then: func(k *keyed, _ string) { k.rotate() }},
		{name: "the current version", want: recordCurrent, then: func(*keyed, string) {}},
		{name: "a dry run", want: recordRewrapped, then: func(k *keyed, _ string) { k.rotate() }, o: func(string) rotation { return rotation{Rotate: Rotate{Job: Job{DryRun: true}}} }},
		{name: "from this version", want: recordRewrapped, written: true, then: func(k *keyed, _ string) { k.rotate() }, o: func(first string) rotation { return rotation{from: first} }},
		{name: "from the whole key", want: recordRewrapped, written: true, then: func(k *keyed, _ string) { k.rotate() }, o: func(first string) rotation {
			key, _, _ := strings.Cut(first, "#")
			return rotation{from: key}
		}},
		{name: "from another version", want: recordLeft, then: func(k *keyed, _ string) { k.rotate() }, o: func(first string) rotation { return rotation{from: first + "9"} }},
		{name: "current, from another version", want: recordCurrent, then: func(*keyed, string) {}, o: func(first string) rotation { return rotation{from: first + "9"} }},
		{name: "it is gone", want: recordGone, then: func(k *keyed, path string) { delete(k.store.objects, path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, id, first := aRecord(t)
			path := k.path(id)
			c.then(k, path)
			var o rotation
			if c.o != nil {
				o = c.o(first)
			}
			before := k.store.objects[path]
			to := k.rewrapping()
			got, err := o.record(t.Context(), k.bucket(nil), to, id)
			if err != nil || got != c.want {
				t.Fatalf("%v %v, want %v", got, err, c.want)
			}
			if !c.written {
				if !bytes.Equal(before, k.store.objects[path]) {
					t.Error("the record was written")
				}
				return
			}
			if kek, err := kms.RecordKEK(k.store.objects[path]); err != nil || kek != to.KEK() || kek == first {
				t.Errorf("the record is of %s, %v", kek, err)
			}
			if err := k.ring(time.Hour).OpenRecord(t.Context(), keyedBucket, id, k.store.objects[path]); err != nil {
				t.Errorf("it does not open: %v", err)
			}
		})
	}
}

func TestARecordThatCannotBeWrappedAnewStaysAsItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		then func(k *keyed, path, kek string)
		want error
	}{
		{"garbage", func(k *keyed, path, _ string) { k.store.objects[path] = []byte("{}") }, kms.ErrInvalid},
		{"its version is gone", func(k *keyed, _, kek string) { k.destroy(kek) }, kms.ErrNotFound},
		{"the store refuses to read it", func(k *keyed, _, _ string) {
			k.store.before = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true }
		}, nil},
		{"the store refuses to write it", func(k *keyed, _, _ string) {
			k.store.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					w.WriteHeader(http.StatusForbidden)
				}
				return r.Method == http.MethodPut
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, id, first := aRecord(t)
			k.rotate()
			c.then(k, k.path(id), first)
			before := k.store.objects[k.path(id)]
			_, err := new(rotation).record(t.Context(), k.bucket(nil), k.rewrapping(), id)
			if err == nil || errors.Is(err, state.ErrRaced) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !bytes.Equal(before, k.store.objects[k.path(id)]) {
				t.Error("the record was written")
			}
		})
	}
}

func TestARecordThatAnotherWritesMeanwhileIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		races  int // how often another is faster
		behind bool
		want   recordOutcome
		err    error
	}{
		{name: "once, with the same", races: 1, want: recordCurrent},
		{name: "once, with another version", races: 1, behind: true, want: recordRewrapped},
		{name: "as often as is bearable", races: maxRaces - 1, behind: true, want: recordRewrapped},
		{name: "always", races: maxRaces, behind: true, err: state.ErrRaced},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, id, _ := aRecord(t)
			first := k.store.objects[k.path(id)]
			// Each wrapping gives other bytes, and so another ETag.
			others := make([][]byte, c.races)
			wrap := func() {
				by := k.rewrapping()
				for i := range others {
					var err error
					if others[i], _, _, err = by.Record(t.Context(), keyedBucket, id, first); err != nil {
						t.Fatal(err)
					}
				}
			}
			k.rotate()
			if c.behind {
				wrap()
				k.rotate()
			} else {
				wrap()
			}
			puts := 0
			k.store.before = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					if puts++; puts <= c.races {
						k.store.objects[k.path(id)] = others[puts-1]
					}
				}
				return false
			}
			to := k.rewrapping()
			got, err := new(rotation).record(t.Context(), k.bucket(nil), to, id)
			if !errors.Is(err, c.err) || err == nil && got != c.want {
				t.Errorf("%v, %v", got, err)
			}
			if c.err != nil && puts != maxRaces {
				t.Errorf("%d attempts, want %d", puts, maxRaces)
			}
			if kek, err := kms.RecordKEK(k.store.objects[k.path(id)]); c.err == nil && (err != nil || kek != to.KEK()) {
				t.Errorf("the record is of %s, %v", kek, err)
			}
		})
	}
}
