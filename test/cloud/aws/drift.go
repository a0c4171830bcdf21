// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Pod gives a machine one more address, as the VPC's network plugin does for a
// pod, and returns it.
func (c *Cloud) Pod(id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.instances.get(id)
	if m == nil || len(m.NetworkInterfaces) == 0 {
		return "", fmt.Errorf("no machine %q with an interface", id)
	}
	s := c.subnets.get(m.SubnetID)
	a := c.freeAddress(s, s.prefix()).String()
	c.instances.edit(id, c.now(), func(m *instance) {
		n := &m.NetworkInterfaces[0]
		n.PrivateIPAddresses = append(n.PrivateIPAddresses, privateAddress{PrivateIPAddress: a})
	})
	return a, nil
}

// Interface makes an attached interface without a machine, as Fargate does for
// a pod, in the first private subnet, and returns its address.
func (s *Site) Interface(groups ...string) string {
	c := s.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	sn := c.subnets.get(s.Private[0])
	a := c.freeAddress(sn, sn.prefix()).String()
	n := &networkInterface{
		NetworkInterfaceID: c.newID("eni"), OwnerID: c.account, AvailabilityZone: sn.AvailabilityZone,
		Description: "fargate", InterfaceType: "interface", Status: "in-use", SubnetID: sn.SubnetID, VPCID: s.VPC,
		Groups: c.named(groups), PrivateIPAddress: a, PrivateDNSName: c.dnsName(a), SourceDestCheck: true,
		PrivateIPAddresses: []privateAddress{{Primary: true, PrivateIPAddress: a}},
		Attachment:         &nicAttachment{AttachmentID: c.newID("eni-attach"), DeviceIndex: 1, Status: "attached"},
	}
	c.nics.put(n.NetworkInterfaceID, n, c.now())
	return a
}

// Address makes an elastic IP without judging quotas, and returns its id.
func (c *Cloud) Address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.newAddress()
	c.addresses.put(a.AllocationID, a, c.now())
	return a.AllocationID
}

// SetPower sets the state of a machine, such as running, stopped or terminated. One that
// is terminated loses its interfaces and is a target no longer.
func (c *Cloud) SetPower(id, state string) error {
	codes := map[string]int{"pending": 0, running: 16, "shutting-down": 32, terminated: 48, "stopping": 64, "stopped": 80}
	code, ok := codes[state]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instances.get(id) == nil || !ok {
		return fmt.Errorf("no machine %q or no state %q", id, state)
	}
	for _, a := range c.addresses.all() {
		if state == terminated && a.InstanceID == id {
			c.dissociate(a)
		}
	}
	c.instances.edit(id, c.now(), func(m *instance) {
		m.State = powerState{Code: code, Name: state}
		if state == terminated {
			m.NetworkInterfaces, m.PrivateIPAddress, m.SubnetID, m.VPCID = nil, "", "", ""
			m.PrivateDNSName, m.SecurityGroups, m.Ipv6Address = "", nil, ""
		}
	})
	if state == terminated {
		c.forgetTarget(id)
	}
	return nil
}

// forgetTarget takes a machine out of all load balancers.
func (c *Cloud) forgetTarget(id string) {
	for _, b := range c.classics.all() {
		if slices.Contains(b.Instances, instanceRef{InstanceID: id}) {
			c.classics.edit(b.LoadBalancerName, c.now(), func(b *classic) {
				b.Instances = slices.DeleteFunc(b.Instances, func(r instanceRef) bool { return r.InstanceID == id })
			})
		}
	}
	for _, g := range c.targets.all() {
		if slices.ContainsFunc(g.Targets, func(t target) bool { return t.ID == id }) {
			c.targets.edit(g.TargetGroupArn, c.now(), func(g *targetGroup) {
				g.Targets = slices.DeleteFunc(g.Targets, func(t target) bool { return t.ID == id })
			})
		}
	}
}

// Forget lets a machine be known no longer, as a terminated one after an hour.
func (c *Cloud) Forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetTarget(id)
	c.instances.remove(id, c.now())
}

// SetTopology gives a machine a type, and network nodes that
// DescribeInstanceTopology tells.
func (c *Cloud) SetTopology(id, instanceType string, nodes ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instances.get(id) == nil {
		return fmt.Errorf("no machine %q", id)
	}
	c.instances.edit(id, c.now(), func(m *instance) { m.InstanceType, m.Topology = instanceType, nodes })
	return nil
}

// Apply runs an action behind everybody's back: at once, with no faults, hooks
// and counts, such as Apply("elbv2.DeleteListener", url.Values{"ListenerArn": {arn}}).
// The form has the names of the wire. It is for drift.
func (c *Cloud) Apply(api string, form url.Values) error {
	run := c.actions[api]
	if run == nil {
		return fmt.Errorf("no action %q", api)
	}
	service, name, _ := strings.Cut(api, ".")
	_, refused := c.run(run, &Call{Service: Service(service), Action: name}, form)
	if refused != nil {
		return refused
	}
	return nil
}
