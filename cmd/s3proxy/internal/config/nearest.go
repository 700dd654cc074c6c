package config

import "strings"

// DidYouMean gives the end of a message about an unknown name: the nearest of the names that
// there are, with the prefix that it is written with. It is "" if none is near.
func DidYouMean(prefix, unknown string, names []string) string {
	best, least := "", 0
	for _, name := range names {
		distance := editDistance(plain(unknown), plain(name))
		if far := max(2, len(unknown)/3); distance > far || distance >= len(name) {
			continue
		}
		if best == "" || distance < least {
			best, least = name, distance
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + prefix + best + "?"
}

// plain makes names equal that differ in how words are joined.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }

// editDistance is Levenshtein's: how many bytes to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1) // of the part of a that was looked at, to each part of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
