package multipart

import (
	"slices"
	"strconv"
	"testing"
)

func TestTheRecordsOfARangeOfPartsAreInItsSpans(t *testing.T) {
	for _, r := range []partRange{{1, 1}, {1, 9}, {2, 3}, {9, 10}, {95, 105}, {1, 1000}, {901, 1100}, {1001, 2000}, {9999, 10_000}, {10_000, 10_000}, {1, 10_000}} {
		spans := recordSpans([]partRange{r})
		for number := r.first; number <= r.last; number++ {
			name := strconv.Itoa(number) + "-AZaz09_-"
			if !slices.ContainsFunc(spans, func(s nameSpan) bool { return s.after < name && name <= s.last }) {
				t.Fatalf("%s is in none of %v", name, spans)
			}
		}
	}
}
