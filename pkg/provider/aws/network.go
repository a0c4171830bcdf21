// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// balancer is a network load balancer that is there or is made.
type balancer struct {
	name string
	ref  Ref
	have *Network // nil: it is made
}

func (b *balancer) target() plan.ID { return plan.ID{Kind: kindNetwork, Name: b.name} }

func (b *balancer) needs() []plan.ID {
	if b.ref.ID != "" {
		return nil
	}
	return []plan.ID{b.target()}
}

// serveNetwork computes the steps of a Service that a network load balancer
// serves.
func (t *turn) serveNetwork(a *ask) error {
	lb, err := t.ownNetwork(a)
	if err != nil {
		return err
	}
	if err := t.keepsType(a, lb); err != nil {
		return err
	}
	if a.mappings, err = t.mappingsOf(a); err != nil {
		return err
	}
	a.network = lb
	if err := t.reachesTargets(a); err != nil {
		return err
	}
	if err := t.carriesUDP(a, lb); err != nil {
		return err
	}
	if err := t.portsFree(a, lb); err != nil {
		return err
	}
	b := &balancer{name: a.name, have: lb}
	if lb != nil && t.replaced(a, lb.Scheme) {
		if others := t.others(lb, a.key); len(others) > 0 {
			return refuse(ReasonConflictingAnnotations, "load balancer %s is %s, and the annotations ask for %s, which would make it anew; Service %s is served by it too: take that one off first", a.name, lb.Scheme, a.scheme, provider.KeyOf(others[0]))
		}
		t.rename(a)
		b = &balancer{name: a.name}
	}
	if b.have == nil {
		err = t.createNetwork(a, b, lb)
	} else {
		b.ref.ID = awssdk.ToString(lb.LoadBalancerArn)
		err = t.updateNetwork(a, b)
	}
	if err != nil {
		return err
	}
	t.putParts(a, b)
	if b.have == nil || a.item.Cause == provider.Edit || (a.item.Cause == provider.Repair && t.writesFor(a)) {
		a.explainHairpin()
	}
	return nil
}

// writesFor reports whether there is a step for the Service.
func (t *turn) writesFor(a *ask) bool {
	return slices.ContainsFunc(t.steps, func(st plan.Step) bool { return slices.Contains(st.Serves, a.key) })
}

// putParts brings the Service's listeners and target groups to what they shall
// be.
func (t *turn) putParts(a *ask, b *balancer) {
	groups := t.groupsOf(a, a.network)
	chosen := t.chooseGroups(a, b.have, groups)
	t.tellHealth(a)
	for _, m := range a.mappings {
		t.fitTimeout(a, m, chosen[m])
		t.putGroup(a, m, chosen[m])
		t.putListener(a, b, m)
		t.putCertificates(a, b, m)
		t.putListenerAttributes(a, b, m)
	}
	if b.have != nil {
		t.dropListeners(a, b.have)
	}
	t.dropGroups(a, groups, chosen)
}

// ownNetwork is the load balancer with the Service's name; nil when there is
// none.
func (t *turn) ownNetwork(a *ask) (*Network, error) {
	lb := t.networksByName[a.name]
	if lb != nil && a.external && a.name != a.base && !t.ownsFor(a, lb.Tags) && (a.share == nil || a.share.head == nil) {
		return nil, refuse(ReasonNotOurs, "load balancer %s has no tags of this Service, or those of another; it is left alone: choose another name in annotation %s", a.name, intent.KeyAWSName)
	}
	if lb != nil && t.settings.Tags.Foreign(lb.Tags) {
		return nil, t.notOurs("load balancer "+a.name, lb.Tags)
	}
	return lb, nil
}

func (t *turn) sortedNetworks() []*Network {
	if t.networks == nil {
		t.networks = make([]*Network, 0, len(t.observed.Networks))
		for _, arn := range slices.Sorted(maps.Keys(t.observed.Networks)) {
			t.networks = append(t.networks, t.observed.Networks[arn])
		}
	}
	return t.networks
}

// keepsType refuses another type of load balancer than that whose address
// clients use. One that no status shows is removed.
func (t *turn) keepsType(a *ask, lb *Network) error {
	classic := t.observed.Classics[a.base]
	if classic == nil || (lb != nil && !t.strays(a, classic.DNSName)) {
		return nil
	}
	if lb == nil && a.hasHostname() {
		return refuse(ReasonLoadBalancerTypeChanged, "annotation %s asks for a network load balancer, but a classic one serves with an address that would go; take the annotation back, or make a new Service", intent.KeyAWSType)
	}
	t.removeClassic(a)
	return nil
}

