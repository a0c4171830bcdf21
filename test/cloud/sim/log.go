// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// Call is what is known of a call to any cloud.
type Call struct {
	// Seq numbers all calls from 1, as they arrived.
	Seq int
	// Write numbers the writes from 1; 0 for every other call.
	Write int
	// Status of the answer; 0 while it is not given, and when the connection was
	// cut instead.
	Status int
	// Code of the error that was answered, or empty.
	Code string
	// Arrived is when it came, Took how long the answer was in the making.
	Arrived time.Time
	Took    time.Duration
}

// Ended is when the answer was given.
func (c Call) Ended() time.Time { return c.Arrived.Add(c.Took) }

// Plain is the call without what one cloud alone knows of it.
func (c Call) Plain() Call { return c }

// Plain are calls without what one cloud alone knows of them.
func Plain[C interface{ Plain() Call }](calls []C) []Call {
	out := make([]Call, len(calls))
	for i, call := range calls {
		out[i] = call.Plain()
	}
	return out
}

// Log keeps calls of type C, in the order they arrived. The zero value is empty.
// It takes no lock.
type Log[C any] struct {
	calls  []*C
	writes int
}

// Next is what is known of the next call when it comes.
func (l *Log[C]) Next() Call { return Call{Seq: len(l.calls) + 1, Arrived: time.Now()} }

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

// Counts are calls by what the cloud calls the API or the type of resource.
type Counts struct {
	// Reads are the calls that only ask, without further pages.
	Reads map[string]int
	// Writes are all that change something, refused ones included.
	Writes map[string]int
	// Refused are calls that came too fast.
	Refused map[string]int
	// Failed are calls that were answered by any other error.
	Failed map[string]int
	// Pages are what Reads leaves out.
	Pages int
}

// NewCounts are none.
func NewCounts() Counts {
	return Counts{Reads: map[string]int{}, Writes: map[string]int{}, Refused: map[string]int{}, Failed: map[string]int{}}
}

// Total adds counts.
func Total(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
