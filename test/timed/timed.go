// SPDX-License-Identifier: Apache-2.0

// Package timed bounds how long something takes in tests that run in real time,
// on machines that are busy with others.
package timed

import (
	"testing"
	"time"
)

// tries is how often something may be slow: a busy machine makes some tries
// slow, not all.
const tries = 4

// Within fails when none of a few tries takes most or less. Each try returns
// what it took; a failure of another kind it reports itself.
func Within(t *testing.T, most time.Duration, what string, try func() time.Duration) {
	t.Helper()
	if took, ok := best(most, try); !ok {
		t.Errorf("%s took %s at best, want %s at most", what, took.Round(time.Millisecond), most)
	}
}

// best tries until one is fast enough, and returns the shortest.
func best(most time.Duration, try func() time.Duration) (took time.Duration, ok bool) {
	took = try()
	for n := 1; n < tries && took > most; n++ {
		took = min(took, try())
	}
	return took, took <= most
}
