// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// heldSource is a network load balancer outside the batch, whose security groups
// the nodes may let in.
type heldSource struct {
	name   string
	groups []string
	ports  protocolPorts
	all    bool // the ports are not known
}

// holdSources adds a load balancer outside the batch.
func (h held) holdSources(lb *Network, groups []*TargetGroup) {
	x := heldSource{name: awssdk.ToString(lb.LoadBalancerName), groups: lb.SecurityGroups, ports: protocolPorts{}, all: len(groups) == 0}
	for _, g := range groups {
		x.all = x.all || g.namedPort()
		x.ports.addGroup(g)
	}
	for _, id := range lb.SecurityGroups {
		h.sources[id] = append(h.sources[id], x)
	}
}

// needs reports whether a rule of the group that lets the load balancer in opens
// a port of it that no other one opens for sure.
func (x *heldSource) needs(g *nodeGroup, r rule) bool {
	if x.all {
		return true
	}
	for protocol, ports := range x.ports {
		for _, port := range ports {
			if r.opens(protocol, port) && !x.isLetIn(g, r, protocol, port) {
				return true
			}
		}
	}
	return false
}

// isLetIn reports whether a rule other than the given one opens the port: one
// with the load balancer's name, or one from a group of it that is no Service's
// of ours. One that lets in all from a group may be a classic load balancer's.
func (x *heldSource) isLetIn(g *nodeGroup, but rule, protocol string, port int32) bool {
	for r, text := range g.have {
		if r == but || !r.opens(protocol, port) {
			continue
		}
		lb := names.RuleOf(text)
		if lb == x.name {
			return true
		}
		stays := lb == "" || text == names.BackendRule
		if stays && r != allFrom(r.source) && r.kind == fromGroup && slices.Contains(x.groups, r.source) {
			return true
		}
	}
	return false
}
