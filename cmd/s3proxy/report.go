package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// printReasons writes a line for each name, sorted, with its reason.
func printReasons(out io.Writer, before string, reasons map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(out, "  %s%s: %s\n", before, name, reasons[name])
	}
}

// printRewritten writes the counts in one line, and each failure in a line of its own.
func printRewritten(out io.Writer, r *ops.Rewritten, name, verb string) error {
	_, err := fmt.Fprintf(out, "%s: %d of %d objects %s, %d were already, %d gone meanwhile, %d locked, %d archived, %d failed\n",
		name, r.Rewritten, r.Objects, verb, r.Done, r.Gone, r.Locked, r.Archived, len(r.Failed))
	for _, key := range slices.Sorted(maps.Keys(r.Failed)) {
		fmt.Fprintf(out, "  %q: %s\n", key, r.Failed[key])
	}
	return err
}
