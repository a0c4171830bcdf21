// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// balancers are the network load balancers that are there and on which the
// Service has, had or wants a part, though it may be another one's.
func (e *explanation) balancers() []*Network {
	own := e.networksOf(e.ask)
	var out []*Network
	for _, lb := range e.sortedNetworks() {
		has := slices.Contains(own, lb) || lb == e.ask.network || slices.Contains(e.ask.leaves, lb) || len(e.partsOf(e.ask.key, lb)) > 0
		if has || e.joins(e.sharing[awssdk.ToString(lb.LoadBalancerName)]) {
			out = append(out, lb)
		}
	}
	return out
}

// joins reports whether the Service names a load balancer that it may share.
func (e *explanation) joins(s *share) bool {
	return s != nil && s.head != nil && s.member(e.ask.key) != nil
}

// awaited are the names of load balancers that others make for the Service.
func (e *explanation) awaited() []string {
	var out []string
	for name, s := range e.sharing {
		if s.lb == nil && e.joins(s) && provider.KeyOf(s.head) != e.ask.key {
			out = append(out, name)
		}
	}
	return out
}

// sharers are the Services that share a load balancer with this one, which is
// among them, and the one of them that is the head. There are none when it is
// the Service's alone.
type sharers struct {
	all  []plan.Key
	head plan.Key
}

func (e *explanation) sharersOf(name string) sharers {
	lb, s := e.networksByName[name], e.sharing[name]
	var out sharers
	add := func(key plan.Key) {
		if key != e.ask.key {
			out.all = append(out.all, key)
		}
	}
	switch {
	case lb != nil:
		for _, svc := range e.turn.others(lb, e.ask.key) {
			add(provider.KeyOf(svc))
		}
		out.head, _ = e.serviceOf(lb.Tags)
	case s != nil:
		for _, svc := range s.members {
			add(provider.KeyOf(svc))
		}
	}
	if len(out.all) == 0 {
		return sharers{}
	}
	if s != nil && s.head != nil {
		out.head = provider.KeyOf(s.head)
	}
	out.all = append(out.all, e.ask.key)
	slices.SortFunc(out.all, plan.CompareKeys)
	return out
}

// shared tells who shares a load balancer, and with which listeners.
func (e *explanation) shared(name string, by sharers) []provider.Part {
	if len(by.all) == 0 {
		return nil
	}
	out := provider.Part{What: fmt.Sprintf("shared by %d Services", len(by.all))}
	for _, key := range by.all {
		p := provider.Part{What: "Service " + key.String()}
		if key == e.ask.key {
			p.What += ", this one"
		}
		if key == by.head {
			p.What += ", the head, which decides what is the load balancer's"
		}
		var ports []int32
		if lb := e.networksByName[name]; lb != nil {
			for i := range lb.Listeners {
				if holder, ok := e.listenerOf(&lb.Listeners[i]); ok && holder == key {
					ports = append(ports, awssdk.ToInt32(lb.Listeners[i].Port))
				}
			}
		}
		slices.Sort(ports)
		switch len(ports) {
		case 0:
			p.State = "no listener yet"
		case 1:
			p.State = fmt.Sprintf("listener %d", ports[0])
		default:
			p.State = "listeners " + strings.ReplaceAll(strings.Trim(fmt.Sprint(ports), "[]"), " ", ", ")
		}
		out.Parts = append(out.Parts, p)
	}
	return []provider.Part{out}
}

// letsSharersIn reports whether the security group lets the clients of a load
// balancer in that the Service shares.
func (e *explanation) letsSharersIn(g *ec2types.SecurityGroup) bool {
	return slices.ContainsFunc(e.balancers(), func(lb *Network) bool {
		return e.clientsOf(lb) == g && len(e.sharersOf(awssdk.ToString(lb.LoadBalancerName)).all) > 0
	})
}

// anothers is the Service, but not this one, whose listener it is.
func (e *explanation) anothers(l *elbv2types.Listener) (plan.Key, bool) {
	if l == nil {
		return plan.Key{}, false
	}
	key, ok := e.listenerOf(l)
	return key, ok && key != e.ask.key
}

// listenerOfAnother is the listener of another Service. How its targets are is
// not read.
func (e *explanation) listenerOfAnother(l *elbv2types.Listener, name string, key plan.Key) provider.Part {
	port := awssdk.ToInt32(l.Port)
	out := provider.Part{What: fmt.Sprintf("listener %d: %s, of Service %s", port, listenerText(l, nil), key)}
	group := provider.Part{State: "explained with that Service"}
	if e.living[key] == nil {
		out.What += ", which is gone"
		group.State = "left over"
		c := e.compare(provider.Comparison{Here: true}, listenerID(name, port))
		if !c.Wanted {
			out.State = c.State()
		}
	}
	if out.State == "" && e.ask.want == provider.Keep && hasPort(e.ask.item.Service, uint16(port)) { //nolint:gosec // AWS has ports up to 65535
		out.State = "at a port that this Service asks for, too"
	}
	if g := e.observed.TargetGroups[forwardsTo(l)]; g != nil {
		id := plan.ID{Kind: kindTargetGroup, Name: awssdk.ToString(g.TargetGroupName)}
		if st := e.byID[id]; st != nil && st.Action == plan.Delete {
			e.shown[id], group.State = true, provider.StateLeaving
		}
		group.What = "target group " + id.Name + ": " + targetText(g.Protocol, g.TargetType, awssdk.ToInt32(g.Port))
		out.Parts = []provider.Part{group}
	}
	return out
}

// isForOthers reports whether a rule with the name of a shared load balancer
// lets it to the target groups of other Services alone.
func (e *explanation) isForOthers(r rule, lb *Network) bool {
	theirs := false
	for _, g := range e.groupsByBalancer()[awssdk.ToString(lb.LoadBalancerArn)] {
		key, ok := e.serviceOf(g.Tags)
		reaches := r.spans(awssdk.ToInt32(g.Port)) || r.spans(g.healthPort())
		if reaches && (!ok || key == e.ask.key) {
			return false
		}
		theirs = theirs || reaches
	}
	return theirs
}

// hasRule reports whether a rule at the nodes bears the name of a load balancer
// of the Service, and is not that of another one which shares it.
func (e *explanation) hasRule(r rule, text string) bool {
	name := names.RuleOf(text)
	for _, lb := range e.balancers() {
		if name == awssdk.ToString(lb.LoadBalancerName) {
			return !e.isForOthers(r, lb)
		}
	}
	return name != "" && name == e.ask.name
}
