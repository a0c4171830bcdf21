// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import "strings"

// suggest returns the allowed word that was most likely meant, or nothing. It
// sees through case, dashes and a part too much or too little, as in peerAddress.
func suggest(word string, allowed []string) string {
	const part = 4 // letters that make a part of a word tell
	plain := plainWord(word)
	best, bestCost := "", 1000
	for _, a := range allowed {
		p := plainWord(a)
		cost := distance(plain, p)
		limit := max(1, min(len(plain), len(p))/3)
		if (len(p) >= part && (strings.HasSuffix(plain, p) || strings.HasPrefix(plain, p))) ||
			(len(plain) >= part && strings.HasPrefix(p, plain)) {
			cost, limit = min(cost, 2), max(limit, 2)
		}
		if cost <= limit && cost < bestCost {
			best, bestCost = a, cost
		}
	}
	return best
}

func plainWord(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(s))
}

// distance is the number of letters to insert, delete, replace or swap with a
// neighbour to turn a into b.
func distance(a, b string) int {
	const long = 64 // a longer word is no slip of the pen
	if len(a) > long || len(b) > long {
		return len(a) + len(b)
	}
	var before, prev []int
	cur := make([]int, len(b)+1)
	for j := range cur {
		cur[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, cur = prev, cur, make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			replace := prev[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return cur[len(b)]
}
