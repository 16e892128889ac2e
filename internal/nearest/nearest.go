// Package nearest finds the name that somebody meant who wrote another.
package nearest

import "math"

// Of returns the known name that name may be a slip of, or "" if it is too far
// from all of them. Of several that are as near, it is the first.
func Of(name string, known []string) string {
	best, nearest := math.MaxInt, ""
	for _, k := range known {
		// Far apart in length is far apart, which spares a name of a megabyte
		// the table that Distance makes.
		limit := max(len(name), len(k)) / 3
		if len(name)-len(k) > limit || len(k)-len(name) > limit {
			continue
		}
		if d := Distance(name, k); d <= limit && d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// Distance counts the letters to add, drop or change, and the neighbours to
// swap, that make b of a: the optimal string alignment distance, in bytes.
func Distance(a, b string) int {
	above, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			row[j+1] = min(changed, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above[j-1]+1)
			}
		}
		above, last = last, row
	}
	return last[len(b)]
}
