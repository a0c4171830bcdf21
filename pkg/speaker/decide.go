// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Path is a route that an address wants at a peer.
type Path struct {
	Addr  netip.Addr
	Peer  string
	Route Route
}

// Decision is what one node does for one Service. Both lists are sorted by
// address and peer.
type Decision struct {
	Paths    []Path
	Withheld []Withheld
}

// Held is the decision with every path withheld for one reason.
func (d *Decision) Held(why Withheld) Decision {
	out := Decision{Withheld: slices.Clone(d.Withheld)}
	for i, p := range d.Paths {
		if i > 0 && d.Paths[i-1].Addr == p.Addr {
			continue
		}
		why.Addr = p.Addr
		out.Withheld = append(out.Withheld, why)
	}
	sortWithheld(out.Withheld)
	return out
}

// Wanted reports whether a Service is one that speakers announce, and why not
// otherwise.
func Wanted(svc *v1.Service, u Unclassed) (Withheld, bool) {
	class := svc.Spec.LoadBalancerClass
	switch {
	case svc.Spec.Type != v1.ServiceTypeLoadBalancer:
		return Withheld{
			Reason:  ReasonNotLoadBalancer,
			Message: fmt.Sprintf("the Service is of type %s; only type LoadBalancer is announced", svc.Spec.Type),
		}, false
	case class != nil && *class != Class:
		return Withheld{
			Reason:  ReasonForeignClass,
			Message: fmt.Sprintf("spec.loadBalancerClass %q belongs to another controller; it is %q, or unset, for this one", *class, Class),
		}, false
	case class == nil && u == UnclassedForeign:
		return Withheld{
			Reason:  ReasonForeignClass,
			Message: fmt.Sprintf("spec.loadBalancerClass is unset and speakers leave such Services to another controller; set %q", Class),
		}, false
	case svc.DeletionTimestamp != nil:
		return Withheld{
			Reason:  ReasonServiceDeleting,
			Message: "the Service is being deleted, and its address is withdrawn before it is given again",
		}, false
	default:
		return Withheld{}, true
	}
}

// Decide returns what the view's node announces for a Service and what it does
// not, with the reason. The EndpointSlices are those of the Service, in any
// order. It changes no argument, and equal arguments give equal decisions.
func Decide(v *View, svc *v1.Service, eps []*discoveryv1.EndpointSlice) Decision {
	if w, ok := Wanted(svc, v.facts.Unclassed); !ok {
		return Decision{Withheld: []Withheld{w}}
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return Decision{Withheld: []Withheld{{
			Reason:  ReasonNoAddress,
			Message: "the Service has no address in status.loadBalancer yet; the controller gives it one, or says in an event why it cannot",
		}}}
	}
	var d Decision
	for _, in := range svc.Status.LoadBalancer.Ingress {
		d.add(v, svc, eps, in)
	}
	slices.SortStableFunc(d.Paths, func(a, b Path) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return compareString(a.Peer, b.Peer)
	})
	sortWithheld(d.Withheld)
	return d
}

func sortWithheld(ws []Withheld) {
	slices.SortStableFunc(ws, func(a, b Withheld) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return compareString(a.Peer, b.Peer)
	})
}

// add decides about one entry of the status.
func (d *Decision) add(v *View, svc *v1.Service, eps []*discoveryv1.EndpointSlice, in v1.LoadBalancerIngress) {
	addr, err := netip.ParseAddr(in.IP)
	if err != nil {
		d.Withheld = append(d.Withheld, Withheld{
			Reason:  ReasonInvalidAddress,
			Message: fmt.Sprintf("status.loadBalancer.ingress holds %q, which is no IP address", in.IP+in.Hostname),
		})
		return
	}
	addr = addr.Unmap()
	pool, w := v.eligible(svc, in, addr)
	if w.Reason == "" {
		w = v.reachable(svc, eps, addr)
	}
	if w.Reason != "" {
		w.Addr = addr
		d.Withheld = append(d.Withheld, w)
		return
	}
	v.route(d, addr, pool, labels.Set(svc.Labels))
}

