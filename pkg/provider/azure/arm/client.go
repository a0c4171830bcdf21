// SPDX-License-Identifier: Apache-2.0

// Package arm speaks to Azure Resource Manager: it reads and writes resources
// as the JSON documents that they are, waits for long operations, keeps to the
// service's throttling, and says of every refusal what kind it is.
package arm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Client speaks to one cloud. Its methods may be called side by side. All
// errors but those of a context that ended are *plan.Error; what the service
// answered is an *azcore.ResponseError inside.
type Client struct {
	endpoint *url.URL
	own      runtime.Pipeline
	// network is used in networkSubscription, lower case, which is of another
	// tenant; empty: there is none.
	network             runtime.Pipeline
	networkSubscription string

	types map[string]resourceType
	gates *gates
	pace  *pace
	clock clock.Clock
	times Times
}

// Get reads a resource. query may be nil; the api-version is added.
func (c *Client) Get(ctx context.Context, id string, query url.Values) (json.RawMessage, error) {
	t, err := c.target(id)
	if err != nil {
		return nil, err
	}
	return c.get(ctx, t, query, purposeCall)
}

func (c *Client) get(ctx context.Context, t target, query url.Values, p purpose) (json.RawMessage, error) {
	r := request{target: t, method: http.MethodGet, query: query, purpose: p}
	body, err := c.read(ctx, r)
	if err != nil {
		return nil, c.refusal(r, err)
	}
	return body, nil
}

// read sends a read and returns the body of its answer.
func (c *Client) read(ctx context.Context, r request) ([]byte, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return runtime.Payload(resp)
}

