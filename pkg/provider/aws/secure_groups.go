// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// networkGroupName is the name of the security group that the Service's network
// load balancer gets from us.
func (t *turn) networkGroupName(a *ask) string {
	cluster := t.settings.Cluster
	if a.external {
		cluster = t.settings.External.Cluster
	}
	return t.clientsName(a, cluster)
}

// networkGroupNames are the names that such a group may have. What a Service is
// served by may have been made when it was of the other form.
func (t *turn) networkGroupNames(a *ask) []string {
	out := []string{t.networkGroupName(a)}
	if t.settings.Claims == AlsoLoadBalancerController {
		for _, cluster := range []string{t.settings.Cluster, t.settings.External.Cluster} {
			out = union(out, []string{names.NetworkGroup(cluster, a.key.Namespace, a.key.Name, a.item.Service.UID)})
		}
	}
	return out
}

// groupNamed is the VPC's security group with the name; nil when there is none.
func (t *turn) groupNamed(name string) *ec2types.SecurityGroup { return t.groupsByName[name] }

// groupsForNew are the security groups of a new network load balancer.
func (t *turn) groupsForNew(a *ask) error {
	if !t.hasGroups(a) {
		t.warnWithoutGroups(a)
		return nil
	}
	return t.wantGroups(a, nil)
}

// warnWithoutGroups tells that the groups of the annotation do not count, in the
// same words before and after the load balancer is made: it is told once.
func (t *turn) warnWithoutGroups(a *ask) {
	if a.written(intent.KeyAWSSecurityGroups) == "" {
		return
	}
	cure := "set nlbSecurityGroupMode Managed in the cloud-config before the load balancer is made, or remove the annotation"
	switch {
	case t.hasGroups(a): // it was made before that
		cure = "make a new Service, whose load balancer gets them, or remove the annotation"
	case a.external:
		cure = "set annotation " + intent.KeyAWSNoSecurityGroup + " to false before the load balancer is made, or remove this one"
	}
	a.warn(ReasonUnsupported, fmt.Sprintf("%s, but has no effect: load balancer %s has no security groups, and AWS gives it none later; %s", intent.AWSSays(a.item.Service, intent.KeyAWSSecurityGroups), a.name, cure))
}

// hasGroups reports whether a new load balancer of the Service gets security
// groups.
func (t *turn) hasGroups(a *ask) bool {
	if a.external {
		return !a.on(intent.KeyAWSNoSecurityGroup)
	}
	return t.settings.NetworkGroups == ManagedGroups
}

// wantGroups are the groups that the annotation names; or else one of the
// Service's own, which is made where it is missing, and perhaps the one that
// all share. A load balancer that is there has some already.
func (t *turn) wantGroups(a *ask, have []string) error {
	backend := slices.Contains(have, t.backend) || (t.settings.NodeRules && (len(have) == 0 || a.strict()))
	given, err := t.givenGroups(a, intent.KeyAWSSecurityGroups)
	if err != nil {
		return err
	}
	if !a.external && a.item.Intent.Options.Partial(intent.KeyAWSSecurityGroups) {
		a.warn(intent.ReasonInvalidAnnotation, fmt.Sprintf("%s, but has items that are empty, and counts without them; write ids of security groups with one comma between", intent.AWSSays(a.item.Service, intent.KeyAWSSecurityGroups)))
	}
	if len(given) > 0 {
		a.groups, a.judges = given, "annotation "+intent.KeyAWSSecurityGroups
		if backend && a.sharesGroup() {
			a.groups = union(a.groups, []Ref{t.ensureBackend(a)})
		}
		return nil
	}
	ref, err := t.ensureGroup(a, t.networkGroupName(a), names.NetworkGroupDescription)
	if err != nil {
		return err
	}
	a.groups = []Ref{ref}
	if backend {
		a.groups = append(a.groups, t.ensureBackend(a))
	}
	name := t.networkGroupName(a)
	if a.share != nil {
		a.share.clients = &clientGroup{name: name, ref: ref}
	}
	return t.putRules(a, groupRules{name: name, target: plan.ID{Kind: kindGroupRules, Name: name}, group: ref, want: a.listenerRules(), realm: t.realmOf(a, a.network)})
}

// givenGroups are those that the annotation names, each once: AWS takes none
// twice.
func (t *turn) givenGroups(a *ask, key string) ([]Ref, error) {
	var out []Ref
	for _, item := range a.list(key) {
		id, err := t.givenGroup(a, key, item)
		if err != nil {
			return nil, err
		}
		out = union(out, []Ref{{ID: id}})
	}
	return out, nil
}

// givenGroup is the id of a group that the annotation names: by its id, or for
// Services of the AWS Load Balancer Controller by its Name tag too.
func (t *turn) givenGroup(a *ask, key, item string) (string, error) {
	if _, ok := t.observed.Groups[item]; ok {
		return item, nil
	}
	if !a.external {
		return "", refuse(ReasonSecurityGroupNotFound, "annotation %s names %s, which is no id of a security group of %s; correct it", key, item, t.settings.VPC)
	}
	for _, id := range slices.Sorted(maps.Keys(t.observed.Groups)) {
		if ec2Tags(t.observed.Groups[id].Tags)["Name"] == item {
			return id, nil
		}
	}
	return "", refuse(ReasonSecurityGroupNotFound, "annotation %s names %s, which is no id and no Name tag of a security group of %s; correct it", key, item, t.settings.VPC)
}

