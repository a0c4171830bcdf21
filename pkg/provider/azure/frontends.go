// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"net/netip"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// chooseFronts decides which frontend serves the Service in each family, and
// makes or changes it in the load balancer.
func (t *turn) chooseFronts(a *ask) error {
	b := a.balancer
	if b.exists && names.Same(b.SKU.Name, "Basic") {
		return refuse(ReasonUnsupported, "load balancer %s has SKU Basic, which Azure has retired; replace it by one with SKU Standard", b.Name)
	}
	if err := t.checkFamilies(a, b); err != nil || a.renews != "" {
		return err
	}
	for _, f := range a.families {
		choose := t.publicFront
		if a.placed == names.Internal {
			choose = t.internalFront
		}
		fr, err := choose(a, b, f)
		if err != nil {
			return err
		}
		if a.renews != "" {
			clear(a.fronts)
			return nil
		}
		a.fronts[f] = fr
	}
	return t.checkFrontends(a, b)
}

// checkFrontends refuses a Service whose frontends are too many for the load
// balancer. They are taken out again.
func (t *turn) checkFrontends(a *ask, b *balancer) error {
	if b.frontends.list.Len() <= maxFrontends {
		return nil
	}
	had, err := loadSection[frontend](b.first, names.Frontends)
	must(err)
	added := false
	for _, fr := range a.fronts {
		if _, was := had.get(fr.name); fr.own && !was {
			b.frontends.remove(fr.name)
			added = true
		}
	}
	if !added {
		return nil
	}
	clear(a.fronts)
	return refuse(ReasonLimitReached, "load balancer %s has %d frontends, which is all that Azure allows; share addresses or remove Services", b.Name, maxFrontends)
}

// publicFront is the frontend with the Service's public IP: one that has it
// already, else the Service's own.
func (t *turn) publicFront(a *ask, b *balancer, f intent.Family) (*front, error) {
	pip, err := t.choosePublicIP(a, f)
	if err != nil {
		return nil, err
	}
	name := a.names.Frontend(f)
	own, has := b.frontends.get(name)
	if has && (own.Properties.PublicIPAddress == nil || names.Same(own.Properties.PublicIPAddress.ID, pip.ID)) {
		return &front{balancer: b, name: own.Name, publicIP: pip, own: true}, nil
	}
	for _, other := range b.frontends.all() {
		if names.Same(other.Properties.PublicIPAddress.id(), pip.ID) && !names.Owns(a.base, other.Name) {
			return &front{balancer: b, name: other.Name, publicIP: pip}, nil
		}
	}
	if err := t.checkFree(a, b, pip, f); err != nil {
		return nil, err
	}
	if err := t.checkAlone(a, b, name); err != nil {
		return nil, err
	}
	raw := b.frontends.raw(name)
	diff := plan.Diff{Field: "frontend " + name, Want: "public IP " + pip.Name}
	if has {
		diff.Have = "public IP " + names.Last(own.Properties.PublicIPAddress.ID)
	}
	raw = set(raw, pip.ID, "properties", "publicIPAddress", "id")
	b.frontends.put(name, raw)
	b.change(a.key, diff)
	b.gains[a.key] = true
	b.needs[pip.target(t.settings)] = true
	return &front{balancer: b, name: name, publicIP: pip, own: true}, nil
}

// checkAlone refuses to change a frontend that rules of other Services use.
func (t *turn) checkAlone(a *ask, b *balancer, name string) error {
	_, has := b.frontends.get(name)
	other := t.sharer(a, b, name)
	if !has || other == "" {
		return nil
	}
	return refuse(ReasonFrontendShared, "frontend %s of load balancer %s has another address than the Service asks for now, but %s uses it as well; move that Service to another address first",
		name, b.Name, other)
}

// ownerOf names the Service of a rule for a sentence.
func (t *turn) ownerOf(ruleName string) string {
	for base, key := range t.bases {
		if names.Owns(base, ruleName) {
			return "Service " + key.String()
		}
	}
	return "rule " + ruleName
}

