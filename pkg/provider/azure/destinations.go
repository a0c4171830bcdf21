// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// cleaned are the destinations that are the Service's to give up: those that
// it has now, and when it goes or has other ones than before, those that it had.
func (t *turn) cleaned(a *ask) map[string]bool {
	out := map[string]bool{}
	add := func(list ...netip.Addr) {
		for _, ip := range list {
			if ip.IsValid() {
				out[ip.String()] = true
			}
		}
	}
	for _, list := range a.destinations {
		for _, d := range list {
			out[destinationKey(d)] = true
		}
	}
	if a.serve() && !a.edited() && !t.moved(a) {
		return out
	}
	add(statusOf(a.item.Service)...)
	add(additionalOf(a.item.Service)...)
	add(t.addressesBefore(a)...)
	if noFloating(a.item.Service) {
		for _, n := range t.observed.Nodes {
			add(internalIPs(n)...)
		}
	}
	return out
}

// moved reports whether the status shows an address that the Service has no
// more: it was edited while no controller was there, or one has ended between
// its writes.
func (t *turn) moved(a *ask) bool {
	now := additionalOf(a.item.Service)
	for _, fr := range a.fronts {
		now = append(now, t.frontAddress(fr))
	}
	return slices.ContainsFunc(a.statusAddresses(), func(ip netip.Addr) bool { return !slices.Contains(now, ip) })
}

// addressesBefore are those of the frontends that bore the Service's name
// when the cloud was observed, and of the public IPs made for it alone.
func (t *turn) addressesBefore(a *ask) []netip.Addr {
	out := slices.Clone(t.before[a.base])
	for _, p := range t.tagged[names.Key(a.service())] {
		if !strings.Contains(p.serviceTag(), ",") && a.madeFor(p) {
			out = append(out, p.address())
		}
	}
	return out
}

// portsOfOthers are the ports of the Services outside the batch, by
// destination and protocol.
func (t *turn) portsOfOthers() map[string]map[string]map[uint16]bool {
	out := map[string]map[string]map[uint16]bool{}
	for _, svc := range t.others {
		for _, d := range t.destinationsOfOther(svc) {
			key := d.String()
			for protocol, ports := range securityPorts(svc) {
				if out[key] == nil {
					out[key] = map[string]map[uint16]bool{}
				}
				if out[key][protocol] == nil {
					out[key][protocol] = map[uint16]bool{}
				}
				for _, p := range ports {
					out[key][protocol][p] = true
				}
			}
		}
	}
	return out
}

func (t *turn) destinationsOfOther(svc *v1.Service) []netip.Addr {
	out := append(statusOf(svc), additionalOf(svc)...)
	out = append(out, t.before[names.Base(svc.UID)]...)
	on := svc.Annotations[intent.KeyAzureNoSecurityRules]
	if noFloating(svc) && !strings.EqualFold(strings.TrimSpace(on), "true") {
		for _, n := range t.observed.Nodes {
			out = append(out, internalIPs(n)...)
		}
	}
	return out
}

// destinationsAlive are all addresses that may lead to a Service.
func (t *turn) destinationsAlive() map[string]bool {
	out := map[string]bool{}
	add := func(list ...netip.Addr) {
		for _, ip := range list {
			if ip.IsValid() {
				out[ip.String()] = true
			}
		}
	}
	moved := map[plan.Key]bool{}
	for _, a := range t.asks {
		moved[a.key] = a.serve() && t.moved(a)
	}
	for _, svc := range t.observed.Services {
		if !moved[provider.KeyOf(svc)] {
			add(statusOf(svc)...)
		}
		add(additionalOf(svc)...)
	}
	for _, n := range t.observed.Nodes {
		if !unmanaged(n) {
			add(internalIPs(n)...)
		}
	}
	for _, b := range t.sortedBalancers() {
		for _, f := range b.frontends.all() {
			add(f.address())
			if p, ok := t.publicIPs[names.Key(f.Properties.PublicIPAddress.id())]; ok {
				add(p.address())
			}
		}
	}
	for _, a := range t.asks {
		for _, list := range a.destinations {
			for _, d := range list {
				out[destinationKey(d)] = true
			}
		}
	}
	return out
}

// frontsBefore are the addresses of frontends by the base name of the Service
// that they bear.
func (w *world) frontsBefore(bases map[string]plan.Key) map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for _, b := range w.sortedBalancers() {
		for _, f := range b.frontends.all() {
			if !names.IsBase(f.Name) {
				continue
			}
			base := strings.ToLower(f.Name[:min(len(f.Name), names.BaseLen)])
			if _, known := bases[base]; !known {
				continue
			}
			ip := f.address()
			if p, ok := w.publicIPs[names.Key(f.Properties.PublicIPAddress.id())]; ok {
				ip = p.address()
			}
			out[base] = append(out[base], ip)
		}
	}
	return out
}
