// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// NotFound reports whether err is the cloud's answer that the resource, or the
// group that it would be in, is not there. A subscription or a tenant that is
// not there is a fault of the configuration, and says nothing of what is in it.
func NotFound(err error) bool {
	if statusOf(err) != http.StatusNotFound {
		return false
	}
	return !slices.ContainsFunc(readError(err).codes, isBeyond)
}

// GroupNotFound reports whether err is the cloud's answer that the resource
// group is not there.
func GroupNotFound(err error) bool {
	return NotFound(err) && slices.Contains(readError(err).codes, "ResourceGroupNotFound")
}

// isBeyond reports whether a code is about what resource groups are in.
func isBeyond(code string) bool {
	return strings.Contains(code, "Subscription") || strings.Contains(code, "Tenant")
}

// The reasons of errors whose code is not in the table of codes.
const (
	reasonUnavailable = "AzureUnavailable"
	reasonThrottled   = "AzureThrottled"
	reasonConflict    = "AzureConflict"
	reasonDenied      = "AzureDenied"
	reasonRefused     = "AzureRefused"
	reasonExhausted   = "AzureQuotaExceeded"
	reasonNotFound    = "AzureNotFound"
)

// refusal classifies the error of a call and says it in one sentence.
func (c *Client) refusal(r request, err error) error {
	if _, ok := errors.AsType[*plan.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s: %w", r.verb(), r.target, err)
	}
	re, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return c.withoutAnswer(r, err)
	}
	a := readAnswer(re)
	v := a.verdict()
	e := &plan.Error{Kind: v.kind, Reason: v.reason}
	if v.kind == plan.Throttled {
		e.RetryAfter = retryAfter(headerOf(err), c.clock.Now())
		if e.RetryAfter == 0 {
			e.RetryAfter = unsaidRetryAfter
		}
	}
	text := fmt.Sprintf("%s %s: %s", r.verb(), r.target, v.word)
	if re.StatusCode == http.StatusForbidden {
		what, cure := a.denied(r)
		text += ": " + what
		v.cure = cure
	} else if said := a.said(); said != "" {
		text += ": " + said
	}
	if v.cure != "" {
		text += "; " + v.cure
	}
	e.Err = wire.Sentence(text, err)
	return e
}

// withoutAnswer is for calls that the service did not answer.
func (c *Client) withoutAnswer(r request, err error) error {
	if isCredentialError(err) {
		return credentialRefusal(fmt.Sprintf("%s %s", r.verb(), r.target), err, plan.Transient)
	}
	text := fmt.Sprintf("%s %s: no answer from %s: %s", r.verb(), r.target, c.endpoint.Host, wire.Innermost(err))
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("%s %s: no answer in time", r.verb(), r.target)
	}
	return &plan.Error{Kind: plan.Transient, Reason: reasonUnavailable, Err: wire.Sentence(text, err)}
}

// throttled is for a call that was not sent.
func throttled(r request, left time.Duration) error {
	return &plan.Error{
		Kind: plan.Throttled, Reason: reasonThrottled, RetryAfter: left,
		Err: fmt.Errorf("%s %s: held back for %s: Azure takes no more such calls of subscription %s until then",
			r.verb(), r.target, left.Round(time.Second), r.subscription),
	}
}

// conflict is for a write that met another writer's.
func conflict(r request, why string, cause error) error {
	return &plan.Error{
		Kind: plan.Conflict, Reason: reasonConflict,
		Err: wire.Sentence(fmt.Sprintf("%s %s: conflict: %s", r.verb(), r.target, why), cause),
	}
}

// verb is the call in sentences.
func (r request) verb() string {
	switch r.method {
	case http.MethodPut:
		return "write"
	case http.MethodDelete:
		return "delete"
	}
	return "read"
}

// answer is what the service said when it refused.
type answer struct {
	status  int
	codes   []string // from the outermost in; never empty strings
	message string
}

// problem is the error object of the Azure Resource Manager RPC contract.
type problem struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Details []problem `json:"details"`
}

// readError is what the service said; nothing for an error that is no answer.
func readError(err error) answer {
	re, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return answer{}
	}
	return readAnswer(re)
}

func readAnswer(re *azcore.ResponseError) answer {
	a := answer{status: re.StatusCode}
	var body struct {
		problem
		Error *problem `json:"error"`
	}
	if re.RawResponse != nil {
		if data, err := runtime.Payload(re.RawResponse); err == nil && json.Unmarshal(data, &body) != nil {
			body.problem = problem{}
		}
	}
	p := body.problem
	if body.Error != nil {
		p = *body.Error
	}
	if p.Code == "" {
		p.Code = re.ErrorCode
	}
	const deepest = 5
	for range deepest {
		if p.Code != "" {
			a.codes = append(a.codes, p.Code)
		}
		if p.Message != "" {
			a.message = p.Message // the innermost says most
		}
		if len(p.Details) == 0 {
			break
		}
		p = p.Details[0]
	}
	return a
}

// said is the service's own words, on one line.
func (a answer) said() string {
	code := ""
	if len(a.codes) > 0 {
		code = a.codes[len(a.codes)-1]
	}
	return cmp.Or(wire.Said(code, a.message), fmt.Sprintf("status %d", a.status))
}

// denied says which permission is missing where, and the cure. The service
// names both in its message only.
func (a answer) denied(r request) (what, cure string) {
	for _, code := range a.codes {
		if strings.HasPrefix(code, "RequestDisallowedBy") || code == "ReadOnlyDisabledSubscription" {
			return a.said(), "ask the owner of the subscription"
		}
	}
	action, scope := r.permission(), r.path
	if m := regexp.MustCompile(`perform action(?:\(s\))? '([^']+)'`).FindAllStringSubmatch(a.message, -1); len(m) > 0 {
		action = m[len(m)-1][1]
	}
	if m := regexp.MustCompile(`scope(?:\(s\))? '([^']+)'`).FindAllStringSubmatch(a.message, -1); len(m) > 0 {
		scope = m[len(m)-1][1]
	}
	return fmt.Sprintf("the identity lacks %s on %s", action, scope),
		fmt.Sprintf("grant %s on %s", roleFor(action), scopeOf(scope, r.scope()))
}

// permission is the action of Azure's access control that a call needs.
func (r request) permission() string {
	operation := map[string]string{http.MethodGet: "read", http.MethodPut: "write", http.MethodDelete: "delete"}[r.method]
	return strings.TrimPrefix(r.namespace+"/"+r.kind+"/"+operation, "/")
}

func roleFor(action string) string {
	switch {
	case strings.HasSuffix(action, "/read"):
		return "Reader"
	case strings.HasPrefix(strings.ToLower(action), strings.ToLower(compute)+"/"):
		return "Virtual Machine Contributor"
	}
	return "Network Contributor"
}

// scopeOf is the resource group or subscription of an id, else the other.
func scopeOf(id, other string) string {
	parts := strings.Split(strings.Trim(id, "/"), "/")
	if len(parts) >= 4 && strings.EqualFold(parts[2], "resourceGroups") {
		return "resource group " + parts[3]
	}
	if len(parts) >= 2 && strings.EqualFold(parts[0], "subscriptions") {
		return "subscription " + parts[1]
	}
	return other
}
