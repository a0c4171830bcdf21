// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// finish waits until the operation that resp began is over, and returns what
// it left. Errors are not yet classified.
func (c *Client) finish(ctx context.Context, r request, resp *http.Response) (json.RawMessage, error) {
	body, err := runtime.Payload(resp)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusAccepted && strings.EqualFold(stateOf(body), stateSucceeded) {
		return body, nil // done already: the final read would answer the same
	}
	poller, err := runtime.NewPoller(resp, c.pipeline(r.target), &runtime.NewPollerOptions[json.RawMessage]{
		FinalStateVia: runtime.FinalStateViaLocation,
	})
	if err != nil {
		return nil, err
	}
	wait := c.pollAfter(resp.Header)
	for !poller.Done() {
		if err := wire.Sleep(ctx, c.clock, wait); err != nil {
			return nil, err
		}
		resp, err := poller.Poll(c.annotatePoll(ctx, r, purposePoll)) //nolint:bodyclose // the pipeline has read it to its end
		switch {
		case err == nil:
			wait = c.pollAfter(resp.Header)
		case statusOf(err) == http.StatusTooManyRequests: // the operation goes on
			wait = c.pollAfter(headerOf(err))
		default:
			return nil, ofOperation(err)
		}
	}
	doc, err := poller.Result(c.annotatePoll(ctx, r, purposeFinal))
	return doc, ofOperation(err)
}

// errForgotten is for an operation that the service knows no more. What became
// of it is for the resource to tell.
var errForgotten = errors.New("the operation is not known any more")

// ofOperation is the error of a poll. A status of 404 is about the operation,
// and not about what it writes.
func ofOperation(err error) error {
	if statusOf(err) == http.StatusNotFound {
		return errForgotten
	}
	return err
}

// annotatePoll is annotate for the reads that belong to an operation.
func (c *Client) annotatePoll(ctx context.Context, r request, p purpose) context.Context {
	return c.annotate(ctx, request{target: r.target, method: http.MethodGet, purpose: p})
}

// pollAfter is how long to wait before the next poll.
func (c *Client) pollAfter(h http.Header) time.Duration {
	if d := retryAfter(h, c.clock.Now()); d > 0 {
		return d
	}
	return c.times.Poll
}

// The provisioning states that end an operation. All others mean that one goes
// on.
const (
	stateSucceeded = "Succeeded"
	stateFailed    = "Failed"
	stateCanceled  = "Canceled"
)

// stateOf is the provisioning state of a document; empty when it has none.
func stateOf(doc json.RawMessage) string {
	var d struct {
		Properties struct {
			State string `json:"provisioningState"`
		} `json:"properties"`
	}
	if json.Unmarshal(doc, &d) != nil {
		return ""
	}
	return d.Properties.State
}

// settled reports whether no operation on the document goes on.
func settled(doc json.RawMessage) bool {
	state := stateOf(doc)
	for _, end := range []string{"", stateSucceeded, stateFailed, stateCanceled} {
		if strings.EqualFold(state, end) {
			return true
		}
	}
	return false
}

// EtagOf is the etag of a document; empty when it has none.
func EtagOf(doc json.RawMessage) string {
	var d struct {
		Etag string `json:"etag"`
	}
	if json.Unmarshal(doc, &d) != nil {
		return ""
	}
	return d.Etag
}

// statusOf is the HTTP status of the answer in err; 0 when there is none.
func statusOf(err error) int {
	if re, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return re.StatusCode
	}
	return 0
}

// headerOf is the header of the answer in err; nil when there is none.
func headerOf(err error) http.Header {
	if re, ok := errors.AsType[*azcore.ResponseError](err); ok && re.RawResponse != nil {
		return re.RawResponse.Header
	}
	return nil
}
