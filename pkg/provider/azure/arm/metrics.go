// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// purpose says what a call is for, as metrics count it. The zero value is none.
type purpose uint8

const (
	purposeCall   purpose = iota + 1 // a read or write that was asked for
	purposeList                      // the first page of a list
	purposePage                      // a further page
	purposePoll                      // how far an operation is
	purposeFinal                     // the read that ends an operation
	purposeReread                    // what became of a write without an answer
)

func (p purpose) String() string {
	switch p {
	case purposeCall:
		return "call"
	case purposeList:
		return "list"
	case purposePage:
		return "page"
	case purposePoll:
		return "poll"
	case purposeFinal:
		return "final"
	case purposeReread:
		return "reread"
	}
	return "none"
}

// The metrics of all clients of the process; labels are from closed sets.
var (
	callSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: "fairlead", Name: "azure_call_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time of calls to Azure Resource Manager, each attempt for itself.",
		Buckets: metrics.ExponentialBuckets(0.01, 3, 9),
	}, []string{"method", "type", "purpose", "outcome"})
	paceSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: "fairlead", Name: "azure_pace_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time that calls to Azure Resource Manager were held back, so that its limits are kept.",
		Buckets: metrics.ExponentialBuckets(0.01, 4, 8),
	}, []string{"type", "class"})
	throttlesTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: "fairlead", Name: "azure_throttles_total", StabilityLevel: metrics.ALPHA,
		Help: "Calls that Azure refused for too many, and those held back after that until its time is over.",
	}, []string{"type", "class", "by"})
)

// RegisterMetrics makes the metrics of clients visible. It is to be called once
// in a process.
func RegisterMetrics() { legacyregistry.MustRegister(callSeconds, paceSeconds, throttlesTotal) }

// Who held a call back.
const (
	throttledByCloud = "azure"
	throttledByGate  = "fairlead"
)

func observeThrottle(r request, by string) {
	throttlesTotal.WithLabelValues(r.kind, classOf(r.method).String(), by).Inc()
}

func observeWait(r request, d time.Duration) {
	paceSeconds.WithLabelValues(r.kind, classOf(r.method).String()).Observe(d.Seconds())
}

// callKey is where a context says what a call is about.
type callKey struct{}

type callInfo struct {
	kind    string
	purpose purpose
}

func withPurpose(ctx context.Context, t target, p purpose) context.Context {
	return context.WithValue(ctx, callKey{}, callInfo{kind: t.kind, purpose: p})
}

// counter is the policy that counts each attempt.
type counter struct{}

// Do sends the request.
func (counter) Do(req *policy.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := req.Next()
	if info, ok := req.Raw().Context().Value(callKey{}).(callInfo); ok {
		callSeconds.WithLabelValues(req.Raw().Method, info.kind, info.purpose.String(), outcome(resp, err)).
			Observe(time.Since(start).Seconds())
	}
	return resp, err
}

// outcome is a closed set: ok, notfound, canceled, lost, or the kind of error.
func outcome(resp *http.Response, err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case err != nil:
		return "lost"
	case resp.StatusCode < http.StatusBadRequest:
		return "ok"
	}
	if err = runtime.NewResponseError(resp); NotFound(err) {
		return "notfound"
	}
	return readError(err).verdict().kind.String()
}

// userAgent is the policy that says who asks.
type userAgent string

// Do sends the request.
func (u userAgent) Do(req *policy.Request) (*http.Response, error) {
	req.Raw().Header.Set("User-Agent", string(u))
	return req.Next()
}
