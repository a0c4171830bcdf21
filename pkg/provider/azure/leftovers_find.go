// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// remains are what is known of a Service that is gone.
type remains struct {
	base      string // empty: no name that is left has it
	service   string // namespace/name; empty: no tag says it
	addresses map[netip.Addr]bool
	viaNodes  bool // clients were let in at the addresses of the nodes
}

// finder finds Services that are gone.
type finder struct {
	*world
	bases    map[string]bool // of Services that live
	services map[string]bool // that live, in lower case
	byBase   map[string]*remains
	byName   map[string]*remains // by service in lower case, without a base
	// users are the bases that are gone of frontends and rules, by the public IP's
	// id in lower case.
	users map[string][]string
}

func newFinder(w *world) *finder {
	f := &finder{
		world: w, bases: map[string]bool{}, services: map[string]bool{},
		byBase: map[string]*remains{}, byName: map[string]*remains{}, users: map[string][]string{},
	}
	for _, svc := range w.observed.Services {
		f.bases[names.Base(svc.UID)] = true
		f.services[names.Key(svc.Namespace+"/"+svc.Name)] = true
	}
	return f
}

// gone is what is left of the Service that a name begins with; nil when it lives
// or the name is none of a Service's.
func (f *finder) gone(name string) *remains {
	if !names.IsBase(name) {
		return nil
	}
	base := names.Key(name[:names.BaseLen])
	if f.bases[base] {
		return nil
	}
	if f.byBase[base] == nil {
		f.byBase[base] = &remains{base: base, addresses: map[netip.Addr]bool{}}
	}
	return f.byBase[base]
}

func (f *finder) balancer(b *balancer) {
	for _, fe := range b.frontends.all() {
		f.uses(f.gone(fe.Name), fe)
	}
	for _, r := range b.rules.all() {
		x := f.gone(r.Name)
		if x == nil {
			continue
		}
		x.viaNodes = x.viaNodes || !isTrue(r.Properties.EnableFloatingIP)
		if fe, ok := b.frontends.get(names.Last(r.Properties.FrontendIPConfiguration.id())); ok {
			f.uses(x, fe)
		}
	}
	for _, p := range b.probes.all() {
		f.gone(p.Name)
	}
}

// uses notes that the Service had the frontend's address.
func (f *finder) uses(x *remains, fe *frontend) {
	if x == nil {
		return
	}
	ip, id := fe.address(), names.Key(fe.Properties.PublicIPAddress.id())
	if p, ok := f.publicIPs[id]; ok {
		ip = p.address()
	}
	if ip.IsValid() {
		x.addresses[ip] = true
	}
	if id != "" && !slices.Contains(f.users[id], x.base) {
		f.users[id] = append(f.users[id], x.base)
	}
}

// publicIP notes the Services that are gone of a public IP. Its name begins with
// that of the first one that had it, and its tag lists them in the order in which
// they came.
func (f *finder) publicIP(p *publicIP, tagged []string) {
	var maker *remains
	if rest, ok := names.CutPrefix(p.Name, f.settings.Cluster+"-"); ok {
		maker = f.gone(rest)
	}
	left := slices.DeleteFunc(slices.Clone(tagged), func(service string) bool { return f.services[names.Key(service)] })
	if len(left) == 0 {
		// Those with the tag live, but one may only have the name of one that is gone.
		if maker != nil && maker.service == "" && f.claimant(p) == nil {
			maker.service = tagged[0]
		}
		return
	}
	var bases []*remains
	if maker != nil {
		bases = append(bases, maker)
	}
	for _, base := range f.users[names.Key(p.ID)] {
		if x := f.byBase[base]; x != maker {
			bases = append(bases, x)
		}
	}
	for _, service := range left {
		f.named(service, bases, maker).addresses[p.address()] = true
	}
}

// named is what is left of the Service: that with its base, when no other one
// may be it.
func (f *finder) named(service string, bases []*remains, maker *remains) *remains {
	var free []*remains
	for _, x := range bases {
		if names.Same(x.service, service) {
			return x
		}
		if x.service == "" {
			free = append(free, x)
		}
	}
	if maker != nil && maker.service == "" {
		free = []*remains{maker}
	}
	if len(free) == 1 {
		free[0].service = service
		return free[0]
	}
	key := names.Key(service)
	if f.byName[key] == nil {
		f.byName[key] = &remains{service: service, addresses: map[netip.Addr]bool{}}
	}
	return f.byName[key]
}

// items are the Services that are gone, by key.
func (f *finder) items() []provider.Item {
	found := make([]*remains, 0, len(f.byBase)+len(f.byName))
	for _, base := range slices.Sorted(maps.Keys(f.byBase)) {
		found = append(found, f.byBase[base])
	}
	for _, service := range slices.Sorted(maps.Keys(f.byName)) {
		found = append(found, f.byName[service])
	}
	taken := map[plan.Key]bool{}
	out := make([]provider.Item, 0, len(found))
	for _, x := range found {
		svc := x.object()
		key := provider.KeyOf(svc)
		if key.Namespace == "" || taken[key] {
			key = plan.Key{Name: cmp.Or(x.base, x.service)}
		}
		taken[key] = true
		out = append(out, provider.Item{Key: key, Service: svc, Want: provider.Remove, Cause: provider.Repair})
	}
	slices.SortFunc(out, func(a, b provider.Item) int { return plan.CompareKeys(a.Key, b.Key) })
	return out
}