// internalFront is the frontend with the address that the Service asks for:
// its own, or that of another Service which has the address.
func (t *turn) internalFront(a *ask, b *balancer, f intent.Family) (*front, error) {
	subnetName := subnetOf(t.settings, a.item)
	state, ok := t.subnets[names.Key(subnetName)]
	if !ok {
		return nil, refuse(ReasonSubnetNotFound, "%s %q is not in virtual network %s of resource group %s; create it, or name one that is there",
			a.subnetSource(), subnetName, t.settings.Network, t.settings.networkGroup())
	}
	subnet := &state.doc
	want, source := a.requested(f)
	name := a.names.Frontend(f)
	own, has := b.frontends.get(name)
	if has && t.fits(a, own, subnet, want) {
		return &front{balancer: b, name: own.Name, own: true}, nil
	}
	if want.IsValid() {
		for _, other := range b.frontends.all() {
			if other.address() == want && !names.Owns(a.base, other.Name) {
				return &front{balancer: b, name: other.Name}, nil
			}
		}
		if !subnet.holds(want) {
			return nil, refuse(ReasonAddressNotInSubnet, "%s asks for %s, which is not in subnet %s; ask for an address of the subnet, or name another subnet in annotation %s",
				source, want, subnetName, intent.KeyAzureInternalSubnet)
		}
	}
	if err := t.checkAlone(a, b, name); err != nil {
		return nil, err
	}
	address, err := t.fixed(a, b, f, internalSpec{subnet: subnet, address: want})
	if err != nil {
		return nil, err
	}
	spec := internalSpec{name: name, subnet: subnet, address: address}
	if has {
		spec.zones = own.Zones
	} else if spec.zones, err = t.zones(); err != nil {
		return nil, err
	}
	t.putInternal(a, b, f, spec)
	return &front{balancer: b, name: name, own: true}, nil
}

func (a *ask) subnetSource() string {
	if source := a.options().Source(intent.KeyAzureInternalSubnet); source != "" {
		return source
	}
	return "subnetName of the cloud config"
}

// fits reports whether an internal frontend may stay, as the peer sees it: the
// subnet counts only when the Service names one.
func (t *turn) fits(a *ask, have *frontend, subnet *subnetDocument, want netip.Addr) bool {
	if a.names.Subnet != "" && have.Properties.Subnet != nil && !names.Same(have.Properties.Subnet.ID, subnet.ID) {
		return false
	}
	return !want.IsValid() || have.address() == want
}

// fixed is the address that a new internal frontend is to have: the one asked
// for, else the one that the Service has had, when it is in the subnet and
// free. Invalid: Azure chooses.
func (t *turn) fixed(a *ask, b *balancer, f intent.Family, spec internalSpec) (netip.Addr, error) {
	if spec.address.IsValid() {
		return spec.address, nil
	}
	for _, had := range a.statusAddresses() {
		if intent.FamilyOf(had) != f || !spec.subnet.holds(had) {
			continue
		}
		for _, at := range t.sortedBalancers() {
			for _, other := range at.frontends.all() {
				switch {
				case other.address() != had:
				case !names.Owns(a.base, other.Name):
					return netip.Addr{}, nil
				default:
					return had, t.follows(b, at)
				}
			}
		}
		return had, nil
	}
	return netip.Addr{}, nil
}

type internalSpec struct {
	name    string
	subnet  *subnetDocument
	address netip.Addr // invalid: Azure chooses
	zones   []string
}

