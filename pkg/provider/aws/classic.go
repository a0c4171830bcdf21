// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// classicBalancer is a classic load balancer that is there or is made.
type classicBalancer struct {
	name      string
	listeners []classicListener // wanted, in the order of the Service's ports
	// now is what it is after the step that makes it, or as it was observed.
	now *Classic
	// made are the ports of listeners that the plan makes, or makes anew.
	made map[int32]bool
	// needs are the steps before which nothing of it can be changed.
	needs []plan.ID
}

// serveClassic computes the steps of a Service that a classic load balancer
// serves.
func (t *turn) serveClassic(a *ask) error {
	have, err := t.ownClassic(a)
	if err != nil {
		return err
	}
	if err := t.keepsClassicType(a, have != nil); err != nil {
		return err
	}
	if a.written(intent.KeyAWSType) != "" {
		a.warn(intent.ReasonInvalidAnnotation, intent.AWSSays(a.item.Service, intent.KeyAWSType)+intent.AWSTypeIsClassic)
	}
	if err := t.reachesTargets(a); err != nil {
		return err
	}
	b := &classicBalancer{name: a.name, now: have, made: map[int32]bool{}}
	if b.listeners, err = a.classicListeners(); err != nil {
		return err
	}
	for i := range b.listeners {
		if err := t.certificatesFit(a, b.listeners[i].certificate); err != nil {
			return err
		}
	}
	if err := a.probesFit(a.classicHealth(t.settings, b.listeners)); err != nil {
		return err
	}
	if err := t.wantClassicGroups(a, b); err != nil {
		return err
	}
	if have == nil || t.replaced(a, elbv2types.LoadBalancerSchemeEnum(awssdk.ToString(have.Scheme))) {
		err = t.createClassic(a, b)
	} else {
		err = t.updateClassic(a, b)
	}
	if err != nil {
		return err
	}
	t.putClassicPolicies(a, b)
	t.putClassicHealth(a, b)
	t.putClassicAttributes(a, b)
	t.putInstances(a, b.now, b.needs)
	return nil
}

// ownClassic is the load balancer with the Service's name; nil when there is
// none.
func (t *turn) ownClassic(a *ask) (*Classic, error) {
	c := t.observed.Classics[a.name]
	if c != nil && t.settings.Tags.Foreign(c.Tags) {
		return nil, t.notOurs("load balancer "+a.name, c.Tags)
	}
	return c, nil
}

// keepsClassicType refuses another type of load balancer than that whose
// address clients use. What no status shows is removed.
func (t *turn) keepsClassicType(a *ask, exists bool) error {
	lb := t.networksByName[a.name]
	switch {
	case lb != nil && !exists && a.hasHostname():
		asks := "annotation " + intent.KeyAWSType
		if a.written(intent.KeyAWSType) != "" {
			asks = intent.AWSSays(a.item.Service, intent.KeyAWSType) + ", which"
		}
		return refuse(ReasonLoadBalancerTypeChanged, "a load balancer of type nlb serves, but %s asks for a classic one, with which the address would go; write nlb, or make a new Service", asks)
	case lb != nil && (!exists || t.strays(a, lb.DNSName)):
		t.removeNetworks(a)
	case lb == nil && a.strict():
		for _, g := range t.groupsOf(a, nil) {
			t.deleteGroup(a, g, nil)
		}
	}
	return nil
}

// strays reports whether a load balancer of the other type, with the address,
// is a leftover: the Service has one of its own type, and clients do not know
// of the other.
func (t *turn) strays(a *ask, address *string) bool {
	return a.strict() && !shows(a.item.Service, address)
}

// shows reports whether the Service's status shows the address.
func shows(svc *v1.Service, address *string) bool {
	return slices.ContainsFunc(svc.Status.LoadBalancer.Ingress, func(i v1.LoadBalancerIngress) bool {
		return i.Hostname != "" && strings.EqualFold(i.Hostname, awssdk.ToString(address))
	})
}

// createClassic makes the load balancer, instead of the one that is there if
// any.
func (t *turn) createClassic(a *ask, b *classicBalancer) error {
	subnets, err := t.subnetsFor(a)
	if err != nil {
		return err
	}
	if err := a.tagsFit(); err != nil {
		return err
	}
	in := &elb.CreateLoadBalancerInput{LoadBalancerName: awssdk.String(b.name), Subnets: subnets, Tags: classicTags(a.tagsOfBalancer())}
	if a.scheme == elbv2types.LoadBalancerSchemeEnumInternal {
		in.Scheme = awssdk.String(string(elbv2types.LoadBalancerSchemeEnumInternal))
	}
	var texts []string
	for i := range b.listeners {
		l := &b.listeners[i]
		in.Listeners = append(in.Listeners, l.input())
		texts = append(texts, l.String())
	}
	st := plan.Step{Action: plan.Create, Target: plan.ID{Kind: kindClassic, Name: b.name}, Why: []plan.Diff{
		{Field: "scheme", Want: string(a.scheme)}, {Field: "subnets", Want: strings.Join(subnets, ", ")}, {Field: "listeners", Want: strings.Join(texts, ", ")},
	}}
	in.SecurityGroups, st.Needs = refTexts(a.groups), append(st.Needs, stepsOf(a.groups)...)
	if len(a.groups) > 0 {
		st.Why = append(st.Why, plan.Diff{Field: "security groups", Want: refNames(a.groups)})
	}
	calls := []Call{in}
	if had := b.now; had != nil {
		st.Action = plan.Replace
		st.Why = []plan.Diff{{Field: "scheme", Have: awssdk.ToString(had.Scheme), Want: string(a.scheme)}}
		calls = []Call{&elb.DeleteLoadBalancerInput{LoadBalancerName: had.LoadBalancerName}, in}
	} else {
		t.warnNewHostname(a, fmt.Sprintf("load balancer %s is made", b.name))
	}
	t.add(a, st, calls...)
	b.now, b.needs = newClassic(in, t.settings.VPC), []plan.ID{st.Target}
	return nil
}

