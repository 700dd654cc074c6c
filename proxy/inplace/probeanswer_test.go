package inplace

import (
	"errors"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestTheAnswerToAProbeTellsWhetherItsConditionHeld(t *testing.T) {
	cut := errors.New("cut")
	for name, c := range map[string]struct {
		err  error
		held bool
		fail bool
	}{
		"a 412":                    {s3err.PreconditionFailed, true, false},
		"a 404 of the key":         {s3err.NoSuchKey, true, false},
		"a 409":                    {s3err.ConditionalRequestConflict, true, false},
		"taken":                    {nil, false, false},
		"no bucket":                {s3err.NoSuchBucket, false, true},
		"no upload":                {s3err.NoSuchUpload, false, true},
		"no right":                 {s3err.AccessDenied, false, true},
		"a condition is not known": {s3err.NotImplemented, false, true},
		"no answer":                {s3err.ServiceUnavailable.Because(cut), false, true},
	} {
		held, err := heldTo(c.err)
		if held != c.held || (err != nil) != c.fail || c.fail && !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, held, err)
		}
	}
}