// eligible returns the pool of an address, or why it is not announced whatever
// its endpoints are.
func (v *View) eligible(svc *v1.Service, in v1.LoadBalancerIngress, addr netip.Addr) (string, Withheld) {
	if in.IPMode != nil && *in.IPMode == v1.LoadBalancerIPModeProxy {
		return "", Withheld{
			Reason:  ReasonProxyMode,
			Message: "its ipMode is Proxy, so nodes do not serve the address; only ipMode VIP is announced",
		}
	}
	pool := ""
	for i := range v.facts.Metal.Pools {
		if v.facts.Metal.Pools[i].Contains(addr) {
			pool = v.facts.Metal.Pools[i].Name
			break
		}
	}
	if pool == "" {
		return "", Withheld{
			Reason:  ReasonNotInAnyPool,
			Message: fmt.Sprintf("no pool of the configuration holds %s; add it to metal.pools, or let the Service have another address", addr),
		}
	}
	if fam := svc.Spec.IPFamilies; len(fam) > 0 && !slices.Contains(fam, familyOf(addr)) {
		return "", Withheld{
			Reason:  ReasonFamilyNotServed,
			Message: fmt.Sprintf("spec.ipFamilies is %v, so nodes do not serve an %s address; add the family", fam, familyOf(addr)),
		}
	}
	return pool, Withheld{}
}

// reachable returns why the node does not lead to an endpoint, or nothing.
func (v *View) reachable(svc *v1.Service, eps []*discoveryv1.EndpointSlice, addr netip.Addr) Withheld {
	if v.silence.Reason != "" {
		return v.silence
	}
	n := count(eps, addr, v.facts.Node.Name)
	if n.all == 0 {
		return Withheld{
			Reason:  ReasonNoEndpoints,
			Message: fmt.Sprintf("no %s endpoint of the Service is ready; check its selector and the readiness of its Pods", familyOf(addr)),
		}
	}
	if svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal && n.here == 0 {
		return Withheld{
			Reason: ReasonNoLocalEndpoints,
			Message: fmt.Sprintf("externalTrafficPolicy is Local and none of its ready %s endpoints is on %s; nodes that have one announce it",
				familyOf(addr), v.facts.Node),
		}
	}
	return Withheld{}
}

// route adds the paths of an address that may be announced, or why there are
// none.
func (v *View) route(d *Decision, addr netip.Addr, pool string, svc labels.Set) {
	var covering, matching, here []viewAd
	for _, a := range v.ads {
		if a.covers(pool) {
			covering = append(covering, a)
		}
		if a.matches(pool, svc) {
			matching = append(matching, a)
			if a.here {
				here = append(here, a)
			}
		}
	}
	if len(here) == 0 {
		w := v.unadvertised(pool, covering, matching)
		w.Addr = addr
		d.Withheld = append(d.Withheld, w)
		return
	}
	heard := false
	for _, p := range v.peers {
		ads := slices.DeleteFunc(slices.Clone(here), func(a viewAd) bool { return !a.hears(p.name) })
		if len(ads) > 0 {
			heard = true
			v.tell(d, addr, p, ads)
		}
	}
	if !heard {
		w := v.unheard(here)
		w.Addr = addr
		d.Withheld = append(d.Withheld, w)
	}
}

// unadvertised says why no advertisement announces an address of the pool from
// this node.
func (v *View) unadvertised(pool string, covering, matching []viewAd) Withheld {
	switch {
	case len(matching) > 0:
		return Withheld{
			Reason:  ReasonNodeNotSelected,
			Message: fmt.Sprintf("the nodeSelectors of advertisement %s do not match %s; other nodes announce it", adNames(matching), v.facts.Node),
		}
	case len(covering) > 0:
		return Withheld{
			Reason:  ReasonNoAdvertisement,
			Message: fmt.Sprintf("the serviceSelectors of advertisement %s do not match the Service's labels; label the Service or add an advertisement for pool %q", adNames(covering), pool),
		}
	default:
		return Withheld{
			Reason:  ReasonNoAdvertisement,
			Message: fmt.Sprintf("no advertisement covers pool %q; add one to metal.advertisements", pool),
		}
	}
}

