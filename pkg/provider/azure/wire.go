// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// The types below are the parts of Azure's documents that decisions depend
// on. They are only read: documents are edited in their raw form.

type reference struct {
	ID string `json:"id"`
}

func (r *reference) id() string {
	if r == nil {
		return ""
	}
	return r.ID
}

// header is what all resources have.
type header struct {
	ID   string            `json:"id"`
	Name string            `json:"name"`
	Etag string            `json:"etag"`
	Tags map[string]string `json:"tags"`
	SKU  struct {
		Name string `json:"name"`
	} `json:"sku"`
}

type frontend struct {
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	Zones      []string `json:"zones"`
	Properties struct {
		PublicIPAddress         *reference `json:"publicIPAddress"`
		Subnet                  *reference `json:"subnet"`
		PrivateIPAddress        string     `json:"privateIPAddress"`
		PrivateIPAddressVersion string     `json:"privateIPAddressVersion"`
	} `json:"properties"`
}

// address is the private address; invalid for none.
func (f *frontend) address() netip.Addr { return parseAddr(f.Properties.PrivateIPAddress) }

type pool struct {
	Name       string `json:"name"`
	Properties struct {
		Addresses               []poolAddress `json:"loadBalancerBackendAddresses"`
		VirtualNetwork          *reference    `json:"virtualNetwork"`
		BackendIPConfigurations []reference   `json:"backendIPConfigurations"`
	} `json:"properties"`
}

type poolAddress struct {
	Name       string `json:"name"`
	Properties struct {
		IPAddress string `json:"ipAddress"`
	} `json:"properties"`
}

type rule struct {
	Name       string `json:"name"`
	Properties struct {
		Protocol                string     `json:"protocol"`
		FrontendIPConfiguration *reference `json:"frontendIPConfiguration"`
		BackendAddressPool      *reference `json:"backendAddressPool"`
		Probe                   *reference `json:"probe"`
		FrontendPort            int        `json:"frontendPort"`
		BackendPort             int        `json:"backendPort"`
		EnableFloatingIP        *bool      `json:"enableFloatingIP"`
		EnableTCPReset          *bool      `json:"enableTcpReset"`
		DisableOutboundSnat     *bool      `json:"disableOutboundSnat"`
		IdleTimeoutInMinutes    *int       `json:"idleTimeoutInMinutes"`
		LoadDistribution        string     `json:"loadDistribution"`
	} `json:"properties"`
}

type probe struct {
	Name       string `json:"name"`
	Properties struct {
		Protocol          string `json:"protocol"`
		Port              int    `json:"port"`
		RequestPath       string `json:"requestPath"`
		IntervalInSeconds int    `json:"intervalInSeconds"`
		ProbeThreshold    int    `json:"probeThreshold"`
	} `json:"properties"`
}

// foreignRule is an outbound rule, an inbound NAT rule or an inbound NAT pool:
// what may use a frontend beside load-balancing rules.
type foreignRule struct {
	Name       string `json:"name"`
	Properties struct {
		FrontendIPConfiguration  *reference  `json:"frontendIPConfiguration"`
		FrontendIPConfigurations []reference `json:"frontendIPConfigurations"`
		Protocol                 string      `json:"protocol"`
		FrontendPort             int         `json:"frontendPort"`
		FrontendPortRangeStart   int         `json:"frontendPortRangeStart"`
		FrontendPortRangeEnd     int         `json:"frontendPortRangeEnd"`
	} `json:"properties"`
}

func (r *foreignRule) uses(frontendID string) bool {
	if names.Same(r.Properties.FrontendIPConfiguration.id(), frontendID) {
		return true
	}
	for _, f := range r.Properties.FrontendIPConfigurations {
		if names.Same(f.ID, frontendID) {
			return true
		}
	}
	return false
}

// takes reports whether an inbound NAT rule or pool listens on the port.
func (r *foreignRule) takes(protocol string, port int) bool {
	p := &r.Properties
	if !names.Same(p.Protocol, protocol) && !names.Same(p.Protocol, "All") && !names.Same(protocol, "All") {
		return false
	}
	if p.FrontendPortRangeStart != 0 {
		return p.FrontendPortRangeStart <= port && port <= p.FrontendPortRangeEnd
	}
	return p.FrontendPort == port && port != 0
}

type publicIPDocument struct {
	header
	Properties struct {
		IPAddress              string     `json:"ipAddress"`
		PublicIPAddressVersion string     `json:"publicIPAddressVersion"`
		IPConfiguration        *reference `json:"ipConfiguration"`
		DNSSettings            *struct {
			DomainNameLabel string `json:"domainNameLabel"`
		} `json:"dnsSettings"`
		IPTags []ipTag `json:"ipTags"`
	} `json:"properties"`
}

