// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Observed is what the cloud and the cluster answered: documents raw, as a
// GET or LIST gives them.
type Observed struct {
	// LoadBalancers are those of the load balancers' resource group.
	LoadBalancers []json.RawMessage
	// PublicIPs are those of each resource group in Reads, by its name in
	// lower case. A group that is not there has none.
	PublicIPs map[string][]json.RawMessage
	// SecurityGroup is empty when there is none.
	SecurityGroup json.RawMessage
	// Subnets are those in Reads, by the name in lower case; empty for one
	// that is not there.
	Subnets map[string]json.RawMessage
	// PrivateLinks are the private link services of each resource group in
	// Reads, by its name in lower case.
	PrivateLinks map[string][]json.RawMessage
	// Zones are the availability zones of the region, sorted.
	Zones []string
	// Unread are the reads that failed, of those that only some Services need,
	// with their errors.
	Unread map[Read]error
	// MissingGroups are the resource groups of the cluster and of its load
	// balancers that are not there, sorted.
	MissingGroups []string
	// Services are all of the cluster that want a load balancer of ours, or
	// have one to be removed. Those of the batch may be among them.
	Services []*v1.Service
	// Nodes are all of the cluster.
	Nodes []*v1.Node
	// The following matter with several load balancer configurations alone:
	// the labels of namespaces; the scale sets or availability sets of nodes,
	// where their provider ids do not say them; and the names of the nodes that
	// have endpoints of a Service with externalTrafficPolicy Local.
	Namespaces    map[string]map[string]string
	NodeSets      map[string]string
	EndpointNodes map[plan.Key][]string
}

// cloneMaps lets what is learned from now on stay here.
func (o *Observed) cloneMaps() {
	o.PublicIPs, o.PrivateLinks, o.Subnets = maps.Clone(o.PublicIPs), maps.Clone(o.PrivateLinks), maps.Clone(o.Subnets)
}

// Learn replaces what is known of the resource by what a write answered; an
// empty document is for one that was deleted.
func (o *Observed) Learn(id string, doc json.RawMessage) {
	switch {
	case names.Same(names.Segment(id, "providers"), "Microsoft.Network") && names.Segment(id, "loadBalancers") != "":
		o.LoadBalancers = learn(o.LoadBalancers, id, doc)
	case names.Segment(id, "publicIPAddresses") != "":
		group := names.Key(names.Group(id))
		if o.PublicIPs == nil {
			o.PublicIPs = map[string][]json.RawMessage{}
		}
		o.PublicIPs[group] = learn(o.PublicIPs[group], id, doc)
	case names.Segment(id, "privateLinkServices") != "":
		group := names.Key(names.Group(id))
		if o.PrivateLinks == nil {
			o.PrivateLinks = map[string][]json.RawMessage{}
		}
		o.PrivateLinks[group] = learn(o.PrivateLinks[group], id, doc)
	case names.Segment(id, "subnets") != "":
		if o.Subnets == nil {
			o.Subnets = map[string]json.RawMessage{}
		}
		o.Subnets[names.Key(names.Last(id))] = doc
	case names.Segment(id, "networkSecurityGroups") != "":
		o.SecurityGroup = doc
	}
}

func learn(docs []json.RawMessage, id string, doc json.RawMessage) []json.RawMessage {
	name := []byte(names.Last(id))
	docs = slices.DeleteFunc(slices.Clone(docs), func(d json.RawMessage) bool {
		return mentions(d, name) && names.Same(idOf(d), id)
	})
	if len(doc) == 0 {
		return docs
	}
	return append(docs, doc)
}

// mentions reports whether the text stands in the document, in any case: far
// cheaper than to decode it.
func mentions(doc json.RawMessage, text []byte) bool {
	if len(text) == 0 {
		return true
	}
	const lower = 'a' - 'A' // the bit by which letters of ASCII differ in case
	for i := range len(doc) - len(text) + 1 {
		if doc[i]|lower == text[0]|lower && bytes.EqualFold(doc[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

func idOf(doc json.RawMessage) string {
	var h struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(doc, &h) != nil {
		return ""
	}
	return h.ID
}

// node is what load balancers depend on of a node.
type node struct {
	name      string
	addresses []netip.Addr // its InternalIPs, in their order
	set       string       // its scale set or availability set, empty for none
	labels    map[string]string
}

// nodesOf are the nodes that may be in a pool.
func nodesOf(s *Settings, o *Observed, nodes []*v1.Node) []node {
	var out []node
	for _, n := range nodes {
		if unmanaged(n) || (!s.KeepControlPlane && controlPlane(n)) {
			continue
		}
		out = append(out, node{name: n.Name, addresses: internalIPs(n), set: setOf(o, n), labels: n.Labels})
	}
	return out
}

// Labels of nodes.
const (
	labelManaged         = machines.ManagedLabel
	labelControlPlane    = "node-role.kubernetes.io/control-plane"
	labelControlPlaneOld = "node-role.kubernetes.io/master"
)

// unmanaged reports whether the node's label says that its machine is none of
// Azure's.
func unmanaged(n *v1.Node) bool { return strings.EqualFold(n.Labels[labelManaged], "false") }

func controlPlane(n *v1.Node) bool {
	_, is := n.Labels[labelControlPlane]
	_, was := n.Labels[labelControlPlaneOld]
	return is || was
}

func internalIPs(n *v1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if ip := parseAddr(a.Address); a.Type == v1.NodeInternalIP && ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}

// of is the node's first address of the family.
func (n *node) of(f intent.Family) (netip.Addr, bool) {
	for _, a := range n.addresses {
		if intent.FamilyOf(a) == f {
			return a, true
		}
	}
	return netip.Addr{}, false
}
