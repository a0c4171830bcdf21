// SPDX-License-Identifier: Apache-2.0

package sim

// Log keeps calls of type C, in the order they arrived. The zero value is empty.
// It takes no lock.
type Log[C any] struct {
	calls  []*C
	writes int
}

// Next is the number of the next call, from 1.
func (l *Log[C]) Next() int { return len(l.calls) + 1 }

// NextWrite counts one more write and returns its number, from 1.
func (l *Log[C]) NextWrite() int {
	l.writes++
	return l.writes
}

// Add keeps a call, which may still change.
func (l *Log[C]) Add(call *C) { l.calls = append(l.calls, call) }

// All are the calls as they are now.
func (l *Log[C]) All() []C {
	calls := make([]C, len(l.calls))
	for i, call := range l.calls {
		calls[i] = *call
	}
	return calls
}

// Total adds counts.
func Total(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
