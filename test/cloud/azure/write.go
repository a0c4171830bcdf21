// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// maxBody is the largest request that Resource Manager takes: 4 MB, from the
// page on limits of Resource Manager.
const maxBody = 4 << 20

// write is one PUT or DELETE on its way to the store.
type write struct {
	cloud  *Cloud
	call   *Call
	method string
	id     resourceID
	kind   *kind
	// childArray and childName say which element of the resource is meant, when
	// it is not the whole.
	childArray, childName string
	// prior is what is there, or nil.
	prior *resource
	// body is what was sent; next is the document to be.
	body object
	next object
}

// resourceID is the id of the stored resource that is written, spelled as it
// was at first.
func (w *write) resourceID() string {
	if w.prior != nil {
		return w.prior.id
	}
	if w.childArray != "" {
		return parent(w.id.path)
	}
	return w.id.path
}

// serveWrite runs one write: hook, judgement, commit, hook, and the wait of
// those whose answer is held.
func (c *Cloud) serveWrite(r *http.Request, call *Call, t target) *answer {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return &answer{hangup: true}
	}
	if len(data) > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, "RequestContentTooLarge",
			"The request content size exceeds the maximum size of 4 MB.").answer()
	}
	if len(data) > 0 && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType",
			"The content media type '%s' is not supported. Only 'application/json' is supported.",
			r.Header.Get("Content-Type")).answer()
	}
	if !c.Hook(sim.BeforeCommit, *call) {
		return &answer{hangup: true}
	}
	w := &write{cloud: c, call: call, method: r.Method, id: t.id, kind: t.kind}
	if t.array != "" {
		w.childArray, w.childName = t.array, t.id.name()
	}
	c.mu.Lock()
	c.settleNow()
	op, a := c.apply(w, t, data, r.Header)
	if op != nil {
		a = c.accepted(w, op, baseURL(r))
	}
	c.mu.Unlock()
	if a != nil && a.status >= http.StatusBadRequest {
		return a
	}
	if !c.Hook(sim.AfterCommit, *call) {
		return &answer{hangup: true}
	}
	if call.fault != nil && call.fault.When == After {
		return call.fault.answer()
	}
	if a == nil {
		a = c.hold(r.Context(), w, op)
	}
	return a
}

// apply judges and commits a write. It returns the operation that the write
// began, or the whole answer.
func (c *Cloud) apply(w *write, t target, data []byte, header http.Header) (*operation, *answer) {
	if c.groups[key(w.id.group)] == "" {
		return nil, missingGroup(w.id).answer()
	}
	storeID := w.id.path
	if w.childArray != "" {
		storeID = parent(storeID)
	}
	w.prior = c.resources[key(storeID)]
	if refused := w.precondition(header); refused != nil {
		return nil, refused.answer()
	}
	if t.verb != "" {
		return c.migrate(w, data)
	}
	if w.method == http.MethodDelete && w.childArray == "" {
		return c.applyDelete(w)
	}
	refused := w.begin(data)
	if refused == nil {
		refused = w.kind.prepare(w)
	}
	if refused != nil {
		return nil, refused.answer()
	}
	r := w.prior
	if r == nil {
		r = &resource{id: w.id.path, kind: w.kind}
	}
	gone := goneFrom(r.doc, w.next)
	c.commit(r, w.next)
	setState(r, updating)
	c.leavePools(gone)
	if r.kind.name == Instances {
		if set := c.resources[key(parent(r.id))]; set != nil {
			c.touch(set)
		}
	}
	return c.begin(w, r), nil
}

// applyDelete removes a whole resource.
func (c *Cloud) applyDelete(w *write) (*operation, *answer) {
	r := w.prior
	if r == nil {
		return nil, rawAnswer(http.StatusNoContent, nil)
	}
	if r.state() == deleting {
		return nil, refuse(http.StatusConflict, "AnotherOperationInProgress",
			"Another operation on this or dependent resource is in progress: %s is being deleted.", r.id).answer()
	}
	if r.kind.inUse != nil {
		if refused := r.kind.inUse(c, r); refused != nil {
			return nil, refused.answer()
		}
	}
	setState(r, deleting)
	c.touch(r)
	return c.begin(w, r), nil
}

