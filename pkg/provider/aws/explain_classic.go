// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// classic is a classic load balancer with all below it.
func (e *explanation) classic(name string) provider.Part {
	have := e.observed.Classics[name]
	ids := []plan.ID{{Kind: kindClassic, Name: name}}
	for _, kind := range []string{kindAttributes, kindSubnets, kindGroups, kindTags, kindHealthCheck} {
		ids = append(ids, plan.ID{Kind: kind, Name: name})
	}
	c := e.compare(provider.Comparison{Here: have != nil}, ids...)
	if id := (plan.ID{Kind: kindTargets, Name: name}); e.byID[id] != nil {
		c.Equal, e.shown[id] = false, true // told target by target
	}
	out := provider.Part{What: "classic load balancer " + name, State: c.State(), Parts: c.Parts()}
	if have == nil {
		out.Parts = append(out.Parts, provider.DiffParts(e.whys(ids[0]))...)
		out.Parts = append(out.Parts, e.balancerGroups(nil, name)...)
		out.Parts = append(out.Parts, e.classicTargets(name, nil)...)
		return out
	}
	out.Parts = append(out.Parts, provider.Part{What: fmt.Sprintf("%s, at %s", awssdk.ToString(have.Scheme), awssdk.ToString(have.DNSName))})
	for _, id := range slices.Sorted(slices.Values(have.Subnets)) {
		out.Parts = append(out.Parts, provider.Part{What: "zone " + e.zoneOf(id) + ": subnet " + id})
	}
	out.Parts = append(out.Parts, e.balancerGroups(have.SecurityGroups, name)...)
	out.Parts = append(out.Parts, e.classicListenerParts(name, have, c.Wanted)...)
	out.Parts = append(out.Parts, provider.Part{What: "health check " + classicHealthText(have.HealthCheck)})
	out.Parts = append(out.Parts, e.classicTargets(name, have)...)
	return out
}

// classicListenerParts are the listeners, there or wanted, with their policies.
func (e *explanation) classicListenerParts(name string, b *Classic, stays bool) []provider.Part {
	have, want := map[int32]classicListener{}, map[int32]classicListener{}
	policies := map[int32][]string{}
	for i := range b.ListenerDescriptions {
		if d := &b.ListenerDescriptions[i]; d.Listener != nil {
			have[d.Listener.LoadBalancerPort] = observedListener(d.Listener)
			policies[d.Listener.LoadBalancerPort] = d.PolicyNames
		}
	}
	switch list, err := e.ask.classicListeners(); {
	case !stays:
	case e.ask.serve() && err == nil:
		for _, l := range list {
			want[l.port] = l
		}
	default:
		want = have
	}
	ports := maps.Clone(have)
	maps.Copy(ports, want)
	var out []provider.Part
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		l := ports[port]
		out = append(out, e.classicListener(name, l, policies[port], comparedListener(have, want, port)))
	}
	e.shown[plan.ID{Kind: kindListeners, Name: name}] = true
	return out
}

// comparedListener is the listener at a port as it is, beside what it shall be.
func comparedListener(have, want map[int32]classicListener, port int32) *provider.Comparison {
	h, here := have[port]
	w, wanted := want[port]
	c := &provider.Comparison{Here: here, Wanted: wanted, Equal: !here || !wanted || w.sameTraffic(&h)}
	if !c.Equal {
		c.Diffs = append(c.Diffs, plan.Diff{Field: "listener", Have: h.String(), Want: w.String()})
	}
	return c
}

func (e *explanation) classicListener(name string, l classicListener, policies []string, c *provider.Comparison) provider.Part {
	text := "listener " + l.String()
	if l.certificate != "" {
		text += ", certificate " + l.certificate
	}
	if len(policies) > 0 {
		text += ", policy " + strings.Join(policies, ", ")
	}
	at := func(kind string, port int32) plan.ID {
		return plan.ID{Kind: kind, Name: fmt.Sprintf("%s:%d", name, port)}
	}
	beside := e.compare(provider.Comparison{Here: true}, at(kindCertificate, l.port), at(kindListenerPolicy, l.port), at(kindBackendPolicy, l.nodePort))
	c.Equal = c.Equal && beside.Equal
	c.Diffs = append(c.Diffs, beside.Diffs...)
	return provider.Part{What: text, State: c.State(), Parts: c.Parts()}
}

// classicTargets are the instances, registered or to be so, each with how it is.
func (e *explanation) classicTargets(name string, b *Classic) []provider.Part {
	if err := e.look.Health.Unread[name]; err != nil {
		return []provider.Part{{What: "targets", State: fmt.Sprintf("how they are is not known: %v", err)}}
	}
	wanted, registered := map[string]bool{}, map[string]bool{}
	for _, id := range e.ask.targets {
		wanted[id] = e.ask.want != provider.Remove
	}
	if b != nil {
		for _, i := range b.Instances {
			registered[awssdk.ToString(i.InstanceId)] = true
		}
	}
	all := map[Target]bool{}
	for _, id := range slices.Concat(slices.Collect(maps.Keys(wanted)), slices.Collect(maps.Keys(registered))) {
		all[Target{ID: id}] = true
	}
	if len(all) == 0 {
		return e.noTarget()
	}
	crowd := provider.Crowd{Kind: "node"}
	for _, x := range e.byName(all) {
		id := x.ID
		text := instanceText(e.look.Health.Classics[name][id])
		switch {
		case !registered[id]:
			text = e.unregisteredText(id)
		case wanted[id]:
		case len(e.ask.targets) == 0:
			text += ", stays, as no node is known that could serve"
		default:
			text += ", " + provider.StateLeaving
		}
		crowd.Add(e.targetName(x), text)
	}
	return crowd.Parts()
}
