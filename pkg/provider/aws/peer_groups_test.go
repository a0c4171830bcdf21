// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
)

// grant is one rule of a security group: from a range, or from a group.
type grant struct {
	protocol           string
	from, to           int32
	cidr, group, about string
}

// plain is the rule without its description, by which the peer compares.
func (g grant) plain() grant {
	g.about = ""
	return g
}

func grantsOf(g *ec2types.SecurityGroup) []grant {
	var out []grant
	for i := range g.IpPermissions {
		p := &g.IpPermissions[i]
		one := grant{protocol: *p.IpProtocol, from: awssdk.ToInt32(p.FromPort), to: awssdk.ToInt32(p.ToPort)}
		for _, r := range p.IpRanges {
			one.cidr, one.about = *r.CidrIp, awssdk.ToString(r.Description)
			out = append(out, one)
		}
		one.cidr = ""
		for _, r := range p.UserIdGroupPairs {
			one.group, one.about = *r.GroupId, awssdk.ToString(r.Description)
			out = append(out, one)
		}
	}
	return out
}

// set gives a security group exactly these rules, together as AWS shows them.
func (p *peer) set(id string, rules []grant) {
	g := *p.observed.Groups[id]
	g.IpPermissions = nil
	for _, r := range rules {
		i := slices.IndexFunc(g.IpPermissions, func(x ec2types.IpPermission) bool {
			return *x.IpProtocol == r.protocol && awssdk.ToInt32(x.FromPort) == r.from && awssdk.ToInt32(x.ToPort) == r.to
		})
		if i < 0 {
			i = len(g.IpPermissions)
			x := ec2types.IpPermission{IpProtocol: &r.protocol}
			if r.protocol != "-1" {
				x.FromPort, x.ToPort = &r.from, &r.to
			}
			g.IpPermissions = append(g.IpPermissions, x)
		}
		var about *string
		if r.about != "" {
			about = &r.about
		}
		x := &g.IpPermissions[i]
		if r.group != "" {
			x.UserIdGroupPairs = append(x.UserIdGroupPairs, ec2types.UserIdGroupPair{GroupId: &r.group, UserId: awssdk.String("123456789012"), Description: about})
		} else {
			x.IpRanges = append(x.IpRanges, ec2types.IpRange{CidrIp: &r.cidr, Description: about})
		}
	}
	p.observed.Groups[id] = &g
}

