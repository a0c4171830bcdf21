// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

var _ provider.Explainer = (*pass)(nil)

// pass is one turn over a batch. What was decided is fixed when it is made;
// what is known of the cloud grows with each answer.
type pass struct {
	provider *Provider
	in       Input
	result   *Result
	items    map[plan.Key]*provider.Item
	next     time.Duration // when to look again; zero: never

	mu       sync.Mutex
	observed *Observed
	known    Known
}

func newPass(p *Provider, in Input, r *Result) *pass {
	return &pass{provider: p, in: in, result: r, items: in.Batch.ByKey(), observed: in.Observed.Clone(), known: Known{}}
}

// Decide is what was computed from what was observed.
func (p *pass) Decide() provider.Decision {
	return provider.Decision{Plan: plan.Plan{Steps: p.result.Steps}, Refused: p.result.Refused, Notices: p.result.Notices, Again: p.next}
}

// Execute does one step. A shared one that leaves Services out is computed
// again, from what is known by now.
func (p *pass) Execute(ctx context.Context, st plan.Step, without map[plan.Key]bool) error {
	w, ok := p.result.Writes[st.Target]
	if !ok {
		return provider.UnknownStep(st)
	}
	out := &plan.LeftOutError{}
	if st.Shared && len(without) > 0 {
		w, out.Failed = p.again(st, without)
	}
	for _, c := range w.Calls {
		err := p.send(ctx, &st, c)
		if part, ok := errors.AsType[*partError](err); ok {
			out.Owed = part.owed(&p.in)
			continue
		}
		if err = p.protected(p.byAnnotation(err, c, &st, without), c, &st); err != nil {
			if k := plan.KindOf(err); k == plan.Conflict || k == plan.Invalid {
				p.provider.forget()
			}
			return err
		}
	}
	if made := st.Action != plan.Delete && p.result.Awaited[st.Target]; made || st.Target.Kind == kindOwner {
		p.provider.changed.Ask() // the next head, or who shares it, may be no part of this pass
	}
	if len(out.Failed) > 0 || out.Owed != nil {
		return out
	}
	return nil
}

// send makes a call and remembers what AWS took of it. It fails with a
// *partError when that is not all.
func (p *pass) send(ctx context.Context, st *plan.Step, c Call) error {
	p.mu.Lock()
	call, err := Resolve(c, p.known)
	p.mu.Unlock()
	if err != nil {
		return named(st.Target, err)
	}
	answer, err := p.provider.call(ctx, call)
	if api.Code(err) == "InvalidGroup.NotFound" && plan.KindOf(err) != plan.Conflict && !reflect.DeepEqual(call, c) {
		err = &plan.Error{Kind: plan.Transient, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("AWS does not see everywhere yet what this pass has made: %w", err)}
	}
	if part, ok := errors.AsType[*partError](err); ok {
		call = part.done
	} else if err != nil {
		return named(st.Target, err)
	}
	p.provider.remember(call, answer, st.Serves)
	p.mu.Lock()
	defer p.mu.Unlock()
	if made := p.observed.Learn(call, answer); made != "" {
		p.known[st.Target] = made
	}
	return err
}

// named names the target of a call where the sentence has another name for it: AWS
// knows listeners by ARNs, and security groups by ids.
func named(target plan.ID, err error) error {
	if _, ok := errors.AsType[*plan.Error](err); !ok || strings.Contains(err.Error(), target.Name) {
		return err
	}
	return fmt.Errorf("%s: %w", target, err)
}

// again is what a shared step writes by what is known now, and the Services of it
// that are refused by now: all is read before they are tried again.
func (p *pass) again(st plan.Step, without map[plan.Key]bool) (Write, map[plan.Key]error) {
	p.mu.Lock()
	in, observed := p.in, p.observed.Clone()
	p.mu.Unlock()
	in.Observed, in.Without = observed, without
	now := p.result.Rewrite(in, st.Target)
	maps.DeleteFunc(now.Left, func(key plan.Key, _ error) bool { return !slices.Contains(st.Serves, key) })
	if len(now.Left) > 0 {
		p.provider.forget()
	}
	return now.Write, now.Left
}

// Status is the name of the load balancer in DNS.
func (p *pass) Status(key plan.Key) *v1.LoadBalancerStatus {
	it, ok := p.items[key]
	if !ok || it.Want == provider.Remove {
		return nil
	}
	place, ok := p.result.Places[key]
	if !ok {
		return it.Service.Status.LoadBalancer.DeepCopy()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &v1.LoadBalancerStatus{}
	if host := p.observed.Hostname(place); host != "" {
		out.Ingress = []v1.LoadBalancerIngress{{Hostname: shownAs(it.Service, host)}}
	}
	return out
}

// shownAs is the name in DNS as the status has it: in the case that is there
// already, or else in lower case, which is all that the API server takes. AWS
// keeps the case in which the load balancer was named.
func shownAs(svc *v1.Service, host string) string {
	for _, i := range svc.Status.LoadBalancer.Ingress {
		if strings.EqualFold(i.Hostname, host) {
			return i.Hostname
		}
	}
	return strings.ToLower(host)
}

// Hostname is where the load balancer is in DNS; empty when it is not there.
func (o *Observed) Hostname(p Place) string {
	switch p.Kind {
	case NetworkKind:
		for _, lb := range o.Networks {
			if awssdk.ToString(lb.LoadBalancerName) == p.Name {
				return awssdk.ToString(lb.DNSName)
			}
		}
	case ClassicKind:
		if c, ok := o.Classics[p.Name]; ok {
			return awssdk.ToString(c.DNSName)
		}
	}
	return ""
}

// Explain tells what there is of a Service of the batch in what was observed,
// and how that differs from what the pass would make of it. It reads how the
// targets are.
func (p *pass) Explain(ctx context.Context, key plan.Key) ([]provider.Part, error) {
	e, err := newExplanation(p.in, p.result, key)
	if err != nil {
		return nil, err
	}
	look := Look{Nodes: p.in.Batch.Nodes}
	if p.provider.nodes != nil {
		if look.Nodes, err = p.provider.nodes.List(labels.Everything()); err != nil {
			return nil, fmt.Errorf("list nodes: %w", err)
		}
	}
	look.Health = readHealth(ctx, p.provider.client, e.targetGroups(), e.classics())
	return e.parts(look), nil
}
