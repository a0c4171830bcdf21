// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// resource is one document that is edited: as it was, and what was done to it.
type resource struct {
	header
	first  json.RawMessage // as observed
	raw    json.RawMessage // as wanted
	exists bool
	diffs  []plan.Diff
	serves map[plan.Key]bool
	needs  map[plan.ID]bool
}

// change notes what is changed, and for which Service; an empty key is for
// none in particular.
func (r *resource) change(key plan.Key, diffs ...plan.Diff) {
	r.diffs = append(r.diffs, diffs...)
	if key != (plan.Key{}) {
		r.serves[key] = true
	}
}

func newResource(doc json.RawMessage) (resource, error) {
	r := resource{first: doc, raw: doc, exists: true, serves: map[plan.Key]bool{}, needs: map[plan.ID]bool{}}
	if err := json.Unmarshal(doc, &r.header); err != nil {
		return r, fmt.Errorf("resource: %w", err)
	}
	return r, nil
}

// keys are the Services that the resource's step serves.
func (r *resource) keys() []plan.Key {
	return slices.SortedFunc(maps.Keys(r.serves), plan.CompareKeys)
}

// balancer is a load balancer of the cluster.
type balancer struct {
	resource
	exposure  names.Exposure
	frontends section[frontend]
	pools     section[pool]
	rules     section[rule]
	probes    section[probe]
	foreign   []*foreignRule // outbound rules, inbound NAT rules and pools
	// gains are the Services that get something here.
	gains map[plan.Key]bool
	// releases: another load balancer waits for an address that it lets go.
	releases bool
	// emptied: its last frontend went, and so it goes, unless others have a
	// backend pool there.
	emptied bool
	// sharedProbe is a Service of the batch that used the probe of all; zero
	// for none.
	sharedProbe plan.Key
	// members: the nodes in a pool change, which serves all Services here.
	members bool
}

func (b *balancer) target() plan.ID { return plan.ID{Kind: kindLoadBalancer, Name: b.Name} }

func (b *balancer) frontendID(name string) string { return names.Child(b.ID, names.Frontends, name) }

func loadBalancer(doc json.RawMessage) (*balancer, error) {
	r, err := newResource(doc)
	if err != nil {
		return nil, err
	}
	b := &balancer{resource: r, exposure: names.ExposureOf(r.Name), gains: map[plan.Key]bool{}}
	if b.frontends, err = loadSection[frontend](doc, names.Frontends); err != nil {
		return nil, err
	}
	if b.pools, err = loadSection[pool](doc, names.Pools); err != nil {
		return nil, err
	}
	if b.rules, err = loadSection[rule](doc, names.Rules); err != nil {
		return nil, err
	}
	if b.probes, err = loadSection[probe](doc, names.Probes); err != nil {
		return nil, err
	}
	for _, key := range []string{names.Outbound, names.InboundNAT, names.InboundPool} {
		others, err := loadSection[foreignRule](doc, key)
		if err != nil {
			return nil, err
		}
		b.foreign = append(b.foreign, others.all()...)
	}
	return b, nil
}

// document is the load balancer as it shall be.
func (b *balancer) document() json.RawMessage {
	doc := b.frontends.save(b.raw, names.Frontends)
	doc = b.pools.save(doc, names.Pools)
	doc = b.probes.save(doc, names.Probes)
	return b.rules.save(doc, names.Rules)
}

// publicIP is a public IP of one of the resource groups in question.
type publicIP struct {
	resource
	group string
	doc   publicIPDocument
	// remove: it is deleted, after what needs it not.
	remove bool
	// late: it is written after the load balancer and the security group.
	late bool
}

func (p *publicIP) address() netip.Addr { return parseAddr(p.doc.Properties.IPAddress) }

// userOwned reports whether it was made by a user, and so is never tagged and
// never deleted.
func (p *publicIP) userOwned() bool { return p.serviceTag() == "" }

func (p *publicIP) serviceTag() string {
	return names.Tag(p.doc.Tags, names.TagService, names.TagServiceLegacy)
}

func (p *publicIP) clusterTag() string {
	return names.Tag(p.doc.Tags, names.TagCluster, names.TagClusterLegacy)
}

func (p *publicIP) family() intent.Family {
	if names.Same(p.doc.Properties.PublicIPAddressVersion, version(intent.V6)) {
		return intent.V6
	}
	return intent.V4
}

// taggedFor reports whether it was made for the Service in this cluster.
func (p *publicIP) taggedFor(service, cluster string) bool {
	tag := p.clusterTag()
	return names.HasService(p.serviceTag(), service) && (tag == "" || names.Same(tag, cluster))
}

// world is all that one computation works on: what was observed, edited in
// place.
type world struct {
	settings  *Settings
	observed  *Observed
	balancers map[string]*balancer // by names.Key of the name; those of the cluster alone
	publicIPs map[string]*publicIP // by names.Key of the id
	// tagged are the public IPs that were made for a Service, by namespace/name
	// in lower case.
	tagged  map[string][]*publicIP
	group   *securityGroup
	subnets map[string]*subnetState // by the name in lower case
	links   map[string]*privateLink // by names.Key of the id
	nodes   []node                  // that may be in pools
	// nodesGiven is how many there were before Azure's own rules.
	nodesGiven int
	broken     []broken
	// badSubnets are the errors of subnets that are not as Azure writes them, by
	// the name in lower case.
	badSubnets map[string]error
}

