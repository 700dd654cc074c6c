package doctor

import (
	"context"
	"fmt"
	"time"
)

// State is what is to be thought of a finding.
type State string

// OK is well; Warning works, and may not do so always, or safely; Failed does not work; Skipped
// was not looked at, for the reason in Found.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// Finding is what a check came to.
type Finding struct {
	State State
	Found string
	Do    string // what to do; "" where there is nothing
}

func well(format string, args ...any) Finding {
	return Finding{State: OK, Found: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{State: Skipped, Found: fmt.Sprintf(format, args...)}
}

func warning(do, format string, args ...any) Finding {
	return Finding{State: Warning, Found: fmt.Sprintf(format, args...), Do: do}
}

func failed(do, format string, args ...any) Finding {
	return Finding{State: Failed, Found: fmt.Sprintf(format, args...), Do: do}
}

// Check is one look at one thing.
type Check struct {
	Name string // in kebab-case
	At   string // what it looks at, where there are several: a store's address, a key's URI
	Look func(context.Context) Finding
	// Always says that it is made even when the run was ended: it cleans up.
	Always bool
}

// Result is a finding with its check. The JSON names are part of the interface.
type Result struct {
	Check string `json:"check"`
	At    string `json:"at,omitempty"`
	State State  `json:"state"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

// Patience bounds one check.
const Patience = 30 * time.Second

// Run makes all checks, one after the other, and prints each result as soon as there is one. The
// error is that of print, or ctx's.
func Run(ctx context.Context, checks []Check, print func(Result) error) (count map[State]int, err error) {
	count = map[State]int{}
	for _, c := range checks {
		if ctx.Err() != nil && !c.Always {
			continue
		}
		within, cancel := context.WithTimeout(ctx, Patience)
		if c.Always {
			within, cancel = context.WithTimeout(context.WithoutCancel(ctx), Patience)
		}
		f := c.Look(within)
		cancel()
		if ctx.Err() != nil && !c.Always { // it says only that it was ended
			continue
		}
		count[f.State]++
		if err := print(Result{c.Name, c.At, f.State, f.Found, f.Do}); err != nil {
			return count, err
		}
	}
	return count, ctx.Err()
}

// Advice gives what to do about an error, "" if that says it itself.
type Advice func(context.Context, error) string
