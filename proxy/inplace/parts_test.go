package inplace

import (
	"slices"
	"testing"
)

func TestANewTailTakesThePlaceOfTheEndOfTheParts(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		sizes, copied []int64
		tail, rest    int64
	}{
		"the tail is a part of its own":       {[]int64{6 * mib, 6 * mib, 500}, []int64{6 * mib, 6 * mib}, 500, 500},
		"behind a last part that is large":    {[]int64{6 * mib, 6*mib + 500}, []int64{6 * mib, 6 * mib}, 500, 500},
		"behind a last part that is small":    {[]int64{6 * mib, mib + 500}, []int64{6 * mib}, 500, mib + 500},
		"in the only part":                    {[]int64{mib}, []int64{}, 500, mib},
		"over two parts":                      {[]int64{6 * mib, 6 * mib, 200}, []int64{6 * mib, 6*mib - 300}, 500, 500},
		"over two parts, the first too small": {[]int64{6 * mib, 5 * mib, 200}, []int64{6 * mib}, 500, 5*mib + 200},
		"none":                                {[]int64{6 * mib, 200}, []int64{6 * mib, 200}, 0, 0},
		"behind ten thousand parts":           {slices.Repeat([]int64{6 * mib}, 10_000), slices.Repeat([]int64{6 * mib}, 9_999), 500, 6 * mib},
	} {
		before := slices.Clone(c.sizes)
		copied, rest := withoutTail(c.sizes, c.tail)
		if !slices.Equal(copied, c.copied) || rest != c.rest || !slices.Equal(c.sizes, before) {
			t.Errorf("%s: %d parts and %d bytes, want %d parts and %d", name, len(copied), rest, len(c.copied), c.rest)
		}
	}
}
