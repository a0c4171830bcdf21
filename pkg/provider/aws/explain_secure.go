// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// balancerGroups are the security groups of a load balancer, which has the ones
// with the ids now, and who may connect by them.
func (e *explanation) balancerGroups(have []string, name string) []provider.Part {
	list := map[string]bool{} // whether it shall be there
	for _, id := range have {
		list[id] = true
	}
	if _, changes := e.byID[plan.ID{Kind: kindGroups, Name: name}]; changes {
		for id := range list {
			list[id] = slices.Contains(e.ask.groups, Ref{ID: id})
		}
	}
	var out []provider.Part
	for _, id := range slices.Sorted(maps.Keys(list)) {
		part := e.securityGroup(e.observed.Groups[id], id)
		if !list[id] {
			part.State = provider.StateLeaving
		}
		out = append(out, part)
	}
	if name == e.ask.name && e.ask.serve() {
		for _, g := range e.ask.groups {
			if g.ID == "" || !slices.Contains(have, g.ID) {
				part := e.securityGroup(e.observed.Groups[g.ID], g.name())
				part.State = provider.StateMissing
				out = append(out, part)
			}
		}
	}
	if len(out) == 0 {
		return []provider.Part{{What: "no security group: the nodes see the clients, and let them in or not"}}
	}
	return out
}

// securityGroup is a group of a load balancer with its rules. It has the name
// where it is not there.
func (e *explanation) securityGroup(g *ec2types.SecurityGroup, name string) provider.Part {
	have := described{}
	text := "security group " + name
	if g != nil {
		have = rulesOf(g.IpPermissions)
		name = awssdk.ToString(g.GroupName)
		text = "security group " + awssdk.ToString(g.GroupId) + " " + name
		tags := ec2Tags(g.Tags)
		switch {
		case awssdk.ToString(g.GroupId) == e.backend:
			text += ", shared by load balancers so that the nodes let them in"
		case e.letsSharersIn(g):
			text += ", for the clients of all that share the load balancer"
		case name == e.networkGroupName(e.ask) || name == names.ClassicGroup(e.ask.name):
		case names.IsControllerBackend(tags):
			text += ", shared by load balancers of the AWS Load Balancer Controller"
		case e.ownsFor(e.ask, tags):
		default:
			text += ", whose rules are not the Service's"
		}
	}
	c := e.compare(provider.Comparison{Here: g != nil}, plan.ID{Kind: kindGroup, Name: name})
	crowd := provider.Crowd{Kind: "rule"}
	missing, leaving := changesOf(slices.Concat(e.whys(plan.ID{Kind: kindGroupRules, Name: name}), e.whys(partRules(name, e.ask))))
	for _, r := range sortedRules(have) {
		if leaving[r.String()] {
			crowd.Add(r.String(), provider.StateLeaving)
		} else {
			crowd.Add(r.String(), "")
		}
	}
	for _, r := range slices.Sorted(maps.Keys(missing)) {
		crowd.Add(r, provider.StateMissing)
	}
	return provider.Part{What: text, State: c.Whole(), Parts: crowd.Parts()}
}

// changesOf are the texts of rules that come and go.
func changesOf(diffs []plan.Diff) (missing, leaving map[string]bool) {
	missing, leaving = map[string]bool{}, map[string]bool{}
	for _, d := range diffs {
		if d.Field == "rule" && d.Want != "" {
			missing[d.Want] = true
		}
		if d.Field == "rule" && d.Have != "" {
			leaving[d.Have] = true
		}
	}
	return missing, leaving
}

