// SPDX-License-Identifier: Apache-2.0

// Package nearest finds the word that somebody may have meant.
package nearest

import "strings"

// Word returns the known word that somebody who wrote word may have meant: one that begins with it (three letters or
// more), else the one with the fewest letters that differ, at most a third of them and not the first, unless it has changed places with the second. It is empty if there is none.
func Word(word string, known []string) string {
	for _, k := range known {
		if len(word) > 2 && strings.HasPrefix(k, word) {
			return k
		}
	}
	best, bestDistance := "", len(word)/3+1
	for _, k := range known {
		if k == "" || word == "" || k[0] != word[0] && (len(k) < 2 || k[1] != word[0]) {
			continue
		}
		if d := Distance(word, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// Distance is the number of letters to insert, delete, replace or swap with the next to make b of a.
func Distance(a, b string) int {
	var before []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur := make([]int, len(b)+1)
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cur[j+1] = min(cur[j+1], before[j-1]+1)
			}
		}
		before, prev = prev, cur
	}
	return prev[len(b)]
}
