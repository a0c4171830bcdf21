// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// target names the public IP's step; those outside the cluster's resource
// group with their group.
func (p *publicIP) target(s *Settings) plan.ID {
	name := p.Name
	if !names.Same(p.group, s.ResourceGroup) {
		name = p.group + "/" + name
	}
	return plan.ID{Kind: kindPublicIP, Name: name}
}

// choosePublicIP is the public IP of the Service in the family: the one it
// names, or has the address of, or its own, which is made when it is missing.
func (t *turn) choosePublicIP(a *ask, f intent.Family) (*publicIP, error) {
	group := publicIPGroup(t.settings, a.item.Service.Annotations)
	if name, source := a.perFamily(f, intent.KeyAzurePublicIPName, intent.KeyAzurePublicIPNameV6); name != "" {
		p, ok := t.publicIPs[names.Key(t.settings.PublicIPID(group, name))]
		if !ok {
			return nil, refuse(ReasonPublicIPNotFound, "%s names public IP %q, which is not in resource group %s; create it there, or name its group in annotation %s",
				source, name, group, intent.KeyAzureResourceGroup)
		}
		return p, t.useExisting(a, p, f)
	}
	prefix, _ := a.perFamily(f, intent.KeyAzurePublicIPPrefix, intent.KeyAzurePublicIPPrefixV6)
	if want, source := a.requested(f); want.IsValid() && prefix == "" {
		p, err := t.withAddress(want, source, group)
		if err != nil {
			return nil, err
		}
		return p, t.useExisting(a, p, f)
	}
	name := a.names.PublicIP(t.settings.Cluster, prefix, f)
	if p, ok := t.publicIPs[names.Key(t.settings.PublicIPID(group, name))]; ok {
		if t.staleFamily(a, p, f) {
			a.renews = otherFamily
			return p, nil
		}
		return p, t.useExisting(a, p, f)
	}
	return t.createPublicIP(a, f, newPublicIP{group: group, name: name, prefix: prefix})
}

// wireServer is Azure's address for the platform's own services; it can be no
// load balancer's (Azure, "What is IP address 168.63.129.16?").
const wireServer = "168.63.129.16"

// withAddress is the public IP with the address.
func (t *turn) withAddress(want netip.Addr, source, group string) (*publicIP, error) {
	carrier := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) // RFC 6598, section 7
	if want.IsPrivate() || carrier.Contains(want) || want == netip.MustParseAddr(wireServer) || want.IsLoopback() || want.IsLinkLocalUnicast() {
		return nil, refuse(ReasonAddressNotAllowed, "%s asks for %s, which is no public address; ask for that of an existing public IP, or set annotation %s to true",
			source, want, intent.KeyAzureInternal)
	}
	for _, p := range t.sortedPublicIPs() {
		if names.Same(p.group, group) && p.address() == want {
			return p, nil
		}
	}
	return nil, refuse(ReasonPublicIPNotFound, "%s asks for %s, but no public IP in resource group %s has that address; create it there, or name its group in annotation %s",
		source, want, group, intent.KeyAzureResourceGroup)
}

// useExisting checks a public IP that is there, and changes of it what the
// Service asks for. What a user made is not tagged.
func (t *turn) useExisting(a *ask, p *publicIP, f intent.Family) error {
	if p.family() != f {
		return refuse(ReasonPublicIPUnsuitable, "public IP %s of resource group %s is of %s, but the Service needs %s; name one of that family",
			p.Name, p.group, p.family(), f)
	}
	if p.SKU.Name != "" && !names.Same(p.SKU.Name, skuStandard) {
		return refuse(ReasonPublicIPUnsuitable, "public IP %s of resource group %s has SKU %s, but load balancers need %s; use or make one of that SKU",
			p.Name, p.group, p.SKU.Name, skuStandard)
	}
	if err := t.checkLabel(a, p); err != nil {
		return err
	}
	if !p.userOwned() {
		if err := t.checkIPTags(a, p); err != nil || a.renews != "" {
			return err
		}
		t.tag(a, p, names.WithService(p.serviceTag(), a.key.String()))
		t.setIPTags(a, p)
	}
	t.setLabel(a, p)
	return nil
}

// checkFree refuses a public IP that is attached to something else. One that
// moves with the Service has to leave its load balancer first.
func (t *turn) checkFree(a *ask, b *balancer, p *publicIP, f intent.Family) error {
	taken := ""
	for _, other := range t.sortedBalancers() {
		for _, fe := range other.frontends.all() {
			switch {
			case !names.Same(fe.Properties.PublicIPAddress.id(), p.ID):
			case names.Owns(a.base, fe.Name) && !t.sharedByOthers(a, other, fe.Name):
				if err := t.follows(b, other); err != nil {
					return err
				}
			default:
				taken = other.frontendID(fe.Name)
			}
		}
	}
	id := p.doc.Properties.IPConfiguration.id()
	if _, ours := t.balancers[names.Key(names.Segment(id, "loadBalancers"))]; taken == "" && !ours {
		taken = id // of our load balancers, their own answers count
	}
	if taken == "" {
		return nil
	}
	return refuse(ReasonPublicIPInUse, "public IP %s of resource group %s is attached to %s, so load balancer %s cannot have it for %s; detach it there, or use another one",
		p.Name, p.group, taken, b.Name, f)
}