func newWorld(in *Input) (*world, error) {
	w := &world{
		settings: in.Settings, observed: in.Observed,
		balancers: map[string]*balancer{}, publicIPs: map[string]*publicIP{}, tagged: map[string][]*publicIP{}, subnets: map[string]*subnetState{}, links: map[string]*privateLink{}, badSubnets: map[string]error{},
		nodes: nodesOf(in.Settings, in.Observed, in.Batch.Nodes), nodesGiven: len(in.Batch.Nodes),
	}
	for _, doc := range in.Observed.LoadBalancers {
		if !w.manages(doc) {
			continue
		}
		b, err := loadBalancer(doc)
		if err != nil {
			w.leave(doc, err)
			continue
		}
		w.balancers[names.Key(b.Name)] = b
	}
	w.loadBeside(in.Observed)
	if len(in.Observed.SecurityGroup) > 0 {
		g, err := loadSecurityGroup(in.Observed.SecurityGroup)
		if err != nil {
			return nil, err
		}
		w.group = g
	}
	return w, nil
}

// loadBeside reads what stands beside load balancers.
func (w *world) loadBeside(o *Observed) {
	for _, group := range slices.Sorted(maps.Keys(o.PublicIPs)) {
		for _, doc := range o.PublicIPs[group] {
			p, err := loadPublicIP(doc)
			if err != nil {
				w.leave(doc, err)
				continue
			}
			w.publicIPs[names.Key(p.ID)] = p
			for _, service := range names.Services(p.serviceTag()) {
				w.tagged[names.Key(service)] = append(w.tagged[names.Key(service)], p)
			}
		}
	}
	for _, group := range slices.Sorted(maps.Keys(o.PrivateLinks)) {
		for _, doc := range o.PrivateLinks[group] {
			l, err := loadPrivateLink(doc)
			if err != nil {
				w.leave(doc, err)
				continue
			}
			w.links[names.Key(l.ID)] = l
		}
	}
	for name, doc := range o.Subnets {
		if len(doc) == 0 {
			continue
		}
		s, err := loadSubnet(doc)
		if err != nil {
			w.badSubnets[names.Key(name)] = &plan.Error{Kind: plan.Transient, Reason: ReasonUnreadableResource, Err: fmt.Errorf("subnet %s: %w", name, err)}
			continue
		}
		w.subnets[names.Key(name)] = s
	}
}

// manages reports whether the load balancer is the cluster's, by its name.
func (w *world) manages(doc json.RawMessage) bool {
	var h header
	if json.Unmarshal(doc, &h) != nil {
		return false
	}
	return names.Among(w.settings.configurations(), names.Configuration(h.Name))
}

func loadPublicIP(doc json.RawMessage) (*publicIP, error) {
	r, err := newResource(doc)
	if err != nil {
		return nil, err
	}
	p := &publicIP{resource: r, group: names.Group(r.ID)}
	if err := json.Unmarshal(doc, &p.doc); err != nil {
		return nil, fmt.Errorf("public IP %s: %w", r.Name, err)
	}
	return p, nil
}

// sortedBalancers are the load balancers by name.
func (w *world) sortedBalancers() []*balancer {
	out := make([]*balancer, 0, len(w.balancers))
	for _, name := range slices.Sorted(maps.Keys(w.balancers)) {
		out = append(out, w.balancers[name])
	}
	return out
}

// sortedPublicIPs are the public IPs by id.
func (w *world) sortedPublicIPs() []*publicIP {
	out := make([]*publicIP, 0, len(w.publicIPs))
	for _, id := range slices.Sorted(maps.Keys(w.publicIPs)) {
		out = append(out, w.publicIPs[id])
	}
	return out
}

// balancer is the load balancer of the configuration, made when it is missing.
func (w *world) balancer(configuration string, e names.Exposure) *balancer {
	name := names.LoadBalancer(configuration, e)
	if b, ok := w.balancers[names.Key(name)]; ok {
		return b
	}
	fields := []field{{"location", w.settings.Location}}
	if w.settings.Edge != "" {
		fields = append(fields, field{"extendedLocation", edgeZone(w.settings)})
	}
	fields = append(fields,
		field{"sku", object(field{"name", skuStandard})},
		field{"properties", object()},
	)
	b, err := loadBalancer(object(fields...))
	must(err)
	b.ID, b.Name, b.SKU.Name, b.exposure, b.exists = w.settings.LoadBalancerID(name), name, skuStandard, e, false
	w.balancers[names.Key(name)] = b
	return b
}

// skuStandard is the SKU of all that we make.
const skuStandard = "Standard"

// edgeZone is the extendedLocation of all that we make.
func edgeZone(s *Settings) json.RawMessage {
	return object(field{"name", s.Edge}, field{"type", "EdgeZone"})
}
