package doctor

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

// Key is a key of the configuration.
type Key struct {
	URI    string
	Open   func(context.Context) (kms.Key, error)
	Writes bool // it wraps new keys, and does not only open
	Advice Advice
}

// Checks are those of one key.
func (k Key) Checks() []Check {
	return []Check{
		{Name: "kms", At: k.URI, Look: k.roundTrip},
		{Name: "kms-clock", At: k.URI, Look: k.clock},
		{Name: "kms-privileges", At: k.URI, Look: k.privileges},
	}
}

// roundTrip wraps and unwraps a random key.
func (k Key) roundTrip(ctx context.Context) Finding {
	key, err := k.Open(ctx)
	if err == nil && k.Writes {
		err = key.Check(ctx)
	}
	switch {
	case err != nil:
		return failed(cmp.Or(k.Advice(ctx, err), "look at the KMS's own log, and at docs/KEYS.md"), "%s", oneLine(err))
	case !k.Writes:
		return well("it is known; whether it opens what it should, keys verify tells")
	}
	return well("it wraps and unwraps")
}

func (k Key) clock(ctx context.Context) Finding {
	key, err := k.Open(ctx)
	if err != nil {
		return skipped("the key does not open")
	}
	clock, has := key.(kms.Clock)
	if !has {
		return skipped("this KMS has no clock of its own")
	}
	before := time.Now()
	theirs, err := clock.Time(ctx)
	if err != nil {
		return skipped("it does not tell the time: %s", oneLine(err))
	}
	return skew(theirs, before, time.Now())
}

const doPrivileges = "give the proxy the policy of docs/KEYS.md and no other; keys rotate --new-version is for a person"

func (k Key) privileges(ctx context.Context) Finding {
	key, err := k.Open(ctx)
	if err != nil {
		return skipped("the key does not open")
	}
	asked, can := key.(kms.Privileged)
	if strings.HasPrefix(k.URI, "localfile:") {
		return well("a keyset file that others may use is refused")
	}
	if !can {
		return skipped("this KMS does not tell a user what else it may do: compare its policy with docs/KEYS.md")
	}
	beyond, lacks, err := asked.Privileges(ctx)
	switch {
	case err != nil && errors.Is(err, kms.ErrDenied):
		return skipped("it does not tell what else the proxy may do: %s", oneLine(err))
	case err != nil:
		return failed(cmp.Or(k.Advice(ctx, err), "look at the KMS's own log, and at docs/KEYS.md"), "%s", oneLine(err))
	case len(beyond) > 0:
		return warning(doPrivileges, "the proxy may more than it needs: %s", strings.Join(beyond, ", "))
	case len(lacks) > 0:
		return warning(doPrivileges, "the proxy may not %s", strings.Join(lacks, ", "))
	}
	return well("the proxy may do what it needs and no more")
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