// sharedByOthers reports whether rules of other Services use the frontend.
func (t *turn) sharedByOthers(a *ask, b *balancer, name string) bool {
	return t.sharer(a, b, name) != ""
}

// sharer names another Service whose rule uses the frontend; empty for none.
func (t *turn) sharer(a *ask, b *balancer, name string) string {
	for _, r := range b.rules.all() {
		if !names.Owns(a.base, r.Name) && names.Same(r.Properties.FrontendIPConfiguration.id(), b.frontendID(name)) {
			return t.ownerOf(r.Name)
		}
	}
	return ""
}

type newPublicIP struct{ group, name, prefix string }

func (t *turn) createPublicIP(a *ask, f intent.Family, n newPublicIP) (*publicIP, error) {
	s := t.settings
	fields := []field{{"name", n.name}, {"id", s.PublicIPID(n.group, n.name)}, {"location", s.Location}}
	if s.Edge != "" {
		fields = append(fields, field{"extendedLocation", edgeZone(s)})
	}
	fields = append(fields, field{"sku", object(field{"name", skuStandard})})
	zones, err := t.zones()
	if err != nil {
		return nil, err
	}
	if len(zones) > 0 {
		fields = append(fields, field{"zones", zones})
	}
	properties := object(field{"publicIPAllocationMethod", "Static"}, field{"publicIPAddressVersion", version(f)})
	if n.prefix != "" {
		properties = set(properties, n.prefix, "publicIPPrefix", "id")
	}
	fields = append(fields,
		field{"tags", map[string]string{names.TagCluster: s.Cluster, names.TagService: a.key.String()}},
		field{"properties", properties},
	)
	p, err := loadPublicIP(object(fields...))
	if err != nil {
		return nil, err
	}
	p.exists = false
	t.publicIPs[names.Key(p.ID)] = p
	p.change(a.key, plan.Diff{Field: "version", Want: version(f)})
	t.tag(a, p, p.serviceTag())
	t.setIPTags(a, p)
	t.setLabel(a, p)
	return p, nil
}

// edit sets a value in the public IP's document, and notes what was changed.
func (p *publicIP) edit(a *ask, diff plan.Diff, value any, path ...string) {
	if value == nil {
		p.raw = unset(p.raw, path...)
	} else {
		p.raw = set(p.raw, value, path...)
	}
	p.change(a.key, diff)
	p.reload()
}

func (p *publicIP) reload() {
	fresh, err := loadPublicIP(p.raw)
	must(err)
	p.doc = fresh.doc
	p.Tags = fresh.Tags
}

// label is the DNS label that the Service asks for, and whether it does.
func (a *ask) label() (string, bool) {
	label, ok := a.options().Text(intent.KeyAzureDNSLabel)
	return label, ok
}

func (p *publicIP) currentLabel() string {
	if p.doc.Properties.DNSSettings == nil {
		return ""
	}
	return p.doc.Properties.DNSSettings.DomainNameLabel
}

func (p *publicIP) labelTag() string {
	return names.Tag(p.doc.Tags, names.TagDNSService, names.TagDNSServiceLegacy)
}

// checkLabel refuses a label where another Service has set one.
func (t *turn) checkLabel(a *ask, p *publicIP) error {
	owner := p.labelTag()
	if _, asked := a.label(); !asked || owner == "" || names.Same(owner, a.key.String()) {
		return nil
	}
	return refuse(ReasonDNSLabelTaken, "annotation %s cannot be set: the DNS label of public IP %s is that of Service %s; remove the annotation from one of them",
		intent.KeyAzureDNSLabel, p.Name, owner)
}

func (t *turn) setLabel(a *ask, p *publicIP) {
	label, asked := a.label()
	if !asked {
		return
	}
	have := p.currentLabel()
	switch {
	case label == "" && p.doc.Properties.DNSSettings != nil:
		p.edit(a, plan.Diff{Field: "dnsLabel", Have: have}, nil, "properties", "dnsSettings")
	case label != "" && !names.Same(have, label):
		p.edit(a, plan.Diff{Field: "dnsLabel", Have: have, Want: label}, label, "properties", "dnsSettings", "domainNameLabel")
	case !a.edited():
		return // a label that somebody else has set is as good
	}
	if label != "" && !p.userOwned() && p.labelTag() == "" {
		p.edit(a, plan.Diff{Field: "tag " + names.TagDNSService, Want: a.key.String()}, a.key.String(), "tags", names.TagDNSService)
	}
}

