package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// printReasons writes a line for each item, sorted, with its reason.
func printReasons(out io.Writer, before string, reasons ops.Reasons) {
	for item, reason := range reasons.Sorted() {
		fmt.Fprintf(out, "  %s%v: %s\n", before, item, reason)
	}
}

// printRewritten writes the counts in one line, and each failure in a line of its own.
func printRewritten(out io.Writer, r *ops.Rewritten, name, verb string) error {
	_, err := fmt.Fprintf(out, "%s: %d of %d objects %s, %d were already, %d gone meanwhile, %d locked, %d archived, %d failed\n",
		name, r.Rewritten, r.Objects, verb, r.Done, r.Gone, r.Locked, r.Archived, len(r.Failed))
	if r.Legacy > 0 {
		fmt.Fprintf(out, "  %d of these are of the older s3proxy\n", r.Legacy)
	}
	if r.LegacyLeft > 0 {
		fmt.Fprintf(out, "  %d objects of the older s3proxy, which nothing authenticates, were left as they are: encrypt-existing --legacy makes them ours\n", r.LegacyLeft)
	}
	printReasons(out, "", r.Failed)
	return err
}

// tally says in the end what became of buckets that nobody has named one by one.
type tally struct {
	done       int
	failed, no []string
}

func (t *tally) count(o ops.Outcome, failures []error) {
	no := len(failures) > 0
	for _, err := range failures {
		no = no && onlyNo(err)
	}
	switch {
	case o.Interrupted:
	case o.Error != "" || len(failures) > 0 && !no:
		t.failed = append(t.failed, o.Bucket)
	case no:
		t.no = append(t.no, o.Bucket)
	default:
		t.done++
	}
}

func (t *tally) print(out io.Writer, all int) {
	fmt.Fprintf(out, "%d buckets: %d done", all, t.done)
	for _, some := range []struct {
		what  string
		names []string
	}{{"failed", t.failed}, {"not safe", t.no}} {
		if len(some.names) > 0 {
			fmt.Fprintf(out, ", %d %s (%s)", len(some.names), some.what, strings.Join(some.names, ", "))
		}
	}
	if left := all - t.done - len(t.failed) - len(t.no); left > 0 {
		fmt.Fprintf(out, ", %d not done", left)
	}
	fmt.Fprintln(out)
}