// group is the security group with the name, made if it is not there.
func (p *peer) group(svc *v1.Service, name, about string) string {
	for id, g := range p.observed.Groups {
		if *g.GroupName == name {
			return id
		}
	}
	id := p.id("sg")
	g := &ec2types.SecurityGroup{GroupId: &id, GroupName: &name, Description: &about, VpcId: &p.settings.VPC}
	tags := p.tagsFor(svc, true)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		g.Tags = append(g.Tags, ec2types.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	p.observed.Groups[id] = g
	return id
}

func (p *peer) hasClusterTag(id string) bool {
	return slices.ContainsFunc(p.observed.Groups[id].Tags, func(t ec2types.Tag) bool {
		return *t.Key == "kubernetes.io/cluster/rig" || *t.Key == "KubernetesCluster" && *t.Value == p.keys["KubernetesClusterTag"]
	})
}

// open are the rules of a load balancer's own group: nothing else is let in.
func (p *peer) open(id, protocol string, ports []int32, clients []string) {
	var rules []grant
	for _, cidr := range clients {
		for _, port := range ports {
			rules = append(rules, grant{protocol: protocol, from: port, to: port, cidr: cidr})
		}
		rules = append(rules, grant{protocol: "icmp", from: 3, to: 4, cidr: cidr})
	}
	p.set(id, rules)
}

// nodeGroups are the security groups of instances that get rules: of each the
// only one, or the only one with the cluster's tag.
func (p *peer) nodeGroups(machines []string) []string {
	seen := map[string]bool{}
	for _, id := range machines {
		groups := p.observed.Instances[id].Groups
		if tagged := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return !p.hasClusterTag(g) }); len(tagged) > 0 {
			groups = tagged
		}
		seen[groups[0]] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// drop deletes a security group and what refers to it.
func (p *peer) drop(id string) {
	delete(p.observed.Groups, id)
	for other, g := range p.observed.Groups {
		rules := grantsOf(g)
		if kept := slices.DeleteFunc(slices.Clone(rules), func(r grant) bool { return r.group == id }); len(kept) < len(rules) {
			p.set(other, kept)
		}
	}
}

// letInGroup lets all of a classic load balancer's group in at the nodes, and
// takes that away where no node of it is any more, in groups with the cluster's
// tag.
func (p *peer) letInGroup(group string, machines []string) {
	if p.keys["DisableSecurityGroupIngress"] != "" {
		return
	}
	want := p.nodeGroups(machines)
	for _, id := range slices.Sorted(maps.Keys(p.observed.Groups)) {
		rules := grantsOf(p.observed.Groups[id])
		has := slices.ContainsFunc(rules, func(r grant) bool { return r.group == group })
		switch {
		case !has && slices.Contains(want, id):
			p.set(id, append(rules, grant{protocol: "-1", group: group}))
		case has && !slices.Contains(want, id) && p.hasClusterTag(id):
			p.set(id, slices.DeleteFunc(rules, func(r grant) bool { return r.group == group }))
		}
	}
}

// What the rules for network load balancers at the nodes are called.
const (
	aboutClient = "kubernetes.io/rule/nlb/client="
	aboutHealth = "kubernetes.io/rule/nlb/health="
	aboutMTU    = "kubernetes.io/rule/nlb/mtu"
)

// letInClients brings the rules for one network load balancer at the nodes to
// what is wanted by group. A wanted rule that is there under another name is
// not made; what has the name and is not wanted goes. Rules for path MTU discovery
// are looked at only where another one changed.
func (p *peer) letInClients(name string, want map[string][]grant) {
	if p.keys["DisableSecurityGroupIngress"] != "" {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(p.observed.Groups)) {
		if want[id] == nil && !p.hasClusterTag(id) {
			continue
		}
		var dirty bool
		for _, about := range []string{aboutClient + name, aboutHealth + name} {
			dirty = p.settleKind(id, about, want[id]) || dirty
		}
		if !dirty {
			continue
		}
		clients := map[grant]bool{}
		for _, r := range grantsOf(p.observed.Groups[id]) {
			if strings.HasPrefix(r.about, aboutClient) {
				clients[grant{protocol: "icmp", from: 3, to: 4, cidr: r.cidr, about: aboutMTU}] = true
			}
		}
		mtu := slices.Collect(maps.Keys(clients))
		slices.SortFunc(mtu, func(a, b grant) int { return strings.Compare(a.cidr, b.cidr) })
		p.settleKind(id, aboutMTU, mtu)
	}
}

// settleKind brings the rules of one description to those of want that have
// it, and reports whether anything changed.
func (p *peer) settleKind(id, about string, want []grant) bool {
	rules := grantsOf(p.observed.Groups[id])
	kept := slices.DeleteFunc(slices.Clone(rules), func(r grant) bool { return r.about == about && !slices.Contains(want, r) })
	dirty := len(kept) < len(rules)
	for _, r := range want {
		there := slices.ContainsFunc(rules, func(x grant) bool { return x.plain() == r.plain() })
		if r.about == about && !there {
			kept, dirty = append(kept, r), true
		}
	}
	if dirty {
		p.set(id, kept)
	}
	return dirty
}

// untag takes the cluster's tag off the nodes' group, which is their only one:
// the peer finds it to let in, but not to clean up.
func (p *peer) untag() {
	for id, g := range p.observed.Groups {
		if *g.GroupName == "nodes.rig" {
			g = new(*g)
			g.Tags = nil
			p.observed.Groups[id] = g
		}
	}
}
