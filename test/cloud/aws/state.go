// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// document is a state as it is written: what the describe calls answer.
type document struct {
	AvailabilityZones    []zone
	InternetGateways     []gateway
	Reservations         []reservation
	RouteTables          []routeTable
	Subnets              []subnet
	VPCs                 []vpc `json:"Vpcs"`
	Addresses            []address
	SecurityGroups       []describedGroup
	ClassicLoadBalancers []classicDocument
	NetworkLoadBalancers []balancerDocument
	TargetGroups         []targetGroupDocument
}

type classicDocument struct {
	LoadBalancerAttributes  classicAttributes
	LoadBalancerDescription classic
	PolicyDescriptions      []policy
	Tags                    []tag
}

type balancerDocument struct {
	Attributes   []attribute
	Listeners    []listenerDocument
	LoadBalancer balancer
	Tags         []tag
}

type listenerDocument struct {
	Attributes   []attribute   `json:",omitempty"`
	Certificates []certificate `json:",omitempty"`
	Listener     listener
	Tags         []tag
}

type targetGroupDocument struct {
	Attributes  []attribute
	Tags        []tag
	TargetGroup targetGroup
	Health      []healthDescription `json:"TargetHealthDescriptions"`
}

// Seed takes in states as State writes them, whole or in parts, without judging
// them: what was answered once stands. It replaces objects of the same ids.
func (c *Cloud) Seed(states ...[]byte) error {
	for i, data := range states {
		var d document
		if err := json.Unmarshal(data, &d); err != nil {
			return fmt.Errorf("state %d: %w", i, err)
		}
		c.mu.Lock()
		c.seedSite(d)
		c.seedBalancers(d)
		c.mu.Unlock()
	}
	return nil
}

func (c *Cloud) seedSite(d document) {
	putAll(c.zones, d.AvailabilityZones, func(z *zone) string { return z.ZoneName })
	putAll(c.gateways, d.InternetGateways, func(g *gateway) string { return g.InternetGatewayID })
	putAll(c.tables, d.RouteTables, func(t *routeTable) string { return t.RouteTableID })
	putAll(c.subnets, d.Subnets, func(s *subnet) string { return s.SubnetID })
	putAll(c.vpcs, d.VPCs, func(v *vpc) string { return v.VPCID })
	putAll(c.addresses, d.Addresses, func(a *address) string { return a.AllocationID })
	for _, r := range d.Reservations {
		for _, m := range r.Instances {
			m.Reservation = r.ReservationID
			putAll(c.instances, []instance{m}, func(m *instance) string { return m.InstanceID })
		}
	}
	for _, described := range d.SecurityGroups {
		g := described.securityGroup
		for _, p := range described.IPPermissions {
			g.Rules = append(g.Rules, rulesOf(p, inbound)...)
		}
		for _, p := range described.IPPermissionsEgress {
			g.Rules = append(g.Rules, rulesOf(p, outbound)...)
		}
		for i := range g.Rules {
			g.Rules[i].ID = c.newID("sgr")
		}
		putAll(c.groups, []securityGroup{g}, func(g *securityGroup) string { return g.GroupID })
	}
}

// putAll stores seeded objects as if they had always been there.
func putAll[T any](s *store[T], list []T, id func(*T) string) {
	for i := range list {
		s.set(id(&list[i]), []version[T]{{value: &list[i]}})
	}
}

func (c *Cloud) seedBalancers(d document) {
	for _, lb := range d.ClassicLoadBalancers {
		b := lb.LoadBalancerDescription
		b.Attributes, b.Defined, b.Tags = lb.LoadBalancerAttributes, lb.PolicyDescriptions, lb.Tags
		putAll(c.classics, []classic{b}, func(b *classic) string { return b.LoadBalancerName })
		for _, id := range b.Subnets {
			if c.subnets.get(id) != nil && c.nicOf("classic/"+b.LoadBalancerName, id) == nil {
				c.attachClassic(&b, id)
			}
		}
	}
	for _, lb := range d.NetworkLoadBalancers {
		b := lb.LoadBalancer
		b.Attributes, b.Tags = lb.Attributes, lb.Tags
		putAll(c.balancers, []balancer{b}, func(b *balancer) string { return b.LoadBalancerArn })
		for _, z := range b.AvailabilityZones {
			if c.subnets.get(z.SubnetID) != nil && c.nicOf(b.LoadBalancerArn, z.SubnetID) == nil {
				c.attach(&b, z)
			}
		}
		for _, l := range lb.Listeners {
			l.Listener.Tags, l.Listener.Attributes, l.Listener.More = l.Tags, l.Attributes, l.Certificates
			putAll(c.listeners, []listener{l.Listener}, func(l *listener) string { return l.ListenerArn })
		}
	}
	for _, tg := range d.TargetGroups {
		g := tg.TargetGroup
		g.Attributes, g.Tags = tg.Attributes, tg.Tags
		for _, h := range tg.Health {
			g.Targets = append(g.Targets, h.Target)
		}
		putAll(c.targets, []targetGroup{g}, func(g *targetGroup) string { return g.TargetGroupArn })
	}
}