// createNetwork makes the load balancer; instead of another one where that is
// not nil.
func (t *turn) createNetwork(a *ask, b *balancer, instead *Network) error {
	if instead == nil && a.external && slices.Contains(a.item.Intent.Families, intent.V6) && a.addressType() != elbv2types.IpAddressTypeDualstack {
		return refuse(ReasonConflictingAnnotations, "the Service has family IPv6, which only a load balancer with annotation %s dualstack serves; set it, or leave IPv6 out of spec.ipFamilies", intent.KeyAWSIPAddressType)
	}
	if left := a.item.Intent.AWSLeftOut; len(left) > 0 {
		return refuse(intent.ReasonInvalidAnnotation, "load balancer %s is not there any more, and %s cannot be; correct it, as it would be made with other addresses", a.name, intent.AWSSays(a.item.Service, left[0]))
	}
	if instead == nil {
		t.warnNewHostname(a, fmt.Sprintf("load balancer %s is made", a.name))
	}
	subnets, err := t.subnetsFor(a)
	if err != nil {
		return err
	}
	in := &elbv2.CreateLoadBalancerInput{
		Name: awssdk.String(b.name), Type: elbv2types.LoadBalancerTypeEnumNetwork, Tags: elbv2Tags(a.tagsOfBalancer()),
	}
	if a.scheme == elbv2types.LoadBalancerSchemeEnumInternal {
		in.Scheme = a.scheme
	}
	if kind := a.addressType(); kind != elbv2types.IpAddressTypeIpv4 {
		in.IpAddressType = kind
	}
	if in.SubnetMappings, err = t.subnetMappings(a, subnets); err != nil {
		return err
	}
	var have []elbv2types.SubnetMapping
	if instead != nil {
		have = mappingsOf(instead) // it goes before
	}
	if err := t.takeAddresses(a, b.name, have, in.SubnetMappings); err != nil {
		return err
	}
	if err := a.tagsFit(); err != nil {
		return err
	}
	if err := t.groupsForNew(a); err != nil {
		return err
	}
	a.subnets = subnets
	b.ref.Made = b.target()
	st := plan.Step{Action: plan.Create, Target: b.target(), Why: []plan.Diff{{Field: "scheme", Want: string(a.scheme)}, {Field: "subnets", Want: strings.Join(mappingTexts(in.SubnetMappings), ", ")}}}
	in.SecurityGroups, st.Needs = refTexts(a.groups), append(st.Needs, stepsOf(a.groups)...)
	if len(a.groups) > 0 {
		st.Why = append(st.Why, plan.Diff{Field: "security groups", Want: refNames(a.groups)})
	}
	calls := []Call{in}
	if instead != nil {
		st.Action = plan.Replace
		st.Why[0].Have = string(instead.Scheme)
		calls = append(a.deletion(instead), in)
	}
	t.add(a, st, calls...)
	t.putAttributes(a, b, networkDefaults())
	if private := a.privateLink(&Network{}); private != "" && len(a.groups) > 0 {
		t.putPrivateLink(a, b, private)
	}
	return nil
}

func (t *turn) updateNetwork(a *ask, b *balancer) error {
	t.putAttributes(a, b, b.have.Attributes)
	t.putTags(a, b.have)
	t.putAddressType(a, b)
	a.subnets = b.have.subnets()
	if err := t.putNetworkGroups(a, b); err != nil {
		return err
	}
	return t.putSubnets(a, b)
}

// Attributes of network load balancers.
const (
	attrCrossZone  = "load_balancing.cross_zone.enabled"
	attrLogs       = "access_logs.s3.enabled"
	attrLogsBucket = "access_logs.s3.bucket"
	attrLogsPrefix = "access_logs.s3.prefix"
)

// networkDefaults are the attributes of a new load balancer: AWS, load balancer
// attributes.
func networkDefaults() map[string]string {
	return map[string]string{attrCrossZone: "false", attrLogs: "false", attrLogsBucket: "", attrLogsPrefix: ""}
}

// putAttributes sets the attributes that the peer has in its hands.
func (t *turn) putAttributes(a *ask, b *balancer, have map[string]string) {
	want := a.networkAttributes()
	diffs := changed(want, have)
	if len(diffs) == 0 {
		return
	}
	in := &elbv2.ModifyLoadBalancerAttributesInput{LoadBalancerArn: awssdk.String(b.ref.Text())}
	for _, d := range diffs {
		in.Attributes = append(in.Attributes, elbv2types.LoadBalancerAttribute{Key: awssdk.String(d.Field), Value: awssdk.String(d.Want)})
	}
	t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindAttributes, Name: b.name}, Needs: b.needs(), Why: diffs}, in)
}

