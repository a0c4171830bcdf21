// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// errListDenied stands for a call that was denied lately and not made again.
func errListDenied() error {
	return &plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("list the states of virtual machines: denied lately; grant Microsoft.Compute/virtualMachines/read on the subscription")}
}

// addresses are the private and public addresses of the machine's primary
// network interface, one of each family, and the name of the node.
func (r *Reader) addresses(ctx context.Context, node *v1.Node, m *Machine) ([]v1.NodeAddress, error) {
	nic, err := r.primary(ctx, m)
	if err != nil {
		return nil, err
	}
	if nic == nil {
		return nil, fmt.Errorf("node %s: no network interface of %s is listed; it may be new, and is asked for again, else see whether the identity may read it", node.Name, m.ID)
	}
	var inside, outside []v1.NodeAddress
	for _, f := range []intent.Family{intent.V4, intent.V6} {
		c, ok := nic.main(f)
		if !ok || !c.Address.IsValid() {
			continue
		}
		inside = append(inside, v1.NodeAddress{Type: v1.NodeInternalIP, Address: c.Address.String()})
		public, err := r.public(ctx, m, c.PublicIP)
		if err != nil {
			return nil, err
		}
		if public.IsValid() {
			outside = append(outside, v1.NodeAddress{Type: v1.NodeExternalIP, Address: public.String()})
		}
	}
	if len(inside) == 0 {
		return nil, fmt.Errorf("node %s: network interface %s has no private address yet", node.Name, nic.ID)
	}
	inside = append(inside, v1.NodeAddress{Type: v1.NodeHostName, Address: node.Name})
	return append(inside, outside...), nil
}

// primary is the primary network interface of the machine; nil when it is not
// listed.
func (r *Reader) primary(ctx context.Context, m *Machine) (*Interface, error) {
	c, ok := interfacesFor(m)
	if !ok {
		return nil, nil //nolint:nilnil // a machine without an interface has none
	}
	for _, notBefore := range r.ages() {
		list, err := r.interfaces.get(ctx, c, notBefore)
		if err != nil {
			return nil, err
		}
		if nic := primaryOf(m, list.items); nic != nil {
			return nic, nil
		}
	}
	return nil, nil //nolint:nilnil // not listed, which is no error here
}

// interfacesFor is the collection that the machine's interfaces are in.
func interfacesFor(m *Machine) (collection, bool) {
	if m.Kind == Uniform {
		return collection{path: strings.ToLower(m.ScaleSet) + "/networkInterfaces"}, true
	}
	g, ok := groupOf(m.Interface)
	return interfacesOf(g), ok
}

// primaryOf is the primary one among the interfaces of the machine.
func primaryOf(m *Machine, all []Interface) *Interface {
	if m.Kind != Uniform {
		return pick(all, func(n *Interface) bool { return strings.EqualFold(n.ID, m.Interface) })
	}
	var found *Interface
	for i := range all {
		n := &all[i]
		if strings.EqualFold(n.Machine, m.ID) && (found == nil || n.Primary) {
			found = n
		}
	}
	return found
}

// public is the address of a public IP of the machine; invalid when it has
// none.
func (r *Reader) public(ctx context.Context, m *Machine, id string) (netip.Addr, error) {
	if id == "" {
		return netip.Addr{}, nil
	}
	c := collection{path: strings.ToLower(m.ScaleSet) + "/publicIPAddresses"}
	if m.Kind != Uniform {
		g, ok := groupOf(id)
		if !ok {
			return netip.Addr{}, fmt.Errorf("network interface of %s: %q is no id of a public IP", m.ID, id)
		}
		c = publicIPsOf(g)
	}
	for _, notBefore := range r.ages() {
		list, err := r.publicIPs.get(ctx, c, notBefore)
		if err != nil {
			return netip.Addr{}, err
		}
		if p := pick(list.items, func(p *publicIP) bool { return strings.EqualFold(p.id, id) }); p != nil {
			return p.address, nil
		}
	}
	return netip.Addr{}, nil
}
