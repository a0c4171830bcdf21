// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// The documents, as far as they are read.
type (
	machineDoc struct {
		ID         string   `json:"id"`
		Name       string   `json:"name"`
		Etag       string   `json:"etag"`
		Location   string   `json:"location"`
		Zones      []string `json:"zones"`
		InstanceID string   `json:"instanceId"`
		SKU        struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			Provisioning string `json:"provisioningState"`
			Hardware     struct {
				Size string `json:"vmSize"`
			} `json:"hardwareProfile"`
			OS struct {
				Computer string `json:"computerName"`
			} `json:"osProfile"`
			ScaleSet    subResource `json:"virtualMachineScaleSet"`
			Set         subResource `json:"availabilitySet"`
			FaultDomain *int        `json:"platformFaultDomain"`
			View        viewDoc     `json:"instanceView"`
			Network     struct {
				Interfaces []struct {
					ID         string `json:"id"`
					Properties struct {
						Primary bool `json:"primary"`
					} `json:"properties"`
				} `json:"networkInterfaces"`
			} `json:"networkProfile"`
		} `json:"properties"`
	}
	viewDoc struct {
		FaultDomain *int `json:"platformFaultDomain"`
		Statuses    []struct {
			Code string `json:"code"`
		} `json:"statuses"`
	}
	scaleSetDoc struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Etag       string `json:"etag"`
		Properties struct {
			Mode    string `json:"orchestrationMode"`
			Profile struct {
				Network struct {
					Interfaces []interfaceDoc `json:"networkInterfaceConfigurations"`
				} `json:"networkProfile"`
			} `json:"virtualMachineProfile"`
		} `json:"properties"`
	}
	interfaceDoc struct {
		ID         string `json:"id"`
		Etag       string `json:"etag"`
		Properties struct {
			Primary   *bool         `json:"primary"`
			Machine   subResource   `json:"virtualMachine"`
			IPConfigs []ipConfigDoc `json:"ipConfigurations"`
		} `json:"properties"`
	}
	ipConfigDoc struct {
		Name       string `json:"name"`
		Properties struct {
			Primary  *bool         `json:"primary"`
			Version  string        `json:"privateIPAddressVersion"`
			Address  string        `json:"privateIPAddress"`
			PublicIP subResource   `json:"publicIPAddress"`
			Pools    []subResource `json:"loadBalancerBackendAddressPools"`
		} `json:"properties"`
	}
	publicIPDoc struct {
		ID         string `json:"id"`
		Properties struct {
			Address string `json:"ipAddress"`
		} `json:"properties"`
	}
	subResource struct {
		ID string `json:"id"`
	}
)

// decode reads a document that must have an id.
func decode[D any](raw json.RawMessage, id func(*D) string) (D, error) {
	var doc D
	if err := json.Unmarshal(raw, &doc); err != nil {
		return doc, fmt.Errorf("read an answer of Azure: %w", err)
	}
	if id(&doc) == "" {
		return doc, fmt.Errorf("an answer of Azure has no id: %.200s", raw)
	}
	return doc, nil
}

// parseMachine reads a virtual machine or an instance of a scale set.
func parseMachine(raw json.RawMessage) (Machine, error) {
	doc, err := decode(raw, func(d *machineDoc) string { return d.ID })
	if err != nil {
		return Machine{}, err
	}
	p := &doc.Properties
	m := Machine{
		Kind: Single, ID: doc.ID, Etag: doc.Etag, Name: doc.Name, Computer: p.OS.Computer,
		Location: doc.Location, Size: p.Hardware.Size, Zones: doc.Zones, ScaleSet: p.ScaleSet.ID, AvailabilitySet: p.Set.ID,
		Provisioning: p.Provisioning, Power: p.View.power(), FaultDomain: number(p.FaultDomain, p.View.FaultDomain), Raw: raw,
	}
	ref, ok := parseMachineID(doc.ID)
	switch {
	case !ok:
		return m, fmt.Errorf("%q is no id of a virtual machine", doc.ID)
	case ref.ScaleSet != "":
		m.Kind, m.ScaleSet = Uniform, doc.ID[:strings.LastIndex(strings.ToLower(doc.ID), "/virtualmachines/")]
		if doc.SKU.Name != "" {
			m.Size = doc.SKU.Name
		}
		return m, nil
	case m.ScaleSet != "":
		m.Kind = Flex
	}
	m.Raw = nil // nobody writes it
	at := 0
	for i, n := range p.Network.Interfaces {
		if n.Properties.Primary {
			at = i
		}
	}
	if len(p.Network.Interfaces) > 0 {
		m.Interface = p.Network.Interfaces[at].ID
	}
	return m, nil
}

