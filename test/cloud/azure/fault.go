// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"time"
)

// When says on which side of the commit a fault strikes.
type When uint8

// Sides of the commit.
const (
	Before When = iota + 1 // nothing is done
	After                  // all is done, and the client does not hear of it
	AtEnd                  // a write is accepted, and its operation fails
)

// Fault spoils one call. With Status 0 the connection is closed without an
// answer, else the answer is an error of that status and code. AtEnd the
// document stands, in state Failed, and the operation says Failed with the code.
type Fault struct {
	When    When
	Status  int
	Code    string
	Message string
	// RetryAfter becomes the header of that name, in whole seconds; 0 is none.
	RetryAfter time.Duration
}

// Drop closes the connection, before or after the commit.
func Drop(when When) *Fault { return &Fault{When: when} }

// Refuse answers with an error before anything is done. wait becomes
// Retry-After; 0 is none.
func Refuse(status int, code string, wait time.Duration) *Fault {
	return &Fault{
		When: Before, Status: status, Code: code, RetryAfter: wait,
		Message: "This call was chosen to be refused.",
	}
}

func (f *Fault) answer() *answer {
	if f.Status == 0 {
		return &answer{hangup: true}
	}
	refused := refuse(f.Status, f.Code, "%s", f.Message)
	refused.retryAfter = f.RetryAfter
	return refused.answer()
}

// failing is the call's fault when that strikes at the end of its operation.
func (call *Call) failing() *Fault {
	if call.fault != nil && call.fault.When == AtEnd {
		return call.fault
	}
	return nil
}

// chooseFault asks for the fault of a call.
func (c *Cloud) chooseFault(call *Call) {
	fault := c.Spoil(*call)
	c.mu.Lock()
	defer c.mu.Unlock()
	call.fault = fault
}
