package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

func TestAnErrorHasTheExitCodeOfItsWorstPart(t *testing.T) {
	t.Parallel()
	no, failure := ops.No{Err: errors.New("it is needed")}, errors.New("the store is gone")
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing":            {nil, 0},
		"a failure":          {failure, 1},
		"a mistake":          {fmt.Errorf("bucket b: %w", config.Usagef("x")), 2},
		"a mistake of ops":   {errors.Join(no, ops.Mistake{Err: failure}), 2},
		"a no":               {fmt.Errorf("s3://b: %w", no), 3},
		"only noes":          {errors.Join(errors.Join(fmt.Errorf("s3://a: %w", no), no), nil), 3},
		"a no and a failure": {errors.Join(no, failure), 1},
		"an interruption":    {errors.Join(no, interrupted{"run it again"}), 1},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
}