// wantedIPTags are the IP tags asked for, and whether any are.
func (a *ask) wantedIPTags() ([]ipTag, bool) {
	pairs, ok := a.options().Pairs(intent.KeyAzureIPTags)
	if !ok {
		return nil, false
	}
	tags := []ipTag{}
	for k, v := range pairs {
		tags = append(tags, ipTag{k, v})
	}
	slices.SortFunc(tags, compareIPTags)
	return tags, true
}

func (t *turn) checkIPTags(a *ask, p *publicIP) error {
	want, asked := a.wantedIPTags()
	if !asked || t.settings.MutableIPTags || !p.exists || equalIPTags(want, p.doc.Properties.IPTags) {
		return nil
	}
	if a.edited() && names.WithoutService(p.serviceTag(), a.key.String()) == "" {
		a.renews = otherIPTags
		return nil
	}
	return refuse(ReasonIPTagsFixed, "annotation %s asks for IP tags that public IP %s has not, and Azure sets them only when an address is made; edit the Service to let it have a new address when no other uses this one, or set enableIPTagMutationForExistingPublicIP in the cloud config",
		intent.KeyAzureIPTags, p.Name)
}

// otherIPTags is why a Service whose public IP is made anew is not served yet.
const otherIPTags = "the public IP is deleted, since Azure sets other IP tags only on a new one; it is made anew now"

func (t *turn) setIPTags(a *ask, p *publicIP) {
	want, asked := a.wantedIPTags()
	if !asked || equalIPTags(want, p.doc.Properties.IPTags) {
		return
	}
	p.edit(a, plan.Diff{Field: "ipTags", Have: ipTagsText(p.doc.Properties.IPTags), Want: ipTagsText(want)}, want, "properties", "ipTags")
}

// releasePublicIPs lets go of the public IPs that were made for a Service of
// the batch and that it uses no more.
func (t *turn) releasePublicIPs() {
	for _, a := range t.asks {
		for _, p := range t.tagged[names.Key(a.service())] {
			if t.leftovers && !t.proves(p) {
				continue
			}
			if p.taggedFor(a.service(), t.settings.Cluster) && !a.uses(p) && a.madeFor(p) {
				t.release(a, p)
			}
		}
	}
}

// madeFor reports whether a public IP with the Service's tag is this one's, and
// not that of another Service which has its name by now.
func (a *ask) madeFor(p *publicIP) bool { return !a.outlived || strings.Contains(p.Name, a.base) }

func (a *ask) uses(p *publicIP) bool {
	for _, fr := range a.fronts {
		if fr.publicIP == p {
			return true
		}
	}
	return false
}

func (t *turn) release(a *ask, p *publicIP) {
	rest := names.WithoutService(p.serviceTag(), a.service())
	if rest == "" {
		if t.leftovers && t.claimant(p) != nil {
			return
		}
		if why := t.attachedElsewhere(p); why != "" {
			a.warn(ReasonPublicIPKept, fmt.Sprintf("public IP %s of resource group %s is not deleted, since %s uses it", p.Name, p.group, why))
			return
		}
		p.remove = true
		p.diffs = nil
		p.change(a.key)
		return
	}
	// The peer leaves its name on an address that others use, until it goes.
	if a.serve() && !a.edited() && !t.moved(a) {
		return
	}
	p.late = true
	t.retag(a, p, rest)
	if names.Same(p.labelTag(), a.service()) {
		for _, key := range []string{names.TagDNSService, names.TagDNSServiceLegacy} {
			p.raw = unset(p.raw, "tags", key)
		}
		p.reload()
	}
}

// attachedElsewhere is what uses the public IP and stays; empty for nothing.
func (t *turn) attachedElsewhere(p *publicIP) string {
	for _, b := range t.sortedBalancers() {
		for _, f := range b.frontends.all() {
			if names.Same(f.Properties.PublicIPAddress.id(), p.ID) {
				return b.frontendID(f.Name)
			}
		}
	}
	id := p.doc.Properties.IPConfiguration.id()
	if id == "" || t.dropped[names.Key(id)] != nil {
		return ""
	}
	if _, ours := t.balancers[names.Key(names.Segment(id, "loadBalancers"))]; ours {
		return "" // the load balancer says that it has no such frontend any more
	}
	return id
}

// retag sets the tag that lists the Services of the public IP.
func (t *turn) retag(a *ask, p *publicIP, services string) {
	key := names.TagService
	if _, has := p.doc.Tags[key]; !has && p.doc.Tags[names.TagServiceLegacy] != "" {
		key = names.TagServiceLegacy
	}
	p.edit(a, plan.Diff{Field: "tag " + key, Have: p.serviceTag(), Want: services}, services, "tags", key)
}
