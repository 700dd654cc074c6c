package ops

import (
	"errors"
	"fmt"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestOnlyANameThatIsThereNoMoreIsGone(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	for _, c := range []struct {
		key  string
		err  error
		gone bool
		want bool // an error
	}{
		{"key", nil, false, false},
		{"key", fmt.Errorf("head: %w", s3err.NoSuchKey), true, false},
		{"key", s3err.NoSuchVersion, true, false},
		{"key", other, false, true},
		{"k\uFFFDy", s3err.NoSuchKey, false, true}, // the store could not list its name
	} {
		gone, err := deletedSince(listed{Key: c.key}, c.err)
		if gone != c.gone || (err != nil) != c.want {
			t.Errorf("%q, %v: gone %v, %v", c.key, c.err, gone, err)
		}
	}
	if got := named(listed{Key: "k", Version: "v", Old: true}).String() + named(listed{Key: "k", Version: "v"}).String(); got != `"k" version v"k"` {
		t.Errorf("named %s", got)
	}
}