func (t *turn) updateClassic(a *ask, b *classicBalancer) error {
	if err := t.putClassicSubnets(a, b); err != nil {
		return err
	}
	t.putClassicGroups(a, b)
	t.putClassicListeners(a, b)
	t.putClassicTags(a, b)
	return nil
}

// putClassicTags brings the tags that a user's edit asks for, and takes away
// those of ours that it does not ask for any more. The peer adds them at every
// sync, and never takes one away.
func (t *turn) putClassicTags(a *ask, b *classicBalancer) {
	if !a.strict() || b.now.Tags == nil {
		a.tellTags(b.now.Tags)
		return
	}
	missing, surplus, diffs := a.tagChanges(b.now.Tags)
	if !t.tagsGrow(a, b.now.Tags, missing, surplus) {
		return
	}
	var calls []Call
	if len(surplus) > 0 {
		in := &elb.RemoveTagsInput{LoadBalancerNames: []string{b.name}}
		for _, key := range surplus {
			in.Tags = append(in.Tags, elbtypes.TagKeyOnly{Key: awssdk.String(key)})
		}
		calls = append(calls, in)
	}
	if len(missing) > 0 {
		calls = append(calls, &elb.AddTagsInput{LoadBalancerNames: []string{b.name}, Tags: classicTags(missing)})
	}
	if len(calls) > 0 {
		t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindTags, Name: b.name}, Why: diffs}, calls...)
	}
}

// classicTags are tags as the SDK has them, sorted by key.
func classicTags(tags map[string]string) []elbtypes.Tag {
	out := make([]elbtypes.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, elbtypes.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	return out
}

// putInstances registers what is missing and deregisters what is too much. Like
// putTargets it never takes the last one away.
func (t *turn) putInstances(a *ask, c *Classic, needs []plan.ID) {
	if len(a.targets) == 0 {
		return
	}
	var have []string
	for _, i := range c.Instances {
		have = append(have, awssdk.ToString(i.InstanceId))
	}
	missing, surplus := slices.DeleteFunc(notIn(a.targets, have), t.sleeps), notIn(have, a.targets)
	var calls []Call
	var diffs []plan.Diff
	if len(missing) > 0 {
		calls = append(calls, &elb.RegisterInstancesWithLoadBalancerInput{LoadBalancerName: c.LoadBalancerName, Instances: classicInstances(missing)})
		diffs = append(diffs, plan.Diff{Field: "instances", Want: someOf(missing)})
	}
	if len(surplus) > 0 {
		calls = append(calls, &elb.DeregisterInstancesFromLoadBalancerInput{LoadBalancerName: c.LoadBalancerName, Instances: classicInstances(surplus)})
		diffs = append(diffs, plan.Diff{Field: "instances", Have: someOf(surplus)})
	}
	if len(calls) > 0 {
		t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindTargets, Name: awssdk.ToString(c.LoadBalancerName)}, Needs: needs, Why: diffs}, calls...)
	}
}

// notIn are the texts of list that other does not have, sorted.
func notIn(list, other []string) []string {
	in := make(map[string]bool, len(other))
	for _, s := range other {
		in[s] = true
	}
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return in[s] })
	slices.Sort(out)
	return out
}

func classicInstances(ids []string) []elbtypes.Instance {
	out := make([]elbtypes.Instance, len(ids))
	for i, id := range ids {
		out[i].InstanceId = awssdk.String(id)
	}
	return out
}

// keepClassic lets the Service's load balancer follow the nodes, and nothing
// else.
func (t *turn) keepClassic(a *ask) {
	if c, err := t.ownClassic(a); c != nil && err == nil {
		t.putInstances(a, c, nil)
	}
}

// removeClassic deletes the load balancer of the Service. Where its security
// groups are not ours, the nodes shut them out first: nothing would tell later
// that they were let in for it.
func (t *turn) removeClassic(a *ask) {
	c, err := t.ownClassic(a)
	if c == nil || err != nil {
		return
	}
	st := plan.Step{
		Action: plan.Delete, Target: plan.ID{Kind: kindClassic, Name: a.name}, Why: []plan.Diff{{Field: "address", Have: awssdk.ToString(c.DNSName)}},
	}
	for _, id := range c.SecurityGroups {
		if t.ownsClassicGroup(a, id) {
			continue
		}
		a.lettingGo = append(a.lettingGo, id)
		for _, guard := range t.groupsThatLetIn(id) {
			st.Needs = append(st.Needs, plan.ID{Kind: kindNodeLeftovers, Name: guard})
		}
	}
	t.add(a, st, &elb.DeleteLoadBalancerInput{LoadBalancerName: c.LoadBalancerName})
}
