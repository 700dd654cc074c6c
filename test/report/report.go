package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// report collects the events of a run.
type report struct {
	to             io.Writer
	now            func() time.Time
	started, spoke time.Time

	output   map[test][]string // of tests that have not ended
	running  map[string]int    // packages, and how many of their tests have ended
	coverage map[string]string
	cached   map[string]bool
	parents  map[test]bool // tests with subtests

	passed, failed, skipped int
	require                 bool // a skip is a failure, unless it is by design
	forbidden               int  // skips that are failures
	reasons                 map[string]int
	times                   map[test]float64
}

// test names a test; without a name it is the package itself.
type test struct{ pkg, name string }

func newReport(to io.Writer, now func() time.Time) *report {
	return &report{
		to: to, now: now, started: now(), spoke: now(),
		output: map[test][]string{}, running: map[string]int{}, coverage: map[string]string{}, cached: map[string]bool{},
		parents: map[test]bool{}, reasons: map[string]int{}, times: map[test]float64{},
	}
}

func (r *report) print(format string, args ...any) {
	r.spoke = r.now()
	fmt.Fprintf(r.to, format, args...)
}

func (r *report) event(e event) {
	of := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		r.print("%s", e.Output)
	case "start":
		r.running[e.Package] = 0
	case "run":
		if slash := strings.LastIndex(e.Test, "/"); slash > 0 {
			r.parents[test{e.Package, e.Test[:slash]}] = true
		}
	case "output":
		r.output[of] = append(r.output[of], e.Output)
		if e.Test == "" {
			r.ofPackage(e)
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnds(e)
		} else {
			r.testEnds(e)
		}
		delete(r.output, of)
	}
}

var coverage = regexp.MustCompile(`coverage: (\S+%) of statements`)

func (r *report) ofPackage(e event) {
	if m := coverage.FindStringSubmatch(e.Output); m != nil {
		r.coverage[e.Package] = m[1]
	}
	if strings.Contains(e.Output, "\t(cached)") {
		r.cached[e.Package] = true
	}
}

func (r *report) testEnds(e event) {
	of := test{e.Package, e.Test}
	r.running[e.Package]++
	if !r.parents[of] {
		r.times[of] = e.Elapsed
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		why := reason(r.output[of])
		r.reasons[why]++
		if r.require && !isByDesign(short(e.Package), why) {
			r.forbidden++
			r.print("--- %s %s was skipped, and S3PROXY_TEST_REQUIRE=1 allows no skip: %s\n", short(e.Package), e.Test, why)
		}
	case "fail":
		r.failed++
		r.print("--- %s %s\n%s", short(e.Package), e.Test, strings.Join(r.output[of], ""))
	}
}

var logged = regexp.MustCompile(`^\s+\S+\.go:\d+: (.+)`)

// reason is the last line that a skipped test printed.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if m := logged.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return "no reason given"
}

func (r *report) packageEnds(e event) {
	tests := r.running[e.Package]
	delete(r.running, e.Package)
	if e.Action == "skip" {
		return // no test files
	}
	if e.Action == "fail" {
		// The package's own output: a failed build, or a panic outside a test.
		r.print("%s", strings.Join(r.output[test{pkg: e.Package}], ""))
	}
	how := fmt.Sprintf("%6.1fs", e.Elapsed)
	if r.cached[e.Package] {
		how = " cached"
	}
	covered := ""
	if c := r.coverage[e.Package]; c != "" {
		covered = ", covers " + c
	}
	r.print("%-4s %s  %s (%d tests%s)\n", strings.ReplaceAll(e.Action, "pass", "ok"), how, short(e.Package), tests, covered)
}

// progress says what is running when nothing was printed for a while.
func (r *report) progress(quiet time.Duration) {
	if r.now().Sub(r.spoke) < quiet {
		return
	}
	var running []string
	for _, pkg := range slices.Sorted(maps.Keys(r.running)) {
		running = append(running, fmt.Sprintf("%s (%d done)", short(pkg), r.running[pkg]))
	}
	what := "compiling"
	if len(running) > 0 {
		what = "in " + strings.Join(running, ", ")
	}
	r.print("     %6s  %d passed, %d skipped, %d failed; %s\n", r.now().Sub(r.started).Round(time.Second), r.passed, r.skipped, r.failed, what)
}

func (r *report) summary(slowest int) {
	order := slices.SortedFunc(maps.Keys(r.times), func(a, b test) int {
		return cmp.Or(cmp.Compare(r.times[b], r.times[a]), strings.Compare(a.pkg+a.name, b.pkg+b.name))
	})
	if slowest = min(slowest, len(order)); slowest > 0 {
		r.print("\nThe slowest %d tests:\n", slowest)
	}
	for _, of := range order[:slowest] {
		r.print("%6.1fs  %s %s\n", r.times[of], short(of.pkg), of.name)
	}
	if r.skipped > 0 {
		r.print("\nSkipped:\n")
	}
	for _, why := range slices.SortedFunc(maps.Keys(r.reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.reasons[b], r.reasons[a]), strings.Compare(a, b))
	}) {
		r.print("%6d  %s\n", r.reasons[why], why)
	}
	r.print("\n%d passed, %d failed, %d skipped in %s\n", r.passed, r.failed, r.skipped, r.now().Sub(r.started).Round(time.Second))
}

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/s3proxy/s3proxy/") }
