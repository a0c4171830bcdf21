// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/smithy-go/middleware"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

const (
	// readAttempts and writeAttempts are how often a call without an answer is
	// sent in all, before the pass hears of it.
	readAttempts  = 3
	writeAttempts = 2
	// throttleAttempts are how often one is sent that is refused for too many.
	throttleAttempts = 6
)

// sender is our part of the SDK's stack: it stands around what the SDK does for
// one attempt, in place of the SDK's own retries.
type sender struct {
	pace  *pace
	clock clock.Clock
	times Times
}

// install puts our parts into the stack of an operation.
func (s *sender) install(stack *middleware.Stack) error {
	around := middleware.InitializeMiddlewareFunc("FairleadErrors", s.classify)
	if err := stack.Initialize.Add(around, middleware.After); err != nil {
		return fmt.Errorf("set up calls to AWS: %w", err)
	}
	attempts := middleware.FinalizeMiddlewareFunc("FairleadAttempts", s.attempts)
	if err := stack.Finalize.Insert(attempts, "Retry", middleware.Before); err != nil {
		return fmt.Errorf("set up calls to AWS: %w", err)
	}
	signed := middleware.FinalizeMiddlewareFunc("FairleadSigned", markSigned)
	if err := stack.Finalize.Insert(signed, "GetIdentity", middleware.After); err != nil {
		return fmt.Errorf("set up calls to AWS: %w", err)
	}
	return nil
}

// callKey is where a context says what a call is about.
type callKey struct{}

// call is one call of the SDK.
type call struct {
	service, action string
	in              any
	key             bucketKey
	begun           bool // its input was good
	signed          bool // there were credentials for it
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// classify says of what kind the error of a call is.
func (s *sender) classify(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	service, action := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
	c := &call{service: service, action: action, in: in.Parameters, key: bucketOf(service, action, in.Parameters)}
	out, metadata, err := next.HandleInitialize(context.WithValue(ctx, callKey{}, c), in)
	if err != nil {
		err = s.refusal(ctx, c, err)
	}
	return out, metadata, err
}

func markSigned(
	ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if c := callOf(ctx); c != nil {
		c.signed = true
	}
	return next.HandleFinalize(ctx, in)
}

// attempts sends a call until there is an answer that counts.
func (s *sender) attempts(
	ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (middleware.FinalizeOutput, middleware.Metadata, error) {
	c := callOf(ctx)
	c.begun = true
	for lost, throttled := 1, 1; ; {
		out, metadata, err := s.attempt(ctx, c, in, next)
		switch {
		case err == nil || ctx.Err() != nil || !c.signed:
			return out, metadata, err
		case isThrottle(err):
			if throttled >= throttleAttempts {
				return out, metadata, err
			}
			throttled++
		case isUnavailable(err):
			if lost >= c.mostAttempts() {
				return out, metadata, err
			}
			if wire.Sleep(ctx, s.clock, backoff(s.times.Retry, lost)) != nil {
				return out, metadata, err
			}
			lost++
		default:
			return out, metadata, err
		}
		if r, ok := in.Request.(interface{ RewindStream() error }); ok {
			if r.RewindStream() != nil {
				return out, metadata, err
			}
		}
	}
}

// attempt sends a call once, when it is its turn.
func (s *sender) attempt(
	ctx context.Context, c *call, in middleware.FinalizeInput, next middleware.FinalizeHandler,
) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
	asked := s.clock.Now()
	granted, err := s.pace.take(ctx, c.key)
	if err != nil {
		return out, metadata, err
	}
	observeWait(c, granted.sent.Sub(asked))
	within, cancel := context.WithTimeout(ctx, s.times.Call)
	defer cancel()
	out, metadata, err = next.HandleFinalize(within, in)
	observeCall(ctx, c, s.clock.Since(granted.sent), err)
	switch {
	case err != nil && isThrottle(err):
		s.pace.done(granted, refused)
		observeThrottle(c)
	case err != nil && Code(err) == "":
		s.pace.done(granted, unknown)
	default:
		s.pace.done(granted, admitted)
	}
	return out, metadata, err
}

// backoff is the wait before attempt n+1, more or less by half.
func backoff(first time.Duration, n int) time.Duration {
	return time.Duration(float64(first<<(n-1)) * (0.5 + rand.Float64())) //nolint:gosec // G404: it spreads calls.
}

// mostAttempts is how often the call may be sent when no answer comes.
func (c *call) mostAttempts() int {
	switch {
	case isRead(c.action):
		return readAttempts
	case slices.Contains(once(), c.action):
		return 1
	}
	return writeAttempts
}

// once are the writes that a second time would answer with an error when the
// first one was done: the next pass looks. All others have AWS answer as if
// nothing had been there, and deletions are happy with what is gone.
func once() []string {
	return []string{
		"CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress",
		"RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress", "CreateRoute", "CreateLoadBalancerPolicy",
	}
}

// isThrottle reports whether a call was refused for too many.
func isThrottle(err error) bool {
	v, known := codeVerdict(Code(err))
	return known && v.kind == plan.Throttled
}