// number is the first number that is given.
func number(list ...*int) string {
	for _, n := range list {
		if n != nil {
			return strconv.Itoa(*n)
		}
	}
	return ""
}

func (v *viewDoc) power() string { return v.code("PowerState/") }

// code is what follows the prefix in the statuses, in lower case.
func (v *viewDoc) code(prefix string) string {
	for _, s := range v.Statuses {
		if rest, ok := names.CutPrefix(s.Code, prefix); ok {
			return strings.ToLower(rest)
		}
	}
	return ""
}

// parseStatus reads a virtual machine of a list with statuses alone.
func parseStatus(raw json.RawMessage) (status, error) {
	doc, err := decode(raw, func(d *machineDoc) string { return d.ID })
	if err != nil {
		return status{}, err
	}
	p := &doc.Properties
	s := status{id: doc.ID, provisioning: p.Provisioning, power: p.View.power(), fault: number(p.FaultDomain, p.View.FaultDomain)}
	if s.provisioning == "" {
		s.provisioning = p.View.code("ProvisioningState/")
	}
	return s, nil
}

func parseScaleSet(raw json.RawMessage) (ScaleSet, error) {
	doc, err := decode(raw, func(d *scaleSetDoc) string { return d.ID })
	if err != nil {
		return ScaleSet{}, err
	}
	nets := doc.Properties.Profile.Network.Interfaces
	s := ScaleSet{ID: doc.ID, Etag: doc.Etag, Name: doc.Name, Kind: Uniform, Raw: raw, hasNets: len(nets) > 0}
	if strings.EqualFold(doc.Properties.Mode, "Flexible") {
		s.Kind = Flex
	}
	for _, n := range nets {
		for _, c := range n.Properties.IPConfigs {
			s.Pools = append(s.Pools, c.pools()...)
		}
	}
	return s, nil
}

// parseInterface reads a network interface, of a scale set's instance too.
func parseInterface(raw json.RawMessage) (Interface, error) {
	doc, err := decode(raw, func(d *interfaceDoc) string { return d.ID })
	if err != nil {
		return Interface{}, err
	}
	return Interface{
		ID: doc.ID, Etag: doc.Etag, Machine: doc.Properties.Machine.ID, Primary: doc.Properties.Primary != nil && *doc.Properties.Primary,
		IPConfigs: doc.ipConfigs(), Raw: raw,
	}, nil
}

func (d *interfaceDoc) ipConfigs() []IPConfig {
	out := make([]IPConfig, 0, len(d.Properties.IPConfigs))
	for _, c := range d.Properties.IPConfigs {
		out = append(out, c.parse())
	}
	return out
}

func (c *ipConfigDoc) parse() IPConfig {
	p := &c.Properties
	out := IPConfig{Name: c.Name, Family: intent.V4, Primary: p.Primary != nil && *p.Primary, PublicIP: p.PublicIP.ID, Pools: c.pools()}
	if strings.EqualFold(p.Version, "IPv6") {
		out.Family = intent.V6
	}
	if a, err := netip.ParseAddr(p.Address); err == nil {
		out.Address = a.Unmap()
		out.Family = intent.FamilyOf(out.Address)
	}
	return out
}

func (c *ipConfigDoc) pools() []string {
	var out []string
	for _, p := range c.Properties.Pools {
		out = append(out, p.ID)
	}
	return out
}

func parsePublicIP(raw json.RawMessage) (publicIP, error) {
	doc, err := decode(raw, func(d *publicIPDoc) string { return d.ID })
	if err != nil {
		return publicIP{}, err
	}
	a, err := netip.ParseAddr(doc.Properties.Address)
	if err != nil {
		return publicIP{id: doc.ID}, nil //nolint:nilerr // one without an address has none to give
	}
	return publicIP{doc.ID, a.Unmap()}, nil
}