type ipTag struct {
	Type string `json:"ipTagType"`
	Tag  string `json:"tag"`
}

type securityRule struct {
	Name       string `json:"name"`
	Properties struct {
		Protocol                   string   `json:"protocol"`
		Access                     string   `json:"access"`
		Direction                  string   `json:"direction"`
		Priority                   int      `json:"priority"`
		SourcePortRange            string   `json:"sourcePortRange"`
		SourceAddressPrefix        string   `json:"sourceAddressPrefix"`
		SourceAddressPrefixes      []string `json:"sourceAddressPrefixes"`
		DestinationAddressPrefix   string   `json:"destinationAddressPrefix"`
		DestinationAddressPrefixes []string `json:"destinationAddressPrefixes"`
		DestinationPortRange       string   `json:"destinationPortRange"`
		DestinationPortRanges      []string `json:"destinationPortRanges"`
		DestinationGroups          []struct {
			ID string `json:"id"`
		} `json:"destinationApplicationSecurityGroups"`
	} `json:"properties"`
}

type subnetDocument struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Properties struct {
		AddressPrefix   string   `json:"addressPrefix"`
		AddressPrefixes []string `json:"addressPrefixes"`
	} `json:"properties"`
}

// holds reports whether the address is in the subnet.
func (s *subnetDocument) holds(a netip.Addr) bool {
	for _, text := range append([]string{s.Properties.AddressPrefix}, s.Properties.AddressPrefixes...) {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr is the address, unmapped; invalid when text is none.
func parseAddr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// version is the family in Azure's words, which are those of Kubernetes.
func version(f intent.Family) string { return f.String() }

// section is one list of a document: each element raw, and decoded as T.
type section[T any] struct {
	list document.List
	seen map[string]*T // by names.Key of the name
}

func loadSection[T any](doc json.RawMessage, key string) (section[T], error) {
	s := section[T]{seen: map[string]*T{}}
	list, err := document.ListAt(doc, "properties", key)
	if err != nil {
		return s, err
	}
	s.list = list
	for _, e := range list.Elements() {
		v := new(T)
		if err := json.Unmarshal(e.Raw, v); err != nil {
			return s, fmt.Errorf("%s %s: %w", key, e.Name, err)
		}
		s.seen[names.Key(e.Name)] = v
	}
	return s, nil
}

func (s *section[T]) get(name string) (*T, bool) {
	v, ok := s.seen[names.Key(name)]
	return v, ok
}

// all are the elements in their order.
func (s *section[T]) all() []*T {
	out := make([]*T, 0, s.list.Len())
	for _, e := range s.list.Elements() {
		out = append(out, s.seen[names.Key(e.Name)])
	}
	return out
}

// raw is the element as written; an object with the name alone for none.
func (s *section[T]) raw(name string) json.RawMessage {
	if e, ok := s.list.Find(name); ok {
		return e.Raw
	}
	return object(field{"name", name})
}

// put adds or replaces the element.
func (s *section[T]) put(name string, raw json.RawMessage) {
	v := new(T)
	must(json.Unmarshal(raw, v))
	if s.seen == nil {
		s.seen = map[string]*T{}
	}
	s.seen[names.Key(name)] = v
	s.list.Put(document.Element{Name: name, Raw: raw})
}

func (s *section[T]) remove(name string) {
	delete(s.seen, names.Key(name))
	s.list.Remove(name)
}

// save is the document with the section as it is now.
func (s *section[T]) save(doc json.RawMessage, key string) json.RawMessage {
	if !s.list.Changed() {
		return doc
	}
	return set(doc, s.list.JSON(), "properties", key)
}

// field is a key and the value that is written there.
type field struct {
	name  string
	value any
}

// object is a JSON object with the fields in this order.
func object(fields ...field) json.RawMessage {
	doc := json.RawMessage(`{}`)
	for _, f := range fields {
		doc = set(doc, f.value, f.name)
	}
	return doc
}

// set is document.Set for a document that was read as an object before.
func set(doc json.RawMessage, value any, path ...string) json.RawMessage {
	raw, written := value.(json.RawMessage)
	if !written {
		var err error
		raw, err = json.Marshal(value)
		must(err)
	}
	out, err := document.Set(doc, raw, path...)
	must(err)
	return out
}

func unset(doc json.RawMessage, path ...string) json.RawMessage {
	out, err := document.Remove(doc, path...)
	must(err)
	return out
}

// must ends what cannot go on: every document here was parsed before, and
// every value is one of our own types.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
