// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Reads is what a batch needs beside the load balancers and the security
// group of the settings, and what LinkGroups says.
type Reads struct {
	PublicIPGroups []string // resource groups whose public IPs are listed
	Subnets        []string // of the virtual network
	Zones          bool     // new addresses may be made
}

// ReadsOf is what the batch needs. What has no name that Azure knows is not
// asked for.
func ReadsOf(s *Settings, items []provider.Item) Reads {
	groups := map[string]string{names.Key(s.ResourceGroup): s.ResourceGroup}
	subnets := map[string]string{}
	add := func(subnet string) {
		if subnet != "" && s.Network != "" {
			subnets[names.Key(subnet)] = subnet
		}
	}
	r := Reads{}
	for i := range items {
		it := &items[i]
		if group := publicIPGroup(s, it.Service.Annotations); intent.IsAzureGroupName(group) {
			groups[names.Key(group)] = group
		}
		if it.Want != provider.Serve {
			continue
		}
		r.Zones = true
		if create, _ := it.Intent.Options.Bool(intent.KeyAzurePLSCreate); create {
			add(linkSubnet(s, it))
		}
		if isInternal(it) {
			add(subnetOf(s, it))
		}
	}
	r.PublicIPGroups, r.Subnets = values(groups), values(subnets)
	return r
}

func values(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// HeldGroups are the resource groups where Services of the batch have public
// IPs that they may lose, by what is known of the load balancers, beside those
// that are read already: the annotation named another group before.
func HeldGroups(s *Settings, items []provider.Item, loadBalancers []json.RawMessage) []string {
	read := map[string]bool{}
	for _, group := range ReadsOf(s, items).PublicIPGroups {
		read[names.Key(group)] = true
	}
	groups := map[string]string{}
	var there []*balancer
	for i := range items {
		if !mayLose(&items[i]) {
			continue
		}
		if there == nil {
			there = managed(s, loadBalancers)
		}
		base := names.Base(items[i].Service.UID)
		for _, b := range there {
			for _, f := range b.frontends.all() {
				id := f.Properties.PublicIPAddress.id()
				group := names.Group(id)
				if id != "" && !read[names.Key(group)] && names.Same(names.Segment(id, "subscriptions"), s.Subscription) && b.isFrontendOf(base, f) {
					groups[names.Key(group)] = group
				}
			}
		}
	}
	return values(groups)
}

// LinkGroups are the resource groups whose private link services the batch
// must know of, by what is known of the load balancers: those where Services
// want one, and those of Services that may have one and lose it.
func LinkGroups(s *Settings, items []provider.Item, loadBalancers []json.RawMessage) []string {
	groups := map[string]string{}
	var there []*balancer
	for i := range items {
		it := &items[i]
		group := linkGroup(s, it.Service.Annotations)
		create, _ := it.Intent.Options.Bool(intent.KeyAzurePLSCreate)
		create = create && it.Want == provider.Serve
		if !intent.IsAzureGroupName(group) || (!create && !mayLose(it)) {
			continue
		}
		if !create {
			if there == nil {
				there = managed(s, loadBalancers)
			}
			base := names.Base(it.Service.UID)
			create = slices.ContainsFunc(there, func(b *balancer) bool { return b.carriesLinks(base) })
		}
		if create {
			groups[names.Key(group)] = group
		}
	}
	return values(groups)
}

// managed are the load balancers of the cluster. One that cannot be read fails
// the computation later.
func managed(s *Settings, docs []json.RawMessage) []*balancer {
	w := world{settings: s}
	out := []*balancer{}
	for _, doc := range docs {
		if b, err := loadBalancer(doc); err == nil && w.manages(doc) {
			out = append(out, b)
		}
	}
	return out
}