// precondition checks If-Match and If-None-Match, and that what is written is
// not being deleted.
func (w *write) precondition(header http.Header) *refusal {
	current, exists := "", w.prior != nil
	if exists {
		current = text(w.prior.doc, "etag")
		if w.childArray != "" {
			exists = w.currentChild() != nil
		}
	}
	match, none := header.Get("If-Match"), header.Get("If-None-Match")
	failed := refuse(http.StatusPreconditionFailed, "PreconditionFailed", "Precondition failed.")
	switch {
	case none != "" && none != "*":
		return bad("InvalidHeaderValue", "The value '%s' of header If-None-Match is not supported; only * is.", none)
	case none == "*" && exists:
		return failed.because("PreconditionFailedResourceExists", "Resource %s exists already.", w.id.path)
	case match != "" && !exists && w.method == http.MethodPut:
		return failed.because("PreconditionFailedEtagMismatch",
			"Etag provided in if-match header %s does not match: resource %s does not exist.", match, w.id.path)
	case match != "" && match != "*" && exists && match != current:
		return failed.because("PreconditionFailedEtagMismatch",
			"Etag provided in if-match header %s does not match etag %s of resource %s in NRP data store.",
			match, current, w.id.path)
	}
	whole := w.method == http.MethodDelete && w.childArray == ""
	if w.prior != nil && !whole && w.prior.state() == deleting {
		return refuse(http.StatusConflict, "AnotherOperationInProgress",
			"Another operation on this or dependent resource is in progress: %s is being deleted.", w.prior.id)
	}
	return nil
}

func (w *write) currentChild() object {
	return named(elements(child(w.prior.doc, "properties"), w.childArray), w.childName)
}

// accepted is the answer to a write that goes on, or is done already; nil for
// one whose answer is held.
func (c *Cloud) accepted(w *write, op *operation, base string) *answer {
	if op.ended() {
		return c.done(w, op)
	}
	if w.holds() {
		return nil
	}
	status := http.StatusOK
	switch {
	case w.method == http.MethodDelete:
		status = http.StatusAccepted
	case w.prior == nil:
		status = http.StatusCreated
	}
	a := rawAnswer(status, nil)
	if w.method != http.MethodDelete {
		a = w.document(status)
	}
	c.announce(a, base, op)
	return a
}

// holds reports whether the answer waits for the end of the operation.
func (w *write) holds() bool {
	return w.method == http.MethodPost || w.method == http.MethodPut && w.kind.held && w.childArray == ""
}

// hold waits for the end of the operation and answers then.
func (c *Cloud) hold(ctx context.Context, w *write, op *operation) *answer {
	timer := time.NewTimer(time.Until(op.due))
	defer timer.Stop()
	select {
	case <-op.done:
	case <-timer.C:
	case <-ctx.Done():
		return &answer{hangup: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	return c.done(w, op)
}

// done is the answer to a write that is over.
func (c *Cloud) done(w *write, op *operation) *answer {
	switch {
	case op.failed != nil:
		return op.failed.answer()
	case w.method == http.MethodPost:
		return rawAnswer(http.StatusOK, op.result)
	case w.method == http.MethodDelete:
		return rawAnswer(http.StatusOK, nil)
	case w.prior == nil:
		return w.document(http.StatusCreated)
	default:
		return w.document(http.StatusOK)
	}
}

// document answers with what was written, as it is now.
func (w *write) document(status int) *answer {
	if w.childArray != "" {
		e := w.cloud.findChild(w.id.path)
		return withETag(jsonAnswer(status, e), e)
	}
	r := w.cloud.resources[w.id.key()]
	if r == nil {
		return missingResource(w.id).answer()
	}
	return withETag(rawAnswer(status, r.json()), r.doc)
}

// wrongName refuses a body that names another resource than the path does.
func wrongName(field, have, want string) *refusal {
	if have == "" || strings.EqualFold(have, want) {
		return nil
	}
	return bad("InvalidRequestContent",
		"The request content was invalid: %s '%s' in the body does not match '%s' in the path.", field, have, want)
}
