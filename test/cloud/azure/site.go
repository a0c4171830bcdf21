// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/netip"
	"strings"
)

// SiteOptions say what an installer has made. The zero value is a site named
// rig for one family.
type SiteOptions struct {
	// Group is the resource group, and the stem of all names; rig if empty.
	Group string
	// Prefixes of the subnet, one for each family; 10.240.0.0/20 if none.
	Prefixes []netip.Prefix
}

// Site is what stands before a controller comes: a virtual network with one
// subnet, a security group and a route table.
type Site struct {
	cloud *Cloud
	// Group is the resource group.
	Group string
	// Network, Subnet, SecurityGroup and RouteTable are ids.
	Network, Subnet, SecurityGroup, RouteTable string
	families                                   []string
}

// NewSite makes a site.
func (c *Cloud) NewSite(o SiteOptions) (*Site, error) {
	if o.Group == "" {
		o.Group = "rig"
	}
	if len(o.Prefixes) == 0 {
		o.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.240.0.0/20")}
	}
	c.AddGroup(o.Group)
	s := &Site{
		cloud: c, Group: o.Group,
		Network:       c.ID(o.Group, VirtualNetworks, o.Group+"-vnet"),
		Subnet:        c.ID(o.Group, Subnets, o.Group+"-vnet", o.Group+"-subnet"),
		SecurityGroup: c.ID(o.Group, SecurityGroups, o.Group+"-nsg"),
		RouteTable:    c.ID(o.Group, RouteTables, o.Group+"-routes"),
	}
	space, own := []any{}, []any{}
	for _, prefix := range o.Prefixes {
		wide := netip.PrefixFrom(prefix.Addr(), max(prefix.Bits()-16, 16)).Masked()
		if prefix.Addr().Is4() {
			wide = netip.PrefixFrom(prefix.Addr(), min(prefix.Bits(), 16)).Masked()
		}
		space, own = append(space, wide.String()), append(own, prefix.String())
		family := "IPv4"
		if prefix.Addr().Is6() {
			family = "IPv6"
		}
		s.families = append(s.families, family)
	}
	return s, s.make(space, own)
}

func (s *Site) make(space, own []any) error {
	at := object{"location": s.cloud.location}
	if _, err := s.cloud.Make(s.SecurityGroup, at); err != nil {
		return err
	}
	if _, err := s.cloud.Make(s.RouteTable, at); err != nil {
		return err
	}
	subnet := object{
		"networkSecurityGroup": object{"id": s.SecurityGroup}, "routeTable": object{"id": s.RouteTable},
	}
	if subnet["addressPrefixes"] = own; len(own) == 1 {
		delete(subnet, "addressPrefixes")
		subnet["addressPrefix"] = own[0]
	}
	_, err := s.cloud.Make(s.Network, object{
		"location": s.cloud.location,
		"properties": object{
			"addressSpace": object{"addressPrefixes": space},
			"subnets":      []any{object{"name": last(s.Subnet), "properties": subnet}},
		},
	})
	return err
}

// ipConfigurations of an interface in the site's subnet, one for each family.
func (s *Site) ipConfigurations() []any {
	configs := make([]any, len(s.families))
	for i, family := range s.families {
		configs[i] = object{
			"name": fmt.Sprintf("ipconfig%d", i+1),
			"properties": object{
				"primary": i == 0, "privateIPAddressVersion": family, "subnet": object{"id": s.Subnet},
			},
		}
	}
	return configs
}

// model is the profile of a scale set's machines.
func (s *Site) model(name string) object {
	return object{
		"osProfile": object{"computerNamePrefix": name},
		"networkProfile": object{"networkInterfaceConfigurations": []any{object{
			"name": name,
			"properties": object{
				"primary": true, "enableIPForwarding": true, "ipConfigurations": s.ipConfigurations(),
			},
		}}},
	}
}

// machineSize is the size of all machines of a site.
const machineSize = "Standard_D4s_v5"

// scaleSet stores a scale set without instances.
func (s *Site) scaleSet(name, mode string, capacity int) *resource {
	c := s.cloud
	r := &resource{id: c.ID(s.Group, ScaleSets, name), kind: c.kinds[key(ScaleSets)]}
	c.commit(r, object{
		"name": name, "id": r.id, "type": ScaleSets, "location": c.location,
		"sku": object{"name": machineSize, "tier": "Standard", "capacity": jsonNumber(capacity)},
		"properties": object{
			"orchestrationMode": mode, "provisioningState": succeeded, "uniqueId": c.guid(),
			"virtualMachineProfile": s.model(name),
		},
	})
	return r
}

// UniformScaleSet makes a uniform scale set with n instances and returns its
// id. Instance i is called NAME_i and has the computer name NAME and six digits.
func (s *Site) UniformScaleSet(name string, n int) string {
	c := s.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.batch()()
	r := s.scaleSet(name, "Uniform", n)
	completeScaleSet(c, r)
	return r.id
}

// FlexScaleSet makes a flexible scale set with n machines, each with an
// interface of its own, and returns its id.
func (s *Site) FlexScaleSet(name string, n int) (string, error) {
	c := s.cloud
	c.mu.Lock()
	id := s.scaleSet(name, "Flexible", n).id
	c.mu.Unlock()
	_, err := s.machines(name, n, object{"virtualMachineScaleSet": object{"id": id}})
	return id, err
}

// Machines makes n single machines, each with an interface of its own called
// after it, and returns their ids. They are called PREFIX and six digits.
func (s *Site) Machines(prefix string, n int) ([]string, error) {
	return s.machines(prefix, n, object{})
}

func (s *Site) machines(prefix string, n int, extra object) ([]string, error) {
	c := s.cloud
	ids := make([]string, n)
	c.mu.Lock()
	flush := c.batch()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		flush()
	}()
	for i := range n {
		name := computerName(prefix, i)
		nic := c.ID(s.Group, Interfaces, name+"-nic")
		if _, err := c.Make(nic, object{
			"location": c.location,
			"properties": object{
				"enableIPForwarding": true, "ipConfigurations": s.ipConfigurations(),
			},
		}); err != nil {
			return nil, err
		}
		ids[i] = c.ID(s.Group, Machines, name)
		c.addMachine(ids[i], nic, extra)
	}
	return ids, nil
}

// addMachine stores a machine with one interface.
func (c *Cloud) addMachine(id, nic string, extra object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &resource{id: id, kind: c.kinds[key(Machines)], power: "running"}
	name := last(id)
	props := merge(object{
		"hardwareProfile": object{"vmSize": machineSize},
		"osProfile":       object{"computerName": strings.ToLower(name)},
		"networkProfile": object{"networkInterfaces": []any{
			object{"id": nic, "properties": object{"primary": true}},
		}},
		"provisioningState": succeeded, "vmId": c.guid(),
	}, clone(extra))
	c.commit(r, object{
		"name": name, "id": id, "type": Machines, "location": c.location, "properties": props,
	})
}

// Scale sets the capacity of a uniform scale set as the autoscaler would: new
// instances join the pools of the model, and the last ones go.
func (c *Cloud) Scale(set string, capacity int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.resources[key(set)]
	if r == nil || r.kind.name != ScaleSets {
		return fmt.Errorf("no scale set %q", set)
	}
	defer c.batch()()
	ensure(r.doc, "sku")["capacity"] = jsonNumber(capacity)
	c.touch(r)
	completeScaleSet(c, r)
	return nil
}
