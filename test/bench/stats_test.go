package bench

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// median is the middle, or the mean of the two in the middle; of nothing it is NaN.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// percentile is the least value that p % of all values do not exceed (nearest rank).
func percentile[T cmp.Ordered](sorted []T, p float64) T {
	rank := int(math.Ceil(p*float64(len(sorted))/100 - 1e-9)) // 99.9 has no exact double
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// rotated gives 0 to n-1, beginning elsewhere each time: nobody is always first, or always behind
// the same one that leaves caches and garbage to it.
func rotated(n, by int) (order []int) {
	for i := range n {
		order = append(order, (i+by)%n)
	}
	if by/n%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// ratios divides what belongs to the same round. A round that only one of them has is left out.
func ratios(a, b map[int]float64) (all []float64) {
	for _, round := range slices.Sorted(maps.Keys(a)) {
		if y, ok := b[round]; ok && y != 0 {
			all = append(all, a[round]/y)
		}
	}
	return all
}

// differences are a's over b's, by round.
func differences(a, b map[int]float64) (all []float64) {
	for _, round := range slices.Sorted(maps.Keys(a)) {
		if y, ok := b[round]; ok {
			all = append(all, a[round]-y)
		}
	}
	return all
}