// object is the Service as far as it is known.
func (x *remains) object() *v1.Service {
	svc := &v1.Service{}
	if namespace, name, ok := strings.Cut(x.service, "/"); ok {
		svc.Namespace, svc.Name = namespace, name
	}
	// No name in Azure has a question mark: without a base nothing is its by name.
	svc.UID = types.UID("?" + x.service)
	if x.base != "" {
		svc.UID = types.UID(x.base[1:])
	}
	if x.viaNodes {
		metav1.SetMetaDataAnnotation(&svc.ObjectMeta, intent.KeyAzureNoFloatingIP, "true")
	}
	delete(x.addresses, netip.Addr{})
	for _, ip := range slices.SortedFunc(maps.Keys(x.addresses), netip.Addr.Compare) {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: ip.String()})
	}
	return svc
}

// proves reports whether the public IP was made for this cluster: its tag says
// so or, where it has none, its name or its load balancer.
func (w *world) proves(p *publicIP) bool {
	if tag := p.clusterTag(); tag != "" {
		return names.Same(tag, w.settings.Cluster)
	}
	if rest, ok := names.CutPrefix(p.Name, w.settings.Cluster+"-"); ok && names.IsBase(rest) {
		return true
	}
	return w.balancers[names.Key(names.Segment(p.doc.Properties.IPConfiguration.id(), "loadBalancers"))] != nil
}

// claimant is a Service that lives and asks for the public IP by its name or
// address, or shows the address; nil for none.
func (w *world) claimant(p *publicIP) *v1.Service {
	for _, svc := range w.observed.Services {
		if slices.Contains(statusOf(svc), p.address()) || asksFor(svc, p) {
			return svc
		}
	}
	return nil
}

func asksFor(svc *v1.Service, p *publicIP) bool {
	for _, key := range []string{intent.KeyAzurePublicIPName, intent.KeyAzurePublicIPNameV6} {
		if names.Same(strings.TrimSpace(svc.Annotations[key]), p.Name) {
			return true
		}
	}
	return p.address().IsValid() && slices.Contains(requestedBy(svc), p.address())
}

// requestedBy are the addresses that a Service asks for.
func requestedBy(svc *v1.Service) []netip.Addr {
	var out []netip.Addr
	for _, text := range []string{svc.Spec.LoadBalancerIP, svc.Annotations[intent.KeyAzureIPv4], svc.Annotations[intent.KeyAzureIPv6]} {
		if ip := parseAddr(strings.TrimSpace(text)); ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}

// awaited are the addresses that Services ask for and do not show yet: their
// rules may be on the way.
func (t *turn) awaited() map[string]bool {
	out := map[string]bool{}
	for _, svc := range t.observed.Services {
		asked := requestedBy(svc)
		for _, p := range t.publicIPs {
			if p.address().IsValid() && asksFor(svc, p) {
				asked = append(asked, p.address())
			}
		}
		for _, ip := range asked {
			if !slices.Contains(statusOf(svc), ip) {
				out[ip.String()] = true
			}
		}
	}
	return out
}

// strangers are the addresses that lead elsewhere: to load balancers and
// clusters that are not this one's.
func (t *turn) strangers() map[string]bool {
	out := t.awaited()
	for _, p := range t.sortedPublicIPs() {
		foreign := p.clusterTag() != "" && !names.Same(p.clusterTag(), t.settings.Cluster)
		at := p.doc.Properties.IPConfiguration.id()
		elsewhere := at != "" && t.balancers[names.Key(names.Segment(at, "loadBalancers"))] == nil
		if ip := p.address(); ip.IsValid() && (foreign || elsewhere) {
			out[ip.String()] = true
		}
	}
	for _, doc := range t.observed.LoadBalancers {
		if t.manages(doc) {
			continue
		}
		if b, err := loadBalancer(doc); err == nil {
			for _, f := range b.frontends.all() {
				out[f.address().String()] = true
			}
		}
	}
	return out
}

// abandoned reports whether a destination of a security rule is left over: it
// leads nowhere that is known, and no node that is not known yet can have it; or
// it is that of a node, and no Service has clients that reach it there.
func (c *cleaner) abandoned(destination string, alive map[string]bool) bool {
	key := destinationKey(destination)
	if slices.ContainsFunc(c.turn.broken, func(b broken) bool { return mentions(b.raw, []byte(`"`+key+`"`)) }) {
		return false
	}
	if !alive[key] {
		return !c.byNodes || !parseAddr(destination).IsPrivate()
	}
	return !c.byNodes && len(c.others[key]) == 0 && c.turn.ofNode(parseAddr(destination))
}

// ofNode reports whether a node has the address.
func (t *turn) ofNode(ip netip.Addr) bool {
	return slices.ContainsFunc(t.observed.Nodes, func(n *v1.Node) bool { return slices.Contains(internalIPs(n), ip) })
}