// List reads all pages of a collection, such as
// /subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers.
// query may be nil; the api-version is added.
func (c *Client) List(ctx context.Context, collection string, query url.Values) ([]json.RawMessage, error) {
	t, err := c.target(collection)
	if err != nil {
		return nil, err
	}
	var out []json.RawMessage
	next := request{target: t, method: http.MethodGet, query: query, purpose: purposeList}
	seen := map[string]bool{}
	for {
		body, err := c.read(ctx, next)
		if err != nil {
			return nil, c.refusal(next, err)
		}
		var page struct {
			Value    []json.RawMessage `json:"value"`
			NextLink string            `json:"nextLink"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, c.refusal(next, fmt.Errorf("the answer is no page of a list: %w", err))
		}
		out = append(out, page.Value...)
		if page.NextLink == "" {
			return out, nil
		}
		if seen[page.NextLink] {
			return nil, c.refusal(next, fmt.Errorf("the list does not end: page %s comes again", page.NextLink))
		}
		seen[page.NextLink] = true
		next.link, next.purpose = page.NextLink, purposePage
	}
}

// request is one call to be sent.
type request struct {
	target
	method  string
	query   url.Values // without the api-version
	link    string     // when set, the whole URL
	body    json.RawMessage
	etag    string
	fresh   bool // it must not be there yet
	purpose purpose
}

// target reads a path.
func (c *Client) target(path string) (target, error) {
	t, err := parsePath(path, c.types)
	if err != nil {
		return t, &plan.Error{Kind: plan.Invalid, Reason: reasonRefused, Err: err}
	}
	return t, nil
}

// pipeline is whose identity speaks about the target.
func (c *Client) pipeline(t target) runtime.Pipeline {
	if c.networkSubscription != "" && strings.EqualFold(t.subscription, c.networkSubscription) {
		return c.network
	}
	return c.own
}

// send sends one call, unless the service would refuse it for too many. The
// error is not yet classified; an answer that is no success is one.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	gate := r.gate(classOf(r.method))
	if err := c.admitted(r, gate); err != nil {
		return nil, err
	}
	asked := c.clock.Now()
	slot, err := c.pace.take(ctx, gate)
	var header http.Header
	defer func() { c.pace.done(slot, header) }()
	if err != nil {
		return nil, err
	}
	observeWait(r, slot.at.Sub(asked))
	if err := c.admitted(r, gate); err != nil { // it may have closed meanwhile
		return nil, err
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.pipeline(r.target).Do(req)
	if err != nil {
		return nil, err
	}
	header = resp.Header
	if runtime.HasStatusCode(resp, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent) {
		return resp, nil
	}
	err = runtime.NewResponseError(resp)
	if resp.StatusCode == http.StatusTooManyRequests {
		c.refusedForMany(r, gate, err)
	}
	return nil, err
}

// refusedForMany closes the gate after a 429 that is about all calls of the
// type: its code says so, or it has no known code and a Retry-After. Others, such
// as RetryableError, are about this one call.
func (c *Client) refusedForMany(r request, gate gateKey, err error) {
	after := retryAfter(headerOf(err), c.clock.Now())
	v, known := readError(err).codeVerdict()
	if (known && v.kind != plan.Throttled) || (!known && after == 0) {
		return
	}
	if after == 0 {
		after = unsaidRetryAfter
	}
	c.gates.close(gate, min(after, longestRetryAfter))
	observeThrottle(r, throttledByCloud)
}

// admitted is an error while the gate is closed.
func (c *Client) admitted(r request, k gateKey) error {
	left := c.gates.closed(k)
	if left == 0 {
		return nil
	}
	observeThrottle(r, throttledByGate)
	return throttled(r, left)
}

func (c *Client) newRequest(ctx context.Context, r request) (*policy.Request, error) {
	link := r.link
	if link == "" {
		u := *c.endpoint
		u.Path = strings.TrimSuffix(u.Path, "/") + r.path
		query := maps.Clone(r.query)
		if query == nil {
			query = url.Values{}
		}
		query.Set("api-version", r.version)
		// ARM reads no plus as a space.
		u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
		link = u.String()
	}
	req, err := runtime.NewRequest(c.annotate(ctx, r), r.method, link)
	if err != nil {
		return nil, err
	}
	req.Raw().Header.Set("Accept", "application/json")
	if r.fresh {
		req.Raw().Header.Set("If-None-Match", "*")
	}
	if r.etag != "" {
		req.Raw().Header.Set("If-Match", r.etag)
	}
	if len(r.body) > 0 {
		body := struct{ io.ReadSeekCloser }{nopCloser{bytes.NewReader(r.body)}}
		if err := req.SetBody(body, "application/json"); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// annotate tells the pipeline how to retry and how to count. What is read may
// be read again at once; of a write whose answer is lost nobody knows yet
// whether it was done.
func (c *Client) annotate(ctx context.Context, r request) context.Context {
	retry := policy.RetryOptions{
		MaxRetries: -1, TryTimeout: c.times.Call,
		StatusCodes: unavailable(),
	}
	if r.method == http.MethodGet {
		retry.MaxRetries, retry.RetryDelay, retry.MaxRetryDelay = readRetries, c.times.Retry, c.times.LongestRetry
	}
	return policy.WithRetryOptions(withPurpose(ctx, r.target, r.purpose), retry)
}

// readRetries is how often a read is sent again before the pass hears of it.
const readRetries = 2

// unavailable are the answers of a service that may or may not have done what
// was asked.
func unavailable() []int {
	return []int{
		http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
}

func isUnavailable(status int) bool { return slices.Contains(unavailable(), status) }

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// Times bound the calls. Zero fields have their defaults.
type Times struct {
	// Call bounds one call, one minute. A write holds its answer until it is
	// done, for some types.
	Call time.Duration
	// Operation bounds a write with all its polls, 20 minutes.
	Operation time.Duration
	// Poll is the wait before a poll where the service asks for none, 1 s.
	Poll time.Duration
	// Retry is the wait before a read is sent again, 250 ms, and doubles.
	Retry time.Duration
	// LongestRetry is the longest wait of a read that the service may ask for
	// when it is not available, 10 s: a longer one is left to the pass.
	LongestRetry time.Duration
}

func (t Times) withDefaults() Times {
	t.Call = cmp.Or(t.Call, time.Minute)
	t.Operation = cmp.Or(t.Operation, 20*time.Minute)
	t.Poll = cmp.Or(t.Poll, time.Second)
	t.Retry = cmp.Or(t.Retry, 250*time.Millisecond)
	t.LongestRetry = cmp.Or(t.LongestRetry, 10*time.Second)
	return t
}
