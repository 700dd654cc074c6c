package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// rewrite writes objects of one bucket again, in place, while clients read and write. When it runs
// again, it finds done what it has done.
type rewrite struct {
	bucket, prefix string
	walker         walker
	renewer        *inplace.Renewer
	// due tells from an object's metadata, nil for plaintext, whether to write the object again.
	due func(ctx context.Context, key string, m *envelope.Metadata) (bool, error)
	// change says what to write. An object that is no longer due is left as it is.
	change func(ctx context.Context, key string, n *inplace.Renewal) error
	// refuse, if not nil, says why an object is a failure whether it is due or not.
	refuse   func(*object.Inspection) error
	rate     Rate
	progress Progress
	dryRun   bool
	log      *slog.Logger
	// unconditional is the flag that says that nobody else writes, for error messages.
	unconditional string

	began time.Time
	// uploading has the keys for which an upload was in progress when the run began. On AWS its
	// object gets the date on which the upload began, and seems older than the run.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	uploading map[string]bool
}

// OnlyWriter says whether nobody else writes: then a store that does not honour If-Match in a PUT
// is accepted.
type OnlyWriter struct {
	Claimed bool
	// HowToClaim is the flag that says so, for error messages.
	HowToClaim string
}

// newRewrite makes a rewrite for what is below a prefix. The caller must set due and change.
func newRewrite(b *Bucket, prefix string, job Job, only OnlyWriter) *rewrite {
	return &rewrite{
		bucket: b.Name, prefix: prefix, rate: job.Rate, progress: job.Progress, dryRun: job.DryRun, log: job.Log,
		walker: b.walker(), renewer: b.renewer(only.Claimed), unconditional: only.HowToClaim,
	}
}

// clockSkew is how much the store's clock may differ from ours.
const clockSkew = 15 * time.Minute

// Rewritten counts what became of the objects. The JSON names are part of the interface.
type Rewritten struct {
	Objects   int     `json:"objects"`
	Rewritten int     `json:"rewritten"` // or would be, in a dry run
	Done      int     `json:"done"`      // there was nothing to do
	Gone      int     `json:"gone"`      // deleted meanwhile
	Locked    int     `json:"locked"`    // the store refuses to write them
	Archived  int     `json:"archived"`  // the store refuses to read them
	Failed    Reasons `json:"failed"`
	// Objects of the older s3proxy: of Rewritten, and of Done, which were left as they are.
	Legacy     int `json:"legacy,omitempty"`
	LegacyLeft int `json:"legacy-left,omitempty"`

	mu sync.Mutex
}

// errNotDue ends a renewal that is no longer needed, since somebody else has written the object.
var errNotDue = errors.New("there is nothing to do")

// maxFailed bounds how many failures are kept, in memory and in the report. So many have a common
// cause, which is not in the objects.
const maxFailed = 10_000

var errTooMany = fmt.Errorf("more than %d failures: fix their cause and run it again", maxFailed)

// run goes through all objects.
func (r *rewrite) run(ctx context.Context) (*Rewritten, error) {
	r.began = time.Now()
	return r.pass(ctx, nil)
}

// again is a further pass over what was written since run began, perhaps by a process that still
// did so in the old way, and over what failed. It adds to found, even with an error.
func (r *rewrite) again(ctx context.Context, found *Rewritten) error {
	since := r.began.Add(-clockSkew)
	more, err := r.pass(ctx, func(l listed) bool {
		_, failed := found.Failed[named(l)]
		return failed || r.uploading[l.Key] || l.Modified.IsZero() || l.Modified.After(since)
	})
	found.Rewritten += more.Rewritten
	found.Legacy += more.Legacy
	if err != nil {
		maps.Copy(found.Failed, more.Failed)
		return err
	}
	found.Failed = more.Failed // the others were looked at again, or are gone
	return nil
}

// pass goes through all objects that take picks; nil picks all.
func (r *rewrite) pass(ctx context.Context, take func(listed) bool) (*Rewritten, error) {
	found := &Rewritten{Failed: Reasons{}}
	objects := walk{Rate: r.rate, at: Target{r.bucket, r.prefix}, progress: r.progress, list: func(ctx context.Context, visit func(listed) error) error {
		return r.walker.Objects(ctx, r.bucket, r.prefix, func(l listed) error {
			if take != nil && !take(l) {
				return nil
			}
			return visit(l)
		})
	}}
	return found, objects.each(ctx, func(ctx context.Context, l listed) (Step, error) {
		wrote, old, err := r.object(ctx, l.Key)
		gone, err := deletedSince(l, err)
		switch {
		case ctx.Err() != nil:
			return Step{}, ctx.Err()
		case errors.Is(err, kms.ErrUnavailable): // so it would be for all others
			return Step{}, fmt.Errorf("%s: %w (run it again when the KMS answers: what is done stays done)", l.Key, err)
		case errors.Is(err, inplace.ErrNoConditions):
			return Step{}, fmt.Errorf("%w: a client's write could be lost; pass %s if there is none", err, r.unconditional)
		}
		found.mu.Lock()
		defer found.mu.Unlock()
		found.Objects++
		switch {
		case gone:
			found.Gone++
		case errors.Is(err, state.ErrLocked):
			found.Locked++
		case errors.Is(err, inplace.ErrArchived):
			found.Archived++
		case err != nil:
			if len(found.Failed) >= maxFailed {
				return Step{}, fmt.Errorf("%w: %w", errTooMany, err)
			}
			found.Failed[named(l)] = err.Error()
			r.log.Warn("an object was left as it is", "bucket", r.bucket, "key", l.Key, "error", err)
		case wrote:
			found.Rewritten++
			if old {
				found.Legacy++
			}
			return Step{Bytes: l.Bytes}, nil
		default:
			found.Done++
			if old {
				found.LegacyLeft++
			}
		}
		return Step{Failed: err != nil && !gone}, nil
	})
}

// object writes an object again if it is due; old says that it is, or was, of the older s3proxy.
func (r *rewrite) object(ctx context.Context, key string) (wrote, old bool, err error) {
	object, err := object.Inspect(ctx, r.walker.Store, r.bucket, key, "")
	if err != nil {
		return false, false, err
	}
	old = object.Legacy
	if r.refuse != nil {
		if err := r.refuse(object); err != nil {
			return false, old, err
		}
	}
	if due, err := r.due(ctx, key, object.Metadata); err != nil || !due {
		return false, old, err
	}
	if r.dryRun {
		return true, old, nil
	}
	err = r.renewer.RenewSeen(ctx, r.bucket, key, object.Answer(), func(ctx context.Context, n *inplace.Renewal) error {
		if due, err := r.due(ctx, key, n.Meta); err != nil {
			return err
		} else if !due {
			return errNotDue
		}
		return r.change(ctx, key, n)
	})
	if errors.Is(err, errNotDue) {
		return false, false, nil
	}
	return err == nil, old, err
}
