package ops

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
)

// keysOf gives each bucket a key of its own kind: only that of "fixed" has no new versions.
type keysOf struct{ Buckets }

func (keysOf) WriteKey(_ context.Context, bucket string) (kms.Key, string, error) {
	if bucket == "fixed" {
		return struct{ kms.Key }{}, "awskms://alias/a", nil
	}
	return renewable{}, "vault://transit/a", nil
}

type renewable struct{ kms.Key }

func (renewable) Rotate(context.Context) (string, error) { return "vault://transit/a#2", nil }

// Among buckets that nobody has named, one whose key has no new version fails, and is not rotated
// under the old one; the others share one new version.
func TestAKeyWithoutNewVersionsStopsOnlyItsOwnBuckets(t *testing.T) {
	t.Parallel()
	plansOf := func() (plans []Plan[*told]) {
		for _, name := range []string{"s3://a", "s3://fixed", "s3://b"} {
			plans = append(plans, step{name, &told{Outcome: Outcome{Bucket: name}}, nil})
		}
		return plans
	}
	var made []string
	note := func(kek string) { made = append(made, kek) }
	if err := NewVersions(t.Context(), Job{Buckets: keysOf{}}, plansOf(), note); err == nil || !strings.Contains(err.Error(), "awskms://alias/a: s3proxy cannot make") {
		t.Errorf("buckets by name: %v", err)
	}
	made = nil
	plans := plansOf()
	if err := NewVersions(t.Context(), Job{Buckets: keysOf{}, KeepGoing: true}, plans, note); err != nil || !slices.Equal(made, []string{"vault://transit/a#2"}) {
		t.Errorf("made %q, %v", made, err)
	}
	var done []string
	err := Run(t.Context(), plans, func(o Outcome, r *told) error {
		if r != nil {
			done = append(done, o.Bucket)
		}
		return nil
	})
	if !slices.Equal(done, []string{"s3://a", "s3://b"}) || err == nil || !strings.Contains(err.Error(), "s3://fixed/: awskms://alias/a: s3proxy cannot make") {
		t.Errorf("done %q, %v", done, err)
	}
}