// ensureGroup is the security group with the name; it is made where it is
// missing.
func (t *turn) ensureGroup(a *ask, name, description string) (Ref, error) {
	if g := t.groupNamed(name); g != nil {
		if t.settings.Tags.Foreign(ec2Tags(g.Tags)) {
			return Ref{}, t.notOurs("security group "+name, ec2Tags(g.Tags))
		}
		return Ref{ID: awssdk.ToString(g.GroupId)}, nil
	}
	id := plan.ID{Kind: kindGroup, Name: name}
	in := &ec2.CreateSecurityGroupInput{
		GroupName: awssdk.String(name), Description: awssdk.String(description), VpcId: awssdk.String(t.settings.VPC),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: sortedEC2Tags(names.As(a.tags, names.ResourceSecurityGroup))}},
	}
	t.add(a, plan.Step{Action: plan.Create, Target: id, Why: []plan.Diff{{Field: "description", Want: description}}}, in)
	return Ref{Made: id}, nil
}

// sortedEC2Tags are tags as EC2 has them, sorted by key.
func sortedEC2Tags(tags map[string]string) []ec2types.Tag {
	var out []ec2types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2types.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	return out
}

// putNetworkGroups brings the groups of a load balancer that is there to what
// they shall be. One that was made without any cannot get one: AWS.
func (t *turn) putNetworkGroups(a *ask, b *balancer) error {
	have := b.have.SecurityGroups
	if !t.hasGroups(a) || len(have) == 0 {
		a.groups = append(a.groups, refsTo(have)...)
		if len(have) == 0 && a.strict() && a.has(intent.KeyAWSSecurityGroups) {
			t.warnWithoutGroups(a)
		}
		return nil
	}
	if err := t.wantGroups(a, have); err != nil {
		return err
	}
	a.groups = append(a.groups, t.controllerGroups(a, have)...)
	in := &elbv2.SetSecurityGroupsInput{LoadBalancerArn: awssdk.String(b.ref.Text())}
	st := plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindGroups, Name: b.name}, Needs: t.grants(a)}
	in.SecurityGroups, st.Needs = refTexts(a.groups), append(st.Needs, stepsOf(a.groups)...)
	private := a.privateLink(b.have)
	in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic = private
	if slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(in.SecurityGroups))) {
		if private != "" {
			t.putPrivateLink(a, b, private)
		}
		return nil
	}
	st.Why = []plan.Diff{{Field: "security groups", Have: strings.Join(have, ", "), Want: refNames(a.groups)}}
	t.add(a, st, in)
	return nil
}

// controllerGroups are those of a load balancer of the AWS Load Balancer
// Controller, which may be what the nodes let in. They stay as long as the load
// balancer is as that controller made it.
func (t *turn) controllerGroups(a *ask, have []string) []Ref {
	var out []Ref
	for _, id := range have {
		g, ok := t.observed.Groups[id]
		theirs := a.external || (ok && names.IsControllerBackend(ec2Tags(g.Tags)))
		if !a.strict() && theirs && !a.uses(id) {
			out = append(out, Ref{ID: id})
		}
	}
	return out
}

// dropNetworkGroups deletes the security groups that we made for load balancers
// that are gone or have others, last of all.
func (t *turn) dropNetworkGroups() {
	for _, a := range t.asks {
		if a.elsewhere || a.want == provider.Keep {
			continue
		}
		for _, g := range t.clientsMadeFor(a) {
			if id := awssdk.ToString(g.GroupId); t.ownsGroup(a, ec2Tags(g.Tags)) && !a.uses(id) && !t.inUse(id) {
				t.deleteSecurityGroup(a, g)
			}
		}
	}
}

// ownsGroup reports whether the tags of a group with the Service's name, in
// which its UID is, say that it was made for it.
func (t *turn) ownsGroup(a *ask, tags map[string]string) bool {
	return t.settings.Tags.Owns(tags) || t.settings.Tags.Unclaimed(tags) || t.ownsFor(a, tags)
}

// inUse reports whether a load balancer has the group, and no step deletes it,
// makes it anew or gives it other groups: such as one of the other type, which
// stays beside the Service's.
func (t *turn) inUse(id string) bool {
	for name, lb := range t.networksByName {
		if slices.Contains(lb.SecurityGroups, id) && !t.changesGroups(kindNetwork, name, &elbv2.SetSecurityGroupsInput{}) {
			return true
		}
	}
	for name, c := range t.observed.Classics {
		if slices.Contains(c.SecurityGroups, id) && !t.changesGroups(kindClassic, name, &elb.ApplySecurityGroupsToLoadBalancerInput{}) {
			return true
		}
	}
	return false
}

// changesGroups reports whether a step changes the groups of a load balancer: of the
// kind and name, and by calls like the given one. Two of different kinds may have
// one name.
func (t *turn) changesGroups(kind, name string, gives Call) bool {
	_, made := t.writes[plan.ID{Kind: kind, Name: name}]
	return made || slices.ContainsFunc(t.writes[plan.ID{Kind: kindGroups, Name: name}].Calls, func(c Call) bool {
		return reflect.TypeOf(c) == reflect.TypeOf(gives)
	})
}

// uses reports whether the Service's load balancer is to have the group.
func (a *ask) uses(group string) bool {
	return slices.Contains(a.groups, Ref{ID: group})
}

// deleteSecurityGroup deletes a group after the Service's load balancer let go
// of it, and after no rule refers to it.
func (t *turn) deleteSecurityGroup(a *ask, g *ec2types.SecurityGroup) {
	st := plan.Step{
		Action: plan.Delete, Target: plan.ID{Kind: kindGroup, Name: awssdk.ToString(g.GroupName)},
		Needs: t.targetsOfKind(a, kindNetwork, kindClassic, kindGroups), Why: []plan.Diff{{Field: "description", Have: awssdk.ToString(g.Description)}},
	}
	for i := range t.steps {
		if t.steps[i].Target.Kind == kindNodeLeftovers {
			st.Needs = append(st.Needs, t.steps[i].Target)
		}
	}
	t.add(a, st, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
}
