// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// CallKind says what a call was for.
type CallKind uint8

// Kinds of calls.
const (
	Other    CallKind = iota + 1 // endpoints, tokens, and what is no path of Resource Manager
	Read                         // GET of a resource or the first page of a list
	NextPage                     // further page of a list
	Poll                         // question about a running operation
	FinalGet                     // GET that ends an operation whose poll told of success
	Write                        // PUT, DELETE, POST, PATCH
)

func (k CallKind) String() string {
	switch k {
	case Other:
		return "other"
	case Read:
		return "read"
	case NextPage:
		return "next page"
	case Poll:
		return "poll"
	case FinalGet:
		return "final get"
	case Write:
		return "write"
	default:
		return "invalid"
	}
}

// Call is one call that the cloud was asked.
type Call struct {
	sim.Call

	Kind   CallKind
	Method string
	// Type is the resource type, such as LoadBalancers, spelled as the constants
	// are; empty for kind Other.
	Type string
	// ID is the path that was asked for.
	ID string
	// Query is the rest of the URL, as it came.
	Query string
	// IfMatch is the header of that name.
	IfMatch string

	fault *Fault // chosen for it, or nil
}

// arrive numbers and classifies a call.
func (c *Cloud) arrive(r *http.Request) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := &Call{
		Call: c.log.Next(), Kind: Other, Method: r.Method, ID: r.URL.Path,
		Query: r.URL.RawQuery, IfMatch: r.Header.Get("If-Match"),
	}
	if id, ok := parseID(r.URL.Path); ok {
		call.Type = c.canonicalType(id)
		call.Kind = c.classify(r, id)
	}
	if call.Kind == Write {
		call.Write = c.log.NextWrite()
	}
	c.log.Add(call)
	return call
}

func (c *Cloud) classify(r *http.Request, id resourceID) CallKind {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Write
	}
	if _, _, ok := c.findOperation(id); ok {
		return Poll
	}
	if r.URL.Query().Has(skipToken) {
		return NextPage
	}
	path := id.key()
	for _, op := range c.operations {
		if op.awaitsGet && op.path == path {
			op.awaitsGet = false
			delete(c.operations, op.id)
			return FinalGet
		}
	}
	return Read
}

// canonicalType spells a type as the constants do.
func (c *Cloud) canonicalType(id resourceID) string {
	if k := c.kinds[strings.ToLower(id.typeName())]; k != nil {
		return k.name
	}
	if len(id.types) > 1 {
		if k, array := c.childOf(id); k != nil {
			return k.name + "/" + array
		}
	}
	return id.typeName()
}

// leave notes how a call ended.
func (c *Cloud) leave(call *Call, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remaining(call, a)
	if !a.hangup {
		a.header.Set("x-ms-request-id", fmt.Sprintf("00000000-0000-4000-a000-%012x", call.Seq))
		call.Status, call.Code = a.status, a.code
	}
	call.Took = time.Since(call.Arrived)
}

// Calls returns all calls since the start or the last ResetCalls, in the order
// they arrived. One that is not answered yet has Status 0 and Took 0.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.All()
}

// ResetCalls forgets all calls; numbering starts at 1 again.
func (c *Cloud) ResetCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = sim.Log[Call]{}
}

// Counts are calls by resource type.
type Counts struct {
	sim.Counts
	// Polls are questions about running operations, FinalGets end one.
	Polls, FinalGets int
}

// Counts counts the calls since the start or the last ResetCalls.
func (c *Cloud) Counts() Counts {
	n := Counts{Counts: sim.NewCounts()}
	for _, call := range c.Calls() {
		switch call.Kind {
		case Read:
			n.Reads[call.Type]++
		case Write:
			n.Writes[call.Type]++
		case NextPage:
			n.Pages++
		case Poll:
			n.Polls++
		case FinalGet:
			n.FinalGets++
		case Other:
		}
		switch {
		case call.Status == http.StatusTooManyRequests:
			n.Refused[call.Type]++
		case call.Code != "":
			n.Failed[call.Type]++
		}
	}
	return n
}