// explainHairpin tells what a network load balancer with private addresses
// cannot do.
func (a *ask) explainHairpin() {
	if a.sendsToPods() || a.scheme != elbv2types.LoadBalancerSchemeEnumInternal || a.pairs(intent.KeyAWSTargetGroupAttributes)[attrPreserveClientIP] == "false" {
		return
	}
	a.tell(ReasonHairpinTraffic, fmt.Sprintf("a pod cannot reach this internal load balancer when it answers from the pod's own node, as client addresses are preserved; set annotation %s: %s=false if that is needed", intent.KeyAWSTargetGroupAttributes, attrPreserveClientIP))
}

// dropGroups deletes the target groups that serve nothing any more, after all
// listeners that forwarded to them.
func (t *turn) dropGroups(a *ask, groups []*TargetGroup, chosen map[*mapping]*TargetGroup) {
	used := map[*TargetGroup]bool{}
	for _, g := range chosen {
		used[g] = true
	}
	after := t.targetsOfKind(a, kindListener, kindNetwork)
	drop := func(g *TargetGroup) {
		needs := after
		if a.network != nil {
			needs = union(after, forwarding(a.network, g))
		}
		t.deleteGroup(a, g, needs)
	}
	for _, g := range groups {
		if !used[g] {
			drop(g)
		}
	}
	if a.network != nil {
		for _, g := range t.inherited(a, a.network) {
			drop(g)
		}
	}
}

// targetsOfKind are the targets of the Service's steps of some kinds.
func (t *turn) targetsOfKind(a *ask, kinds ...string) []plan.ID {
	var out []plan.ID
	for i := range t.steps {
		if slices.Contains(kinds, t.steps[i].Target.Kind) && slices.Contains(t.steps[i].Serves, a.key) {
			out = append(out, t.steps[i].Target)
		}
	}
	return out
}

// keepNetwork lets the Service's load balancer follow the nodes, and nothing
// else.
func (t *turn) keepNetwork(a *ask) {
	own := t.networksOf(a)
	for _, lb := range t.sortedNetworks() {
		groups := t.partsOf(a.key, lb)
		if slices.Contains(own, lb) {
			groups = t.groupsOf(a, lb)
		}
		for _, g := range groups {
			if want, known := t.keptTargets(a, lb, g); known && g.TargetsRead && len(g.LoadBalancerArns) > 0 {
				ref := groupRef{name: awssdk.ToString(g.TargetGroupName), ref: Ref{ID: awssdk.ToString(g.TargetGroupArn)}}
				t.putTargets(a, ref, want, g.Targets)
			}
		}
	}
}

// networksOf are all load balancers of the Service: by name, and by tags. What
// is left over is so by name alone, as a Service with those tags may live again.
func (t *turn) networksOf(a *ask) []*Network {
	var out []*Network
	for _, lb := range t.sortedNetworks() {
		if a.outlived && awssdk.ToString(lb.LoadBalancerName) != a.base {
			continue
		}
		named := awssdk.ToString(lb.LoadBalancerName) == a.base && !t.settings.Tags.Foreign(lb.Tags)
		if (named || t.ownsNetwork(a, lb)) && !slices.Contains(a.leaves, lb) {
			out = append(out, lb)
		}
	}
	return out
}

// removeNetworks deletes the load balancers and target groups of the Service.
func (t *turn) removeNetworks(a *ask) {
	var after []plan.ID
	groups := t.groupsOf(a, nil)
	for _, lb := range t.networksOf(a) {
		after = append(after, t.deleteNetwork(a, lb)...)
		groups = append(groups, t.groupsOf(a, lb)...)
	}
	seen := map[string]bool{}
	for _, g := range groups {
		if arn := awssdk.ToString(g.TargetGroupArn); !seen[arn] {
			seen[arn] = true
			t.deleteGroup(a, g, after)
		}
	}
}

// deleteNetwork deletes a load balancer.
func (t *turn) deleteNetwork(a *ask, lb *Network) []plan.ID {
	id := plan.ID{Kind: kindNetwork, Name: awssdk.ToString(lb.LoadBalancerName)}
	t.add(a, plan.Step{
		Action: plan.Delete, Target: id, Needs: t.left(lb), Why: []plan.Diff{{Field: "address", Have: awssdk.ToString(lb.DNSName)}},
	}, a.deletion(lb)...)
	return []plan.ID{id}
}