// State is all there is, as the describe calls answer it without lag: an object
// with a list for each type.
func (c *Cloud) State() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	d := document{
		AvailabilityZones: values(c.zones.all()), InternetGateways: values(c.gateways.all()),
		Reservations: c.reservations(c.instances.all()), Subnets: c.counted(c.subnets.all()),
		VPCs: values(c.vpcs.all()), Addresses: values(c.addresses.all()),
	}
	for _, t := range c.tables.all() {
		d.RouteTables = append(d.RouteTables, *c.withStates(t))
	}
	for _, g := range c.groups.all() {
		d.SecurityGroups = append(d.SecurityGroups, c.described(g))
	}
	for _, b := range c.classics.all() {
		d.ClassicLoadBalancers = append(d.ClassicLoadBalancers, classicDocument{
			LoadBalancerAttributes: b.Attributes, LoadBalancerDescription: *b, PolicyDescriptions: b.Defined, Tags: b.Tags,
		})
	}
	for _, b := range c.balancers.all() {
		lb := balancerDocument{Attributes: b.Attributes, LoadBalancer: c.withState(b), Tags: b.Tags}
		for _, l := range c.listenersOf(b.LoadBalancerArn) {
			lb.Listeners = append(lb.Listeners, listenerDocument{
				Attributes: l.Attributes, Certificates: l.More, Listener: *l, Tags: l.Tags,
			})
		}
		d.NetworkLoadBalancers = append(d.NetworkLoadBalancers, lb)
	}
	for _, g := range c.targets.all() {
		d.TargetGroups = append(d.TargetGroups, targetGroupDocument{
			Attributes: g.Attributes, Tags: g.Tags, TargetGroup: *g, Health: c.healthOf(g),
		})
	}
	return indented(d)
}

// indented writes a value as JSON in which no list is null.
func indented(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic("awssim: a state cannot be written: " + err.Error())
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic("awssim: a state cannot be read: " + err.Error())
	}
	data, err = json.MarshalIndent(filled(tree), "", " ")
	if err != nil {
		panic("awssim: a state cannot be written: " + err.Error())
	}
	return data
}

// filled puts an empty list in the place of null: only lists are ever null.
func filled(tree any) any {
	switch v := tree.(type) {
	case nil:
		return []any{}
	case map[string]any:
		for name, value := range v {
			v[name] = filled(value)
		}
	case []any:
		for i, value := range v {
			v[i] = filled(value)
		}
	}
	return tree
}

// Normalise writes a state as text without what differs between equal runs: ids
// and numbers that the server gives, which are replaced by the names of what
// they stand for, times, and the order of lists. Two states are the same when
// their texts are.
func Normalise(state []byte) (string, error) {
	var d document
	if err := json.Unmarshal(state, &d); err != nil {
		return "", err
	}
	var tree any
	if err := json.Unmarshal([]byte(nameReplacer(d).Replace(string(state))), &tree); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(sorted(timeless(tree)), "", " ")
	return string(data) + "\n", err
}

// nameReplacer puts names in the place of what the server gives.
func nameReplacer(d document) *strings.Replacer {
	type pair struct{ given, name string }
	var pairs []pair
	add := func(given, name string) {
		if given != "" {
			pairs = append(pairs, pair{given: given, name: name})
		}
	}
	for _, g := range d.SecurityGroups {
		add(g.GroupID, "group "+g.GroupName)
	}
	names := map[string]string{}
	for _, lb := range d.NetworkLoadBalancers {
		b := lb.LoadBalancer
		names[b.LoadBalancerArn] = b.LoadBalancerName
		add(b.LoadBalancerArn, "balancer "+b.LoadBalancerName)
		add(b.DNSName, "dns "+b.LoadBalancerName)
		for _, l := range lb.Listeners {
			add(l.Listener.ListenerArn, fmt.Sprintf("listener %s %d", b.LoadBalancerName, l.Listener.Port))
		}
	}
	for _, g := range d.TargetGroups {
		add(g.TargetGroup.TargetGroupArn, "targets "+g.TargetGroup.TargetGroupName)
	}
	for _, b := range d.ClassicLoadBalancers {
		add(b.LoadBalancerDescription.DNSName, "dns "+b.LoadBalancerDescription.LoadBalancerName)
	}
	for _, a := range d.Addresses {
		add(a.AssociationID, "association")
		add(a.NetworkInterfaceID, "interface")
		add(a.PrivateIPAddress, "private")
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(b.given), len(a.given)), strings.Compare(a.given, b.given))
	})
	var list []string
	for _, p := range pairs {
		list = append(list, p.given, p.name)
	}
	return strings.NewReplacer(list...)
}

// timeless deletes all times.
func timeless(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for _, name := range []string{"CreatedTime", "LaunchTime", "AttachTime"} {
			delete(v, name)
		}
		for _, value := range v {
			timeless(value)
		}
	case []any:
		for _, value := range v {
			timeless(value)
		}
	}
	return tree
}

// sorted orders all lists by what their elements are as text.
func sorted(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = sorted(value)
		}
	case []any:
		keys := make(map[int]string, len(v))
		order := make([]int, len(v))
		for i, value := range v {
			v[i] = sorted(value)
			data, err := json.Marshal(v[i])
			if err != nil {
				panic("awssim: a part of a state cannot be written: " + err.Error())
			}
			keys[i], order[i] = string(data), i
		}
		slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
		list := make([]any, len(v))
		for i, from := range order {
			list[i] = v[from]
		}
		return list
	}
	return tree
}