// nodeSecurity are the security groups of the Service's nodes, with the rules
// that let its load balancer or its clients in.
func (e *explanation) nodeSecurity() []provider.Part {
	if !e.settings.NodeRules {
		return []provider.Part{{What: "security groups of the nodes", State: "left alone, as the cloud config asks for"}}
	}
	ids := map[string]bool{}
	for _, id := range e.groupsOfNodes(e.ask) {
		ids[id] = true
	}
	for id, st := range e.byID {
		if (id.Kind == kindNodeGroup || id.Kind == kindNodeLeftovers) && slices.Contains(st.Serves, e.ask.key) {
			ids[id.Name] = true
		}
	}
	var out []provider.Part
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if g := e.observed.Groups[id]; g != nil {
			out = append(out, e.nodeGroup(g))
		}
	}
	return out
}

func (e *explanation) nodeGroup(g *ec2types.SecurityGroup) provider.Part {
	id := awssdk.ToString(g.GroupId)
	out := provider.Part{What: "security group of nodes " + id + " " + awssdk.ToString(g.GroupName)}
	missing, _ := changesOf(e.whys(plan.ID{Kind: kindNodeGroup, Name: id}))
	_, leaving := changesOf(e.whys(plan.ID{Kind: kindNodeLeftovers, Name: id}))
	have, wanted := rulesOf(g.IpPermissions), described{}
	if e.ask.serve() {
		wanted = e.nodeRules(e.ask)
		maps.Copy(wanted, e.opening(e.ask, id, have))
		if e.behind(e.ask) {
			maps.Copy(wanted, e.backendRules())
		}
	}
	crowd := provider.Crowd{Kind: "rule"}
	for _, r := range sortedRules(have) {
		_, mine := wanted[r]
		if !mine && !leaving[r.String()] && !e.hasRule(r, have[r]) && !e.fromBalancer(r) {
			continue
		}
		state := "left as it is"
		switch {
		case leaving[r.String()]:
			state = provider.StateLeaving
		case mine:
			state = provider.StateInStep
		}
		crowd.Add(r.String()+e.ownerText(have[r]), state)
	}
	for _, r := range sortedRules(wanted) {
		text := strings.Replace(r.String(), placeholder, "", 1)
		if _, ok := have[r]; !ok && missing[text] {
			crowd.Add(text+e.ownerText(wanted[r]), provider.StateMissing)
		}
	}
	if out.Parts = crowd.Parts(); len(out.Parts) == 0 {
		out.State = "no rule of it is the Service's"
	}
	return out
}

// fromBalancer reports whether a rule lets in a security group of a load
// balancer of the Service.
func (e *explanation) fromBalancer(r rule) bool {
	if r.kind != fromGroup {
		return false
	}
	for _, lb := range e.balancers() {
		if slices.Contains(lb.SecurityGroups, r.source) {
			return true
		}
	}
	c, err := e.ownClassic(e.ask)
	return c != nil && err == nil && slices.Contains(c.SecurityGroups, r.source)
}

// ownerText says whose a rule is, where that is not the Service alone.
func (e *explanation) ownerText(description string) string {
	switch lb := names.RuleOf(description); {
	case description == names.BackendRule:
		return ", for all load balancers with the shared group"
	case description == names.MTURule:
		return ", for all network load balancers"
	case lb != "" && lb != e.ask.name:
		return ", shared, with the name of " + e.ownerOfBalancer(lb)
	case strings.HasPrefix(description, "elbv2.k8s.aws/"):
		return ", made by the AWS Load Balancer Controller"
	}
	return ""
}

// ownerOfBalancer is the Service that has the load balancer, or else the load
// balancer itself.
func (e *explanation) ownerOfBalancer(name string) string {
	for _, svc := range e.observed.Services {
		tags := map[string]string{}
		if lb := e.networksByName[name]; lb != nil {
			tags = lb.Tags
		}
		key := provider.KeyOf(svc)
		if names.LoadBalancer(svc.UID) == name || e.settings.Tags.OwnsFor(tags, key.Namespace, key.Name) || e.settings.External.OwnsFor(tags, key.Namespace, key.Name) {
			return "Service " + key.String()
		}
	}
	return "load balancer " + name
}
