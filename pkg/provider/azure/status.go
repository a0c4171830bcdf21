// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"net/netip"
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Addresses are those of public IPs and of internal frontends, by id. The zero
// value holds none; it is not safe for concurrent use.
type Addresses struct {
	byID map[string]netip.Addr
}

// Learn notes the addresses in a load balancer's or public IP's document. What
// cannot be read has none.
func (a *Addresses) Learn(doc json.RawMessage) {
	if a.byID == nil {
		a.byID = map[string]netip.Addr{}
	}
	id := idOf(doc)
	if names.Segment(id, "publicIPAddresses") != "" {
		if p, err := loadPublicIP(doc); err == nil {
			a.byID[names.Key(id)] = p.address()
		}
		return
	}
	section, err := loadSection[frontend](doc, names.Frontends)
	if err != nil {
		return
	}
	for _, f := range section.all() {
		a.byID[names.Key(names.Child(id, names.Frontends, f.Name))] = f.address()
	}
}

// LearnAll notes the addresses in all that was observed.
func (a *Addresses) LearnAll(o *Observed) {
	for _, doc := range o.LoadBalancers {
		a.Learn(doc)
	}
	for _, docs := range o.PublicIPs {
		for _, doc := range docs {
			a.Learn(doc)
		}
	}
}

// of is the address of the place; invalid when it has none yet.
func (a *Addresses) of(p *Place) netip.Addr {
	if p.PublicIP != "" {
		return a.byID[names.Key(p.PublicIP)]
	}
	return a.byID[names.Key(p.Frontend)]
}

// Status is what the status of a Service with these places shows: the address
// of each family, IPv4 first, then those that lead there from elsewhere. The
// order of had is kept when the addresses are the same.
func (a *Addresses) Status(places []Place, had *v1.LoadBalancerStatus) *v1.LoadBalancerStatus {
	var list []string
	var additional []netip.Addr
	for i := range places {
		if ip := a.of(&places[i]); ip.IsValid() {
			list = append(list, ip.String())
		}
		additional = append(additional, places[i].Additional...)
	}
	for _, ip := range additional {
		if !slices.Contains(list, ip.String()) {
			list = append(list, ip.String())
		}
	}
	if had != nil {
		var before []string
		for _, in := range had.Ingress {
			before = append(before, in.IP)
		}
		if slices.Equal(slices.Sorted(slices.Values(before)), slices.Sorted(slices.Values(list))) {
			list = before
		}
	}
	out := &v1.LoadBalancerStatus{}
	for _, ip := range list {
		out.Ingress = append(out.Ingress, v1.LoadBalancerIngress{IP: ip, IPMode: new(v1.LoadBalancerIPModeVIP)})
	}
	return out
}
