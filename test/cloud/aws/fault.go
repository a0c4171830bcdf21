// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/http"
)

// When says on which side of the commit a fault strikes.
type When uint8

// Sides of the commit.
const (
	Before When = iota + 1 // nothing is done
	After                  // all is done, and the client does not hear of it
)

// Fault spoils one call. With Status 0 the connection is closed without an
// answer, else the answer is an error of that status and code.
type Fault struct {
	When    When
	Status  int
	Code    string
	Message string
}

// Drop closes the connection, before or after the commit.
func Drop(when When) *Fault { return &Fault{When: when} }

// Refuse answers with an error before anything is done.
func Refuse(status int, code string) *Fault {
	return &Fault{When: Before, Status: status, Code: code, Message: "This call was chosen to be refused."}
}

// Throttled refuses the call as one that came too fast, in the words of its
// service.
func Throttled(call Call) *Fault {
	refused := tooFast(call.Service)
	return &Fault{When: Before, Status: refused.status, Code: refused.code, Message: refused.message}
}

// Denied refuses the call as one that the identity may not make, in the words of
// its service.
func Denied(call Call) *Fault {
	if call.Service == EC2 {
		return &Fault{
			When: Before, Status: http.StatusForbidden, Code: "UnauthorizedOperation",
			Message: "You are not authorized to perform this operation. User: arn:aws:iam::" + DefaultAccount +
				":user/test is not authorized to perform: ec2:" + call.Action + " on resource: *",
		}
	}
	return &Fault{
		When: Before, Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "User: arn:aws:iam::" + DefaultAccount + ":user/test is not authorized to perform: " +
			"elasticloadbalancing:" + call.Action + " on resource: *",
	}
}

func (f *Fault) answer(call *Call) *answer {
	if f.Status == 0 {
		return &answer{hangup: true}
	}
	return refuse(f.Status, f.Code, "%s", f.Message).answer(call)
}

// chooseFault asks for the fault of a call.
func (c *Cloud) chooseFault(call *Call) {
	fault := c.Spoil(*call)
	c.mu.Lock()
	defer c.mu.Unlock()
	call.fault = fault
}