func (t *turn) putInternal(a *ask, b *balancer, f intent.Family, spec internalSpec) {
	had, has := b.frontends.get(spec.name)
	raw := b.frontends.raw(spec.name)
	diff := plan.Diff{Field: "frontend " + spec.name, Want: "dynamic address of subnet " + names.Last(spec.subnet.ID)}
	if spec.address.IsValid() {
		diff.Want = "address " + spec.address.String() + " of subnet " + names.Last(spec.subnet.ID)
	}
	if has {
		diff.Have = "address " + had.Properties.PrivateIPAddress + " of subnet " + names.Last(had.Properties.Subnet.id())
	}
	if len(spec.zones) > 0 {
		raw = set(raw, spec.zones, "zones")
	}
	raw = set(raw, object(field{"id", spec.subnet.ID}), "properties", "subnet")
	if spec.address.IsValid() {
		raw = set(raw, "Static", "properties", "privateIPAllocationMethod")
		raw = set(raw, spec.address.String(), "properties", "privateIPAddress")
	} else {
		raw = set(raw, "Dynamic", "properties", "privateIPAllocationMethod")
		raw = unset(raw, "properties", "privateIPAddress")
	}
	if f == intent.V6 {
		raw = set(raw, version(f), "properties", "privateIPAddressVersion")
	}
	b.frontends.put(spec.name, raw)
	b.change(a.key, diff)
	b.gains[a.key] = true
}

// zones are those of what is made; edge zones have none.
func (w *world) zones() ([]string, error) {
	if w.settings.Edge != "" {
		return nil, nil
	}
	return w.observed.Zones, needed(w.unread(ReadZones, ""), "a new address needs the availability zones of the region, which cannot be read")
}

// dropFrontends takes away the frontends that a Service of the batch had and
// uses no more, unless something else uses them.
func (t *turn) dropFrontends() {
	for _, b := range t.sortedBalancers() {
		keep := map[string]bool{}
		for _, a := range t.asks {
			for _, fr := range a.fronts {
				if fr.balancer == b {
					keep[names.Key(fr.name)] = true
				}
			}
		}
		for _, f := range b.frontends.all() {
			a := t.leaves(b, f)
			if a == nil || keep[names.Key(f.Name)] || t.inUse(b, b.frontendID(f.Name)) {
				continue
			}
			t.dropped[names.Key(b.frontendID(f.Name))] = a
			b.change(a.key, plan.Diff{Field: "frontend " + f.Name, Have: describe(f)})
			b.frontends.remove(f.Name)
		}
		b.emptied = b.exists && b.frontends.list.Len() == 0 && b.frontends.list.Changed() && !t.holdsForeign(b)
	}
}

// holdsForeign reports whether a backend pool of others is in the load
// balancer. It stays for that one's sake; the peer deletes it all the same.
func (t *turn) holdsForeign(b *balancer) bool {
	if t.settings.Preconfigured[b.exposure] && b.pools.list.Len() > 0 {
		return true
	}
	for _, p := range b.pools.all() {
		if !names.Same(p.Name, names.Pool(t.settings.Cluster, intent.V4)) && !names.Same(p.Name, names.Pool(t.settings.Cluster, intent.V6)) {
			return true
		}
	}
	return false
}

// leaves is the Service of the batch by which the frontend may go; nil for
// none. A frontend that bears the name of a Service outside the batch stays.
func (t *turn) leaves(b *balancer, f *frontend) *ask {
	for _, a := range t.asks {
		if names.Owns(a.base, f.Name) {
			return a
		}
	}
	for base := range t.bases {
		if names.Owns(base, f.Name) {
			return nil
		}
	}
	for _, a := range t.asks {
		if a.had[names.Key(b.frontendID(f.Name))] && names.IsBase(f.Name) {
			return a
		}
	}
	return nil
}

// inUse reports whether any rule uses the frontend.
func (t *turn) inUse(b *balancer, frontendID string) bool {
	for _, r := range b.rules.all() {
		if names.Same(r.Properties.FrontendIPConfiguration.id(), frontendID) {
			return true
		}
	}
	for _, r := range b.foreign {
		if r.uses(frontendID) {
			return true
		}
	}
	return false
}

func describe(f *frontend) string {
	if f.Properties.PublicIPAddress != nil {
		return "public IP " + names.Last(f.Properties.PublicIPAddress.ID)
	}
	return strings.TrimSpace("address " + f.Properties.PrivateIPAddress)
}
