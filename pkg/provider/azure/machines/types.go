// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
)

// Kind is how a machine came to be. The zero value is none.
type Kind uint8

// The kinds.
const (
	Single  Kind = iota + 1 // a machine of its own, or of an availability set
	Flex                    // a machine of a flexible scale set
	Uniform                 // an instance of a uniform scale set
)

// Machine is a virtual machine.
type Machine struct {
	Kind     Kind
	ID       string // as Azure writes it
	Etag     string
	Name     string // of the resource
	Computer string // the host name; empty when it is not known
	Location string
	Size     string // such as Standard_D4s_v5
	Zones    []string
	ScaleSet string // id; empty for none
	// AvailabilitySet is an id; empty for none.
	AvailabilitySet string
	Interface       string // id of the primary network interface; empty in a uniform scale set
	// FaultDomain is a number; empty when it is not known.
	FaultDomain string
	// Provisioning is the state of its last change, such as Succeeded.
	Provisioning string
	// Power is the state behind PowerState/, in lower case, such as running;
	// empty when it is not known.
	Power string
	Raw   json.RawMessage // of a uniform scale set's instance; nil for others
}

// Set is the id of the scale set or availability set; empty for none.
func (m *Machine) Set() string { return cmp.Or(m.ScaleSet, m.AvailabilitySet) }

// isNode reports whether the machine is that of the node with that name.
func (m *Machine) isNode(name string) bool {
	if m.Kind == Single || m.Computer == "" {
		return strings.EqualFold(m.Name, name)
	}
	return strings.EqualFold(m.Computer, name)
}

// off reports whether the machine is switched off, or about to be.
func (m *Machine) off() bool {
	switch m.Power {
	case "stopped", "stopping", "deallocated", "deallocating":
		return true
	}
	return false
}

// deleting reports whether the machine is being deleted.
func (m *Machine) deleting() bool { return strings.EqualFold(m.Provisioning, "Deleting") }

// ScaleSet is a virtual machine scale set.
type ScaleSet struct {
	ID      string // as Azure writes it
	Etag    string
	Name    string
	Kind    Kind // Uniform or Flex
	Pools   []string
	Raw     json.RawMessage
	hasNets bool // whether the model has network interfaces
}

// Interface is a network interface.
type Interface struct {
	ID        string // as Azure writes it
	Etag      string
	Machine   string // id; empty for none
	Primary   bool
	IPConfigs []IPConfig
	Raw       json.RawMessage
}

// IPConfig is an address of a network interface.
type IPConfig struct {
	Name     string
	Family   intent.Family
	Primary  bool
	Address  netip.Addr // the private one; invalid when there is none yet
	PublicIP string     // id; empty for none
	Pools    []string   // ids
}

// main is the configuration that carries the node's address of the family:
// the primary one of IPv4, where there are several for the pods too.
func (i *Interface) main(f intent.Family) (IPConfig, bool) {
	return mainOf(i.IPConfigs, f)
}

func mainOf(configs []IPConfig, f intent.Family) (IPConfig, bool) {
	at := slices.IndexFunc(configs, func(c IPConfig) bool { return c.Family == f && c.Primary })
	if at < 0 {
		at = slices.IndexFunc(configs, func(c IPConfig) bool { return c.Family == f })
	}
	if at < 0 {
		return IPConfig{}, false
	}
	return configs[at], true
}

// publicIP is a public IP address of a machine.
type publicIP struct {
	id      string
	address netip.Addr
}

// status is what a machine does, by its id.
type status struct {
	id                         string
	provisioning, power, fault string
}
