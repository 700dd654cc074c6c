package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestAWalkKeepsItsRateAndItsConcurrency(t *testing.T) {
	t.Parallel()
	const objects, most = 21, 3
	var now, seen atomic.Int64
	w := walk{Rate: Rate{Concurrency: most, PerSecond: 100}, progress: unwatched{}, list: func(_ context.Context, visit func(listed) error) error {
		for range objects {
			if err := visit(listed{}); err != nil {
				return err
			}
		}
		return nil
	}}
	began := time.Now()
	err := w.each(t.Context(), func(context.Context, listed) (Step, error) {
		if now.Add(1) > most {
			t.Error("more at once than allowed")
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		seen.Add(1)
		return Step{}, nil
	})
	if took := time.Since(began); err != nil || seen.Load() != objects || took < (objects-1)*time.Second/100 {
		t.Errorf("%d objects in %v: %v", seen.Load(), took, err)
	}
}

// A cause that all objects share ends a run before its failures fill the memory.
func TestARunWhoseObjectsAllFailEnds(t *testing.T) {
	t.Parallel()
	const perPage = 1000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var page strings.Builder
		var from int
		fmt.Sscan(r.URL.Query().Get("continuation-token"), &from)
		for i := range perPage {
			fmt.Fprintf(&page, "<Contents><Key>%08d</Key><Size>1</Size></Contents>", from+i)
		}
		fmt.Fprintf(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>%s</ListBucketResult>", from+perPage, page.String())
	}))
	t.Cleanup(server.Close)
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	store, err := upstream.New(upstream.Config{Endpoint: endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	r := &rewrite{
		bucket: "bucket", walker: walker{Store: store}, rate: Rate{Concurrency: 8}, progress: unwatched{},
		due: func(context.Context, string, *envelope.Metadata) (bool, error) { return true, nil }, log: slog.New(slog.DiscardHandler),
	}
	found, err := r.run(t.Context())
	if !errors.Is(err, errTooMany) || len(found.Failed) != maxFailed {
		t.Errorf("%d failures are kept, and the run ends with: %v", len(found.Failed), err)
	}
}

// What a run may touch is what it was asked for, not what the store says.
func TestAListingHasNoKeyThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	const root = `<Key>public/a</Key><Size>1</Size><LastModified>2026-01-02T00:00:00.000Z</LastModified>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		other := strings.Replace(root, "public/a", "private/b", 1)
		if r.URL.Query().Has("versions") {
			version := "<Version>%s<VersionId>v</VersionId><IsLatest>false</IsLatest></Version>"
			fmt.Fprintf(w, "<ListVersionsResult>"+version+version+"</ListVersionsResult>", root, other)
			return
		}
		fmt.Fprintf(w, "<ListBucketResult><Contents>%s</Contents><Contents>%s</Contents></ListBucketResult>", root, other)
	}))
	t.Cleanup(server.Close)
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	store, err := upstream.New(upstream.Config{Endpoint: endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	w := walker{Store: store}
	for name, list := range map[string]func(context.Context, string, string, func(listed) error) error{"objects": w.Objects, "versions": w.versions} {
		var visited []string
		err := list(t.Context(), "bucket", "public/", func(l listed) error { visited = append(visited, l.Key); return nil })
		if !errors.Is(err, upstream.ErrStored) || !slices.Equal(visited, []string{"public/a"}) {
			t.Errorf("%s: visited %v, %v", name, visited, err)
		}
	}
}