// unheard says why advertisements reach no peer of the node.
func (v *View) unheard(ads []viewAd) Withheld {
	if len(v.peers) == 0 {
		return Withheld{
			Reason:  ReasonNoPeerForNode,
			Message: fmt.Sprintf("no peer of the configuration selects %s; add one to metal.peers or widen nodeSelectors", v.facts.Node),
		}
	}
	var peers []string
	for _, a := range ads {
		peers = append(peers, a.Peers...)
	}
	slices.Sort(peers)
	return Withheld{
		Reason: ReasonNoPeerForNode,
		Message: fmt.Sprintf("advertisement %s is limited to the peers %s, and %s has a session with none of them; widen the advertisement's peers or the peers' nodeSelectors",
			adNames(ads), strings.Join(slices.Compact(peers), ", "), v.facts.Node),
	}
}

// tell adds the paths of an address to one peer: one for each prefix length of
// its advertisements.
func (v *View) tell(d *Decision, addr netip.Addr, p viewPeer, ads []viewAd) {
	var hop netip.Addr
	if addr.Is4() != p.v4 {
		ip, ok := v.facts.Node.addr(addr)
		if !ok {
			d.Withheld = append(d.Withheld, Withheld{
				Addr: addr, Peer: p.name, Reason: ReasonNoNextHop,
				Message: fmt.Sprintf("the session with peer %q runs over the other IP family and %s has no %s InternalIP to be the next hop; give the node one, or add a peer over %s",
					p.name, v.facts.Node, familyOf(addr), familyOf(addr)),
			})
			return
		}
		hop = ip
	}
	first := len(d.Paths)
	for _, a := range ads {
		prefix := a.prefix(addr)
		at := slices.IndexFunc(d.Paths[first:], func(x Path) bool { return x.Route.Prefix == prefix })
		if at < 0 {
			d.Paths = append(d.Paths, Path{Addr: addr, Peer: p.name, Route: Route{
				Prefix: prefix, NextHop: hop, LocalPref: a.LocalPref, Communities: a.communities,
			}})
			continue
		}
		r := &d.Paths[first+at].Route
		if p.ibgp && conflict(r.LocalPref, a.LocalPref) {
			d.Paths = d.Paths[:first]
			d.Withheld = append(d.Withheld, Withheld{
				Addr: addr, Peer: p.name, Reason: ReasonConflictingAdvertisements,
				Message: fmt.Sprintf("advertisements %s give %s different localPref (%d and %d); make them equal or select different Services",
					adNames(ads), prefix, *r.LocalPref, *a.LocalPref),
			})
			return
		}
		if r.LocalPref == nil {
			r.LocalPref = a.LocalPref
		}
		r.Communities = unite(r.Communities, a.communities)
	}
	for i := range d.Paths[first:] {
		v.finish(p, &d.Paths[first+i].Route)
	}
}

// finish sets what depends on the kind of session and on the node's mark: a
// marked path has the lowest preference on iBGP and a longer AS path on eBGP,
// next to the community that stands in it already.
func (v *View) finish(p viewPeer, r *Route) {
	if !p.ibgp {
		r.LocalPref = nil
		if v.marked {
			r.Prepend = prepends
		}
		return
	}
	if v.marked {
		r.LocalPref = new(uint32)
	}
}

// prefix is the address as the advertisement announces it.
func (a viewAd) prefix(addr netip.Addr) netip.Prefix {
	length := a.AggregationLengthV6
	if addr.Is4() {
		length = a.AggregationLength
	}
	if length <= 0 || length > addr.BitLen() {
		length = addr.BitLen()
	}
	p, err := addr.Prefix(length)
	if err != nil { // cannot be: the length is within the address
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	return p
}

func conflict(a, b *uint32) bool { return a != nil && b != nil && *a != *b }

func adNames(ads []viewAd) string {
	names := make([]string, len(ads))
	for i, a := range ads {
		names[i] = fmt.Sprintf("%q", a.Name)
	}
	return strings.Join(names, " and ")
}

func familyOf(a netip.Addr) v1.IPFamily {
	if a.Is4() {
		return v1.IPv4Protocol
	}
	return v1.IPv6Protocol
}
