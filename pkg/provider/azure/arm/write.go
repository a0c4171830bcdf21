// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// writeRetries is how often a write is sent again when its answer was lost and
// it is known that it was not done.
const writeRetries = 2

// Put writes the whole resource and waits until that is done; it returns the
// resource as it is then. With an etag it fails with plan.Conflict when the
// resource has another one; without, it makes or replaces what is there.
//
// When the answer is lost, the resource is read again: if it holds all that was
// sent it is done, and if it is as before it is sent again.
func (c *Client) Put(ctx context.Context, id string, body json.RawMessage, etag string) (json.RawMessage, error) {
	return c.write(ctx, id, request{method: http.MethodPut, body: body, etag: etag})
}

// Create makes the resource as Put does, and fails with plan.Conflict when it is
// there already.
func (c *Client) Create(ctx context.Context, id string, body json.RawMessage) (json.RawMessage, error) {
	return c.write(ctx, id, request{method: http.MethodPut, body: body, fresh: true})
}

// Delete removes the resource and waits until it is gone. One that is not there
// is no error. With an etag it fails with plan.Conflict when the resource has
// another one.
func (c *Client) Delete(ctx context.Context, id, etag string) error {
	_, err := c.write(ctx, id, request{method: http.MethodDelete, etag: etag})
	return err
}

// write sends a write until it is known whether it was done.
func (c *Client) write(ctx context.Context, id string, r request) (json.RawMessage, error) {
	t, err := c.target(id)
	if err != nil {
		return nil, err
	}
	r.target, r.purpose = t, purposeCall
	ctx, cancel := context.WithTimeout(ctx, c.times.Operation)
	defer cancel()
	wait := c.times.Retry
	for try := 0; ; try++ {
		out, err := c.writeOnce(ctx, r)
		switch {
		case err == nil:
			return out, nil
		case r.method == http.MethodDelete && NotFound(err):
			return nil, nil
		case ctx.Err() != nil || !lost(err):
			return nil, c.refusal(r, err)
		}
		out, what, after := c.lookBack(ctx, r, err)
		if what != notDone || try == writeRetries {
			return out, after
		}
		if err := wire.Sleep(ctx, c.clock, wait); err != nil {
			return nil, c.refusal(r, err)
		}
		wait *= 2
	}
}

func (c *Client) writeOnce(ctx context.Context, r request) (json.RawMessage, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.finish(ctx, r, resp)
}

// lost reports whether err leaves open what became of a write.
func lost(err error) bool {
	if status := statusOf(err); status != 0 {
		return isUnavailable(status)
	}
	if _, ok := errors.AsType[*plan.Error](err); ok {
		return false // a closed gate: nothing was sent
	}
	return !isCredentialError(err)
}

// fate is what became of a write whose answer was lost. The zero value is none.
type fate uint8

const (
	done    fate = iota + 1 // or refused: there is nothing more to do
	notDone                 // it may be sent again
)

// lookBack finds out what became of a write whose answer was lost. The error
// counts unless the write was done, also when it is not sent again.
func (c *Client) lookBack(ctx context.Context, r request, cause error) (json.RawMessage, fate, error) {
	lostIt := c.refusal(r, cause)
	doc, err := c.getSettled(ctx, r.target)
	switch {
	case NotFound(err) && r.method == http.MethodDelete:
		return nil, done, nil
	case NotFound(err) && r.etag == "":
		return nil, notDone, lostIt
	case NotFound(err):
		return nil, done, conflict(r, "it has been removed meanwhile", cause)
	case err != nil:
		return nil, done, lostIt
	}
	changed := r.etag != "" && EtagOf(doc) != r.etag
	switch {
	case r.method == http.MethodPut && (changed || r.etag == "") && covers(doc, r.body):
		if state := stateOf(doc); state != "" && !strings.EqualFold(state, stateSucceeded) {
			return nil, done, c.refusal(r, fmt.Errorf("the operation ended as %s: %w", state, cause))
		}
		return doc, done, nil
	case changed:
		return nil, done, conflict(r, "it has been changed meanwhile", cause)
	}
	return nil, notDone, lostIt
}

// getSettled reads a resource until no operation on it goes on. It looks four times
// as often as at an operation that is known: others wait for the write.
func (c *Client) getSettled(ctx context.Context, t target) (json.RawMessage, error) {
	for {
		doc, err := c.get(ctx, t, nil, purposeReread)
		if err != nil || settled(doc) {
			return doc, err
		}
		if err := wire.Sleep(ctx, c.clock, max(c.times.Poll/4, time.Millisecond)); err != nil {
			return nil, err
		}
	}
}
