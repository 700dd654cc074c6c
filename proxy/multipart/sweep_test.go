package multipart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// uploads begins so many uploads, with none to four parts, and ends each third at the store alone.
// It tells which of them are live.
func (s *scene) uploads(n int) (live map[string]bool) {
	s.t.Helper()
	live = map[string]bool{}
	for i := range n {
		s.upload()
		r := s.replica(never, false)
		id, err := r.create(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for part := range i % 5 {
			if _, err := r.send(s.t.Context(), id, part+1, []byte("part")); err != nil {
				s.t.Fatal(err)
			}
		}
		if i%3 > 0 {
			live[s.key.String()] = true
			continue
		}
		s.must(r.upload(r.Target, id).store.Abort(s.t.Context(), nil))
	}
	return live
}

// onPages runs a test on each store, in a bucket with versions and one without.
func onPages(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Parallel()
	for _, store := range lab.SharedStores(t) {
		t.Run(store.Name, func(t *testing.T) { t.Parallel(); test(t, newScene(t, store)) })
	}
	versioned := []*lab.Store{lab.VersitygwForSuite(t)}
	if lab.All() {
		versioned = append(versioned, lab.SharedMinIO(t))
	}
	for _, store := range versioned {
		t.Run(store.Name+" with versions", func(t *testing.T) {
			t.Parallel()
			s := newScene(t, store)
			setting := "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
			s.must(s.replica(never, false).Upstream.Do(t.Context(), &upstream.Request{
				Method: http.MethodPut, Bucket: s.bucket, Query: url.Values{"versioning": {""}}, Bytes: []byte(setting),
			}))
			test(t, s)
		})
	}
}

func TestASweepGoesThroughAllPages(t *testing.T) {
	onPages(t, func(t *testing.T, s *scene) {
		const all, gone = 14, 5
		live := s.uploads(all)
		r := s.replica(never, false)
		for page := 1; page <= 4; page++ { // an upload has up to five objects
			looked := map[string]bool{}
			sweep := Sweeper{Store: r.Upstream, Place: r.Place, DryRun: page < 4, Page: page, SideBySide: 3, Looked: func(folder string, err error) error {
				if looked[folder] || err != nil {
					t.Errorf("looked at %s again: %t, %v", folder, looked[folder], err)
				}
				looked[folder] = true
				return nil
			}}
			found, err := sweep.Bucket(t.Context(), s.bucket.String())
			if want := (Swept{Bucket: s.bucket.String(), Live: all - gone, Removed: gone}); err != nil || found != want || len(looked) != all {
				t.Errorf("pages of %d: %+v of %d folders, %v", page, found, len(looked), err)
			}
		}
		for page := 1; page <= 4; page++ {
			found := map[string]bool{}
			err := inProgress{r.Upstream, r.Place, page}.each(t.Context(), s.bucket.String(), func(u InProgress) error {
				found[u.Key] = true
				return nil
			})
			if err != nil || !maps.Equal(found, live) {
				t.Errorf("pages of %d: in progress are %v, want %v; %v", page, slices.Collect(maps.Keys(found)), live, err)
			}
		}
		sweep := Sweeper{Store: r.Upstream, Place: r.Place}
		if found, err := sweep.Bucket(t.Context(), s.bucket.String()); err != nil || found.Live != all-gone || found.Removed != 0 {
			t.Errorf("again: %+v, %v", found, err)
		}
	})
}

// Uploads that stay must not hide others: neither clients' own, which may be a great many, nor what
// the proxy did not write.
func TestARunningProxysSweepGoesOnWhereItEnded(t *testing.T) {
	onPages(t, func(t *testing.T, s *scene) {
		s.uploads(14)
		r := s.replica(never, false)
		r.mostInRound, r.Page = 4, 1 // a round ends with a page
		r.remember(s.bucket)
		removed := 0
		for range 3 { // 14 uploads, 4 a round: the fourth round would end the list
			round := r.sweepSeen(t.Context(), func(s3name.Bucket) *object.Objects { return r.Objects }, 0)
			r.remember(s.bucket) // a client begins another one
			removed += round.Removed
		}
		if at := r.swept[s.bucket]; at == "" {
			t.Error("three rounds have come to the end")
		}
		removed += r.sweepSeen(t.Context(), func(s3name.Bucket) *object.Objects { return r.Objects }, 0).Removed
		if at := r.swept[s.bucket]; at != "" || removed != 5 {
			t.Errorf("four rounds removed %d of 5, and go on at %q", removed, at)
		}
	})
}

// madeUp is a store with objects of others among the state of uploads, and behind them the rest of
// uploads that are gone.
type madeUp struct {
	foreign, gone int
	asked         atomic.Int64
	look          func() // at an upload; nil for nothing
}

func (m *madeUp) name(i int) string {
	if i < m.foreign {
		return fmt.Sprintf("-%08d", i)
	}
	return fmt.Sprintf("%064x/1-record", i)
}

// behind is the number of the first name that is greater.
func (m *madeUp) behind(marker string) int {
	return sort.Search(m.foreign+m.gone, func(i int) bool { return m.name(i) > marker })
}

func (m *madeUp) RoundTrip(r *http.Request) (*http.Response, error) {
	m.asked.Add(1)
	w := httptest.NewRecorder()
	q := r.URL.Query()
	prefix := q.Get("prefix")
	most, _ := strconv.Atoi(q.Get("max-keys"))
	switch {
	case q.Has("list-type"):
		io.WriteString(w, "<ListBucketResult></ListBucketResult>")
	case q.Has("versions"):
		from := m.behind(strings.TrimPrefix(q.Get("key-marker"), prefix))
		io.WriteString(w, "<ListVersionsResult>")
		for i := from; i < min(from+most, m.foreign+m.gone); i++ {
			fmt.Fprintf(w, "<Version><Key>%s%s</Key><VersionId>null</VersionId><Size>0</Size></Version>", prefix, m.name(i))
		}
		io.WriteString(w, "</ListVersionsResult>")
	default:
		if m.look != nil {
			m.look()
		}
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	}
	return w.Result(), nil
}

func (m *madeUp) store(t *testing.T) *upstream.Client {
	t.Helper()
	store, err := upstream.New(upstream.Config{
		Endpoint: &url.URL{Scheme: "http", Host: "127.0.0.1"}, Region: "us-east-1", Wrap: func(http.RoundTripper) http.RoundTripper { return m },
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestNothingHidesBehindAHundredThousandOthers(t *testing.T) {
	t.Parallel()
	way := &madeUp{foreign: 100_500, gone: 1}
	sweep := Sweeper{Store: way.store(t), Grace: time.Hour, DryRun: true}
	found, err := sweep.Bucket(t.Context(), "bucket")
	if err != nil || found.Foreign != way.foreign || found.Waiting != way.gone {
		t.Errorf("%+v, %v", found, err)
	}
	if asked := way.asked.Load(); asked > 105 { // pages of 1,000, two for an empty one, and two for the upload
		t.Errorf("%d requests", asked)
	}
}

func TestASweepLooksAtSeveralUploadsAtOnce(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []int{0, 1, 4} {
		var now, most atomic.Int64
		way := &madeUp{gone: 40, look: func() {
			defer now.Add(-1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(5 * time.Millisecond)
		}}
		sweep := Sweeper{Store: way.store(t), Grace: time.Hour, DryRun: true, SideBySide: atOnce}
		if found, err := sweep.Bucket(t.Context(), "bucket"); err != nil || found.Waiting != way.gone || most.Load() != int64(max(atOnce, 1)) {
			t.Errorf("%d at once of %d: %+v, %v", most.Load(), atOnce, found, err)
		}
	}
}

// What Looked says ends a sweep, and so does its context.
func TestASweepEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	for _, store := range lab.SharedStores(t) {
		s := newScene(t, store)
		s.uploads(6)
		r := s.replica(never, false)
		enough, looked := errors.New("enough"), 0
		sweep := Sweeper{Store: r.Upstream, Place: r.Place, Page: 2, Looked: func(string, error) error { looked++; return enough }}
		if _, err := sweep.Bucket(t.Context(), s.bucket.String()); !errors.Is(err, enough) || looked != 1 {
			t.Errorf("%s: %v after %d uploads", store.Name, err, looked)
		}
		ctx, end := context.WithCancel(t.Context())
		sweep.Looked = func(string, error) error { end(); return nil }
		if found, err := sweep.Bucket(ctx, s.bucket.String()); !errors.Is(err, context.Canceled) || found.Failed != 0 {
			t.Errorf("%s: %v, %+v", store.Name, err, found)
		}
	}
}
