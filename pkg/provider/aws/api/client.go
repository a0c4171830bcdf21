// SPDX-License-Identifier: Apache-2.0

// Package api speaks to AWS with its SDK: it keeps to the throttling of every
// action, sends again what is safe to send again, counts all calls, and says of
// every refusal what kind it is.
package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// Client are the SDK's clients. They may be called side by side. Every call is
// paced, bounded in time, counted, and sent again where that is safe. The SDK
// puts its own words around their errors: [Call] and [Error] give the *plan.Error
// inside, whose cause is the SDK's.
type Client struct {
	EC2   *ec2.Client
	ELB   *elb.Client
	ELBv2 *elbv2.Client
	// Region is that of the cluster, never empty.
	Region string

	metadata *imds.Client
}

// Setup is what a client is made of besides the cloud-config. Zero fields have
// their defaults.
type Setup struct {
	Times Times
	Clock clock.Clock
	HTTP  aws.HTTPClient
	// Limits are the token buckets of the account; PublishedLimits unless set.
	Limits *Limits
	// WithoutCredentials is what to do where there are none, as a sentence ends;
	// empty: what helps a controller.
	WithoutCredentials string
}

// Times bound the calls. Zero fields have their defaults.
type Times struct {
	// Call bounds each attempt of a call, 30 s.
	Call time.Duration
	// Retry is the wait before a call without an answer is sent again, 200 ms,
	// and doubles.
	Retry time.Duration
	// SignIn bounds the search for a region and for credentials, 30 s.
	SignIn time.Duration
}

func (t Times) withDefaults() Times {
	t.Call = cmp.Or(t.Call, 30*time.Second)
	t.Retry = cmp.Or(t.Retry, 200*time.Millisecond)
	t.SignIn = cmp.Or(t.SignIn, 30*time.Second)
	return t
}

// Call makes a call of one of the SDK's clients, such as
// Call(ctx, c.EC2.DescribeSubnets, in). All errors but those of a context that
// ended are *plan.Error.
func Call[In, Out, Option any](
	ctx context.Context, method func(context.Context, *In, ...func(*Option)) (*Out, error), in *In,
) (*Out, error) {
	out, err := method(ctx, in)
	if err != nil {
		return nil, Error(err)
	}
	return out, nil
}

// Pages makes a call of a list for each of its pages, such as
// Pages(ctx, c.EC2.DescribeSubnets, in, &in.NextToken, take). The token is the
// field of in that names a page; take is given each page and returns the name
// of the next.
func Pages[In, Out, Option any](
	ctx context.Context, method func(context.Context, *In, ...func(*Option)) (*Out, error), in *In, token **string, take func(*Out) *string,
) error {
	for {
		page, err := Call(ctx, method, in)
		if err != nil {
			return err
		}
		if *token = take(page); aws.ToString(*token) == "" {
			return nil
		}
	}
}

// Error is the *plan.Error inside what a client of the SDK returned, or err
// itself when there is none: then its context ended, or the input lacks
// something.
func Error(err error) error {
	if e, ok := errors.AsType[*plan.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*smithy.OperationError](err); ok && !wire.IsContext(err) {
		return &plan.Error{Kind: plan.Invalid, Reason: reasonRefused, Err: e}
	}
	return err
}

// Code is the service's code in err's chain, such as InvalidGroup.Duplicate;
// empty when there is none.
func Code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// Message is the service's own words in err's chain; empty when there are none.
func Message(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

// Named are those of the ids that the service names in its own words in err's
// chain.
func Named(err error, ids []string) []string {
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(Message(err), func(r rune) bool { return strings.ContainsRune("'\"`, ()[]", r) }) {
		words[strings.TrimRight(w, ".:;")] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !words[id] })
}

// statusOf is the HTTP status of the answer; 0 when there was none.
func statusOf(err error) int {
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// isUnavailable reports whether the service may or may not have done what was
// asked.
func isUnavailable(err error) bool {
	switch Code(err) {
	case "":
		return true
	case "RequestTimeout", "RequestTimeoutException":
		return true
	}
	return statusOf(err) >= http.StatusInternalServerError
}
