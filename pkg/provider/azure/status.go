// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
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

// Fragments are what there is of a Service in what was observed: its places,
// and whether anything at all remains, such as a public IP or a rule.
func Fragments(s *Settings, o *Observed, svc *v1.Service) ([]Place, bool, error) {
	w, err := newWorld(&Input{Settings: s, Observed: o})
	if err != nil {
		return nil, false, err
	}
	base := names.Base(svc.UID)
	var places []Place
	remains := false
	for _, b := range w.sortedBalancers() {
		ids := map[string]bool{}
		for _, f := range b.frontends.all() {
			if names.Owns(base, f.Name) {
				remains, ids[names.Key(f.Name)] = true, true
			}
		}
		for _, r := range b.rules.all() {
			if names.Owns(base, r.Name) {
				remains, ids[names.Key(names.Last(r.Properties.FrontendIPConfiguration.id()))] = true, true
			}
		}
		for _, f := range b.frontends.all() {
			if ids[names.Key(f.Name)] {
				places = append(places, w.place(b, f))
			}
		}
	}
	if w.group != nil {
		remains = remains || w.group.leadsAstray(statusOf(svc), w)
	}
	for _, p := range w.publicIPs {
		remains = remains || p.taggedFor(svc.Namespace+"/"+svc.Name, s.Cluster)
	}
	slices.SortStableFunc(places, func(x, y Place) int { return int(x.Family) - int(y.Family) })
	if len(places) > 0 {
		places[0].Additional = additionalOf(svc)
	}
	return places, remains, nil
}

// leadsAstray reports whether a rule of ours lets clients to one of the
// addresses, which no frontend has any more.
func (g *securityGroup) leadsAstray(list []netip.Addr, w *world) bool {
	gone := map[string]bool{}
	for _, ip := range list {
		gone[ip.String()] = true
	}
	for _, b := range w.balancers {
		for _, f := range b.frontends.all() {
			delete(gone, f.address().String())
			if p, ok := w.publicIPs[names.Key(f.Properties.PublicIPAddress.id())]; ok {
				delete(gone, p.address().String())
			}
		}
	}
	for _, r := range g.own {
		for _, d := range r.destinations {
			if gone[destinationKey(d)] {
				return true
			}
		}
	}
	return false
}

func (w *world) place(b *balancer, f *frontend) Place {
	p := Place{Family: intent.V4, LoadBalancer: b.ID, Frontend: b.frontendID(f.Name)}
	if ip := f.address(); ip.IsValid() {
		p.Family = intent.FamilyOf(ip)
	}
	if f.Properties.PublicIPAddress != nil {
		p.PublicIP = f.Properties.PublicIPAddress.ID
		if pip, ok := w.publicIPs[names.Key(p.PublicIP)]; ok {
			p.Family = pip.family()
		}
	}
	return p
}

func describeRule(r *rule) string {
	return fmt.Sprintf("%s %d to %d", r.Properties.Protocol, r.Properties.FrontendPort, r.Properties.BackendPort)
}

func describeProbe(p *probe) string {
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", p.Properties.Protocol, p.Properties.Port, p.Properties.RequestPath))
}
