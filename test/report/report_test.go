package main

import (
	"strings"
	"testing"
	"time"
)

func TestAReportShowsFailuresAndCountsSkipsByReason(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	r := newReport(&out, func() time.Time { return now })
	for _, line := range []string{
		`{"Action":"start","Package":"p"}`,
		`{"Action":"run","Package":"p","Test":"TestA"}`,
		`{"Action":"run","Package":"p","Test":"TestA/x"}`,
		`{"Action":"output","Package":"p","Test":"TestA/x","Output":"    a_test.go:1: MinIO is not here\n"}`,
		`{"Action":"output","Package":"p","Test":"TestA/x","Output":"--- SKIP: TestA/x (0.00s)\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestA/x","Elapsed":0}`,
		`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":9}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: wrong bytes\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestB","Elapsed":2}`,
		`{"Action":"output","Package":"p","Output":"coverage: 71.5% of statements\n"}`,
		`{"Action":"fail","Package":"p","Elapsed":11}`,
		"go: a line that is no event\n",
	} {
		r.line(line)
	}
	now = now.Add(time.Minute)
	r.summary(5)
	for _, want := range []string{"--- p TestB\n", "wrong bytes", "fail   11.0s  p (3 tests, covers 71.5%)", "a line that is no event",
		"   2.0s  p TestB\n", "     1  MinIO is not here\n", "1 passed, 1 failed, 1 skipped in 1m0s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "9.0s") {
		t.Errorf("a test is listed beside its subtests:\n%s", &out)
	}
}

func TestAReportSaysWhatRunsWhileNothingEnds(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	r := newReport(&out, func() time.Time { return now })
	r.line(`{"Action":"start","Package":"p"}`)
	now = now.Add(9 * time.Second)
	if r.progress(10 * time.Second); out.Len() > 0 {
		t.Errorf("too early: %s", &out)
	}
	now = now.Add(time.Second)
	if r.progress(10 * time.Second); !strings.Contains(out.String(), "10s  0 passed, 0 skipped, 0 failed; in p (0 done)") {
		t.Errorf("%s", &out)
	}
}

func TestASkipIsAFailureWhereNoneIsAllowedUnlessItIsByDesign(t *testing.T) {
	for reason, forbidden := range map[string]int{"aws-cli is not installed": 1, "the key is no kms.Rewrapper": 0, "the key is no kms.Rotator": 1} {
		for _, require := range []bool{false, true} {
			r := newReport(&strings.Builder{}, time.Now)
			r.require = require
			r.line(`{"Action":"output","Package":"github.com/s3proxy/s3proxy/kms/vault","Test":"TestA","Output":"    a_test.go:1: ` + reason + `\n"}`)
			r.line(`{"Action":"skip","Package":"github.com/s3proxy/s3proxy/kms/vault","Test":"TestA"}`)
			if require && r.forbidden != forbidden || !require && r.forbidden != 0 {
				t.Errorf("%s, required %t: %d", reason, require, r.forbidden)
			}
		}
	}
}
