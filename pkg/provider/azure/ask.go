// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// ask is what one Service of the batch asks of Azure.
type ask struct {
	item *provider.Item
	key  plan.Key
	base string // the beginning of the names of all it owns
	// placed is the load balancer that serves it, meant what its annotation
	// means to rules. They differ only where the peer read it both ways.
	placed, meant names.Exposure
	names         names.Service
	families      []intent.Family // IPv4 first
	fronts        map[intent.Family]*front
	clients       clients
	// destinations are the addresses that clients send to, by family.
	destinations map[intent.Family][]string
	// had are the ids of the frontends that its rules used, in lower case.
	had map[string]bool
	// hadPools are the ids of the pools that its rules led to, in lower case.
	hadPools map[string]bool
	balancer *balancer // that serves it
	// outlived: the Service goes, and another one has its name by now. What bears
	// the name alone may be the other one's.
	outlived bool
	// renews is why something of its own is deleted, to be made anew when all is
	// looked at again; empty when nothing is.
	renews  string
	notices []provider.Notice
}

// front is the frontend that serves a Service in one family.
type front struct {
	balancer *balancer
	name     string
	publicIP *publicIP // of a public one
	// own: the Service's name is in the frontend's. Others are shared.
	own bool
}

func (f *front) id() string { return f.balancer.frontendID(f.name) }

// service is the Service in tags.
func (a *ask) service() string { return a.item.Service.Namespace + "/" + a.item.Service.Name }

// isInternal reports whether the Service wants an internal load balancer.
func isInternal(it *provider.Item) bool {
	on, _ := it.Intent.Options.Bool(intent.KeyAzureInternal)
	return on
}

// subnetOf is the subnet of an internal load balancer.
func subnetOf(s *Settings, it *provider.Item) string {
	name, _ := it.Intent.Options.Text(intent.KeyAzureInternalSubnet)
	return cmp.Or(strings.TrimSpace(name), s.Subnet)
}

// publicIPGroup is the resource group of the Service's public IPs.
func publicIPGroup(s *Settings, annotations map[string]string) string {
	return cmp.Or(strings.TrimSpace(annotations[intent.KeyAzureResourceGroup]), s.ResourceGroup)
}

func newAsk(it *provider.Item, w *world) *ask {
	a := &ask{
		item: it, key: it.Key, base: names.Base(it.Service.UID),
		fronts: map[intent.Family]*front{}, had: map[string]bool{}, hadPools: map[string]bool{},
	}
	a.names = names.Service{UID: it.Service.UID}
	if it.Want != provider.Serve {
		return a
	}
	for _, f := range []intent.Family{intent.V4, intent.V6} {
		if slices.Contains(it.Intent.Families, f) {
			a.families = append(a.families, f)
		}
	}
	a.names.DualStack = len(a.families) > 1
	a.expose(w)
	if a.placed == names.Internal {
		subnet, _ := it.Intent.Options.Text(intent.KeyAzureInternalSubnet)
		a.names.Subnet = strings.TrimSpace(subnet)
	}
	return a
}

// expose decides where the Service is served. The peer took "True" for
// internal in the rules and for public in the choice of a load balancer: what
// it made so stays until the user edits the Service.
func (a *ask) expose(w *world) {
	a.placed, a.meant = names.Public, names.Public
	if !isInternal(a.item) {
		return
	}
	a.placed, a.meant = names.Internal, names.Internal
	raw := a.item.Service.Annotations[intent.KeyAzureInternal]
	if raw == "true" || a.edited() || !w.servesFrom(a.base, names.Public) || w.servesFrom(a.base, names.Internal) {
		return
	}
	a.placed = names.Public
	a.warn(ReasonAdoptedAsIs, fmt.Sprintf("annotation %s is %q, which made a public load balancer that stays as it is until the Service is edited; write \"true\"",
		intent.KeyAzureInternal, raw))
}

// servesFrom reports whether a load balancer of the exposure has a frontend
// of the Service with this base name.
func (w *world) servesFrom(base string, e names.Exposure) bool {
	for _, b := range w.balancers {
		if b.exposure != e {
			continue
		}
		for _, f := range b.frontends.all() {
			if names.Owns(base, f.Name) {
				return true
			}
		}
	}
	return false
}

// serve reports whether the Service is to be served when this is done. One
// that has something to be made anew lets it go first.
func (a *ask) serve() bool { return a.item.Want == provider.Serve && a.renews == "" }

// edited reports whether the user asked for what the Service says now, so
// that what differs is set right though the peer would leave it.
func (a *ask) edited() bool {
	return a.item.Edited()
}

func (a *ask) warn(reason, message string) {
	n := provider.Notice{Reason: reason, Message: message, Warning: true}
	if !slices.Contains(a.notices, n) { // each family may have the same
		a.notices = append(a.notices, n)
	}
}

func (a *ask) options() *intent.Options { return &a.item.Intent.Options }

func (a *ask) on(key string) bool {
	on, _ := a.options().Bool(key)
	return on
}

// onPort reports whether an annotation for one port is true.
func (a *ask) onPort(k intent.AzurePort, port uint16) bool { return a.on(k.Key(port)) }

// floating reports whether packets keep their destination.
func (a *ask) floating() bool { return !a.on(intent.KeyAzureNoFloatingIP) }

// requested is the address that the Service asks for in the family, and what
// asked for it.
func (a *ask) requested(f intent.Family) (netip.Addr, string) {
	for _, addr := range a.item.Intent.Addresses {
		if intent.FamilyOf(addr) != f {
			continue
		}
		key := intent.KeyAzureIPv4
		if f == intent.V6 {
			key = intent.KeyAzureIPv6
		}
		return addr, cmp.Or(a.options().Source(key), "spec.loadBalancerIP")
	}
	return netip.Addr{}, ""
}

// perFamily is the text of an annotation that has a key for each family. A
// Service of IPv6 alone falls back to the first one.
func (a *ask) perFamily(f intent.Family, v4, v6 string) (text, source string) {
	key := v4
	if f == intent.V6 {
		text, _ = a.options().Text(v6)
		if text != "" || len(a.families) > 1 {
			return strings.TrimSpace(text), "annotation " + v6
		}
	}
	text, _ = a.options().Text(key)
	return strings.TrimSpace(text), "annotation " + key
}

// statusAddresses are the addresses that the Service's status shows.
func (a *ask) statusAddresses() []netip.Addr { return statusOf(a.item.Service) }
