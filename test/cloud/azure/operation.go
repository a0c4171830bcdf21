// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// operation is one write that takes time.
type operation struct {
	id     string
	name   string // such as PutLoadBalancerOperation
	method string
	target *resource
	kind   string // type that was written, of a child also
	path   string // what the final GET asks for
	due    time.Time
	done   chan struct{} // closed when it has ended
	status string        // "" while it runs
	failed *refusal
	polls  int
	// awaitsGet is set by the poll that tells of success: the next GET of path
	// is then the operation's last call.
	awaitsGet bool
	result    []byte // answer of an action
	fault     *Fault // it fails at its end
}

func (op *operation) ended() bool { return op.status != "" }

// begin starts the operation of a write. With no latency it is over at once.
func (c *Cloud) begin(w *write, r *resource) *operation {
	word := r.kind.operation
	if w.childArray != "" {
		word += strings.ToUpper(w.childArray[:1]) + strings.TrimSuffix(w.childArray[1:], "s")
	}
	verb := strings.ToUpper(w.method[:1]) + strings.ToLower(w.method[1:])
	op := &operation{
		id: c.guid(), name: verb + word + "Operation", method: w.method, target: r, kind: w.call.Type,
		path: key(w.id.path), fault: w.call.failing(), done: make(chan struct{}),
		due: time.Now().Add(c.latency.of(w.method, w.call.Type)),
	}
	if r.op != nil {
		c.supersede(r.op, op)
	}
	r.op = op
	c.operations[op.id] = op
	c.running = append(c.running, op)
	c.settleNow()
	return op
}

// supersede cancels an operation because of a newer one.
func (c *Cloud) supersede(old, by *operation) {
	old.failed = refuse(http.StatusConflict, "Canceled", "Operation was canceled.").because(
		"CanceledAndSupersededDueToAnotherOperation",
		"Operation %s (%s) was canceled and superseded by operation %s (%s).", old.name, old.id, by.name, by.id)
	old.end("Canceled")
}

func (op *operation) end(status string) {
	op.status = status
	close(op.done)
}

// finish brings the resource to the state that the operation leads to.
func (c *Cloud) finish(op *operation) {
	r := op.target
	r.op = nil
	if op.fault != nil {
		op.failed = refuse(op.fault.Status, op.fault.Code, "%s", op.fault.Message)
		setState(r, failed)
		c.touch(r)
		op.end(failed)
		return
	}
	if op.method == http.MethodDelete && r.state() == deleting {
		c.leavePools(goneFrom(r.doc, nil))
		c.remove(r)
		op.end(succeeded)
		return
	}
	if r.kind.complete != nil {
		r.kind.complete(c, r)
	}
	setState(r, succeeded)
	c.touch(r)
	op.end(succeeded)
}

// operationPath is where an operation is asked about.
func (c *Cloud) operationPath(op *operation, noun string) string {
	namespace, _, _ := strings.Cut(op.target.kind.name, "/")
	return fmt.Sprintf("/subscriptions/%s/providers/%s/locations/%s/%s/%s",
		c.subscription, namespace, c.location, noun, op.id)
}

const (
	nounStatus = "operations"       // Azure-AsyncOperation
	nounResult = "operationResults" // Location
)

// findOperation tells whether a path is a poll, and of what.
func (c *Cloud) findOperation(id resourceID) (op *operation, noun string, ok bool) {
	if id.group != "" || len(id.types) != 2 || !strings.EqualFold(id.types[0], "locations") {
		return nil, "", false
	}
	for _, noun := range []string{nounStatus, nounResult} {
		if strings.EqualFold(id.types[1], noun) {
			return c.operations[strings.ToLower(id.name())], noun, true
		}
	}
	return nil, "", false
}

// poll answers a question about an operation.
func (c *Cloud) poll(base string, op *operation, noun string) *answer {
	if op == nil {
		return refuse(http.StatusNotFound, "NotFound", "The operation is not known.").answer()
	}
	if noun == nounResult {
		return c.pollResult(base, op)
	}
	body := object{"status": "InProgress"}
	switch {
	case !op.ended():
	case op.failed != nil:
		body = object{"status": op.status, "error": op.failed.envelope()}
	default:
		body["status"] = op.status
		op.awaitsGet = op.method == http.MethodPut
	}
	a := jsonAnswer(http.StatusOK, body)
	if !op.ended() {
		a.header.Set("Retry-After", seconds(c.wait(waitPoll(op.polls))))
		op.polls++
	}
	return a
}

func (c *Cloud) pollResult(base string, op *operation) *answer {
	switch {
	case !op.ended():
		a := rawAnswer(http.StatusAccepted, nil)
		a.header.Set("Location", base+c.operationPath(op, nounResult)+"?api-version="+op.target.kind.version)
		a.header.Set("Retry-After", seconds(c.wait(waitPoll(op.polls))))
		op.polls++
		return a
	case op.failed != nil:
		return op.failed.answer()
	case op.method == http.MethodDelete:
		return rawAnswer(http.StatusNoContent, nil)
	default:
		return rawAnswer(http.StatusOK, op.result)
	}
}

// announce adds the headers that name a running operation.
func (c *Cloud) announce(a *answer, base string, op *operation) {
	query := "?api-version=" + op.target.kind.version
	if op.method == http.MethodDelete {
		a.header.Set("Location", base+c.operationPath(op, nounResult)+query)
	} else {
		a.header.Set("Azure-AsyncOperation", base+c.operationPath(op, nounStatus)+query)
	}
	if wait := c.wait(waitAfter(op.method, op.kind)); wait > 0 {
		a.header.Set("Retry-After", seconds(wait))
	}
}

// wait is the listed Retry-After, cut to the longest that the options allow.
func (c *Cloud) wait(listed time.Duration) time.Duration {
	if c.maxWait > 0 {
		return min(listed, c.maxWait)
	}
	return listed
}
