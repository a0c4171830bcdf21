// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"time"

	"k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

const (
	// firstRetry doubles with each try up to maxRetry. A conflict is tried
	// again at once the first time.
	firstRetry = 250 * time.Millisecond
	// maxRetry is that of the upstream service controller.
	maxRetry = 5 * time.Minute
	// patience is how many tries a caller waits for. Then it gets the error,
	// the user an event, and the upstream controller's back-off begins.
	patience = 5
	// firstLook is when a refused Service is looked at again without news, and
	// doubles up to maxRetry: what stood in its way may be in the cloud, of
	// which nobody tells.
	firstLook = 15 * time.Second
	// upstreamWait is how long the upstream controller leaves a refused Service
	// alone. Each of its tries writes two events, and the engine tries anyway.
	upstreamWait = time.Hour
	// minThrottle bounds a Retry-After of zero.
	minThrottle = 100 * time.Millisecond
)

// retryAfter tells whether the engine itself tries again, and when. What nobody
// waits for is tried until it succeeds; a drift pass comes again by itself.
func retryAfter(err error, en *entry) (time.Duration, bool) {
	if err == nil || errors.Is(err, errStopping) || en.cause == provider.Drift {
		return 0, false
	}
	tired := len(en.callers) > 0 && en.attempts >= patience
	switch plan.KindOf(err) {
	case plan.Throttled:
		e, _ := errors.AsType[*plan.Error](err)
		return max(e.RetryAfter, minThrottle), true
	case plan.Conflict:
		return backoff(en.attempts - 1), !tired
	case plan.Transient:
		return backoff(en.attempts), !tired
	case plan.Denied, plan.Invalid, plan.Exhausted:
	}
	return 0, false
}

// RetryAfter is how long to wait after an error when so many tries before were
// in vain, and when nobody waits for the answer.
func RetryAfter(err error, tries int) time.Duration {
	if isRefusal(err) {
		return doubled(firstLook, tries)
	}
	wait, _ := retryAfter(err, &entry{attempts: tries})
	return wait
}

// isRefusal reports whether something must change before another try helps.
func isRefusal(err error) bool { return err != nil && plan.KindOf(err).Refuses() }

// refusal is the error of a refused Service for the upstream controller: its
// sentence, with the wait until it may try again.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }

func (r refusal) Unwrap() []error {
	return []error{r.err, api.NewRetryError(r.err.Error(), upstreamWait)}
}

// backoff is firstRetry doubled n times, and nothing for a negative n.
func backoff(n int) time.Duration {
	if n < 0 {
		return 0
	}
	return doubled(firstRetry, n)
}

// doubled is d doubled n times, maxRetry at most.
func doubled(d time.Duration, n int) time.Duration {
	for range n {
		d = min(2*d, maxRetry)
	}
	return d
}
