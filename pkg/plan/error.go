// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind tells the pass what to do about an error. It is set once, where the
// answer of the cloud is read. The zero value is none.
type Kind uint8

// The kinds of error.
const (
	Transient Kind = iota + 1 // try again with back-off
	Throttled                 // try again after RetryAfter
	Conflict                  // another writer was there: observe and plan again
	Denied                    // access must be granted
	Invalid                   // the Service or the configuration must change
	Exhausted                 // something must be freed first: a pool, a quota
)

// Refuses reports whether something must change before another try helps.
func (k Kind) Refuses() bool {
	switch k {
	case Denied, Invalid, Exhausted:
		return true
	case Transient, Throttled, Conflict:
	}
	return false
}

// Error is an error with what the pass needs to know of it.
type Error struct {
	Kind Kind
	// Reason is fixed and PascalCase: the reason of the event and condition.
	Reason string
	// RetryAfter is when a throttled call may be sent again.
	RetryAfter time.Duration
	Err        error // the sentence: what, where, why, cure
}

// Error is the sentence.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// LeftOutError is the answer of a step that was done, but for parts.
type LeftOutError struct {
	// Failed are the Services whose parts were left out, and why they fail.
	Failed map[Key]error
	// Owed is why something was left out without which the Services of the step
	// are served: nil, or what they are told while another pass tries it again.
	Owed error
	// Untold is the same where no Service is told, since many would be.
	Untold error
}

// Error names the Services, and what is left out.
func (e *LeftOutError) Error() string {
	keys := slices.SortedFunc(maps.Keys(e.Failed), CompareKeys)
	var texts []string
	for _, k := range keys {
		texts = append(texts, fmt.Sprintf("%s: %v", k, e.Failed[k]))
	}
	for _, err := range []error{e.Owed, e.Untold} {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	return "done without " + strings.Join(texts, "; ")
}

// KindOf is the kind of the first Error in err's chain, and Transient when
// there is none: what nobody classified is worth another try.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Transient
}
