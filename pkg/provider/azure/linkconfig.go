// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// keyLinkPolicy is the switch of a subnet that lets private link services take
// addresses from it.
const keyLinkPolicy = "privateLinkServiceNetworkPolicies"

// linkWants is how a private link service shall be.
type linkWants struct {
	subnet     *subnetDocument
	addresses  []netip.Addr // fixed ones; the first is primary
	count      int
	names      []string
	proxy      bool
	visible    []string
	autoaccept []string
}

func (t *turn) linkWants(a *ask) (*linkWants, *subnetState, error) {
	o := a.options()
	name := linkSubnet(t.settings, a.item)
	s, ok := t.subnets[names.Key(name)]
	if !ok {
		return nil, nil, refuse(ReasonSubnetNotFound, "subnet %q for the private link service is not in virtual network %s of resource group %s; create it, or name one that is there in annotation %s",
			name, t.settings.Network, t.settings.networkGroup(), intent.KeyAzurePLSSubnet)
	}
	w := &linkWants{subnet: &s.doc, proxy: a.on(intent.KeyAzurePLSProxyProtocol)}
	w.addresses, _ = o.Addresses(intent.KeyAzurePLSAddresses)
	w.count, _ = o.Int(intent.KeyAzurePLSAddressCount)
	if w.count < len(w.addresses) {
		return nil, nil, refuse(ReasonUnsupported, "annotation %s is %d, but annotation %s has %d addresses; raise the number, or take addresses away",
			intent.KeyAzurePLSAddressCount, w.count, intent.KeyAzurePLSAddresses, len(w.addresses))
	}
	w.names, _ = o.Texts(intent.KeyAzurePLSNames)
	w.visible, _ = o.Texts(intent.KeyAzurePLSVisibility)
	if slices.Contains(w.visible, "*") {
		w.visible = []string{"*"}
	}
	w.autoaccept, _ = o.Texts(intent.KeyAzurePLSAutoApproval)
	return w, s, nil
}

// configureLink sets in the private link service what differs, by the peer's
// tests.
func (t *turn) configureLink(a *ask, l *privateLink) error {
	w, s, err := t.linkWants(a)
	if err != nil {
		return err
	}
	p := &l.doc.Properties
	edit := func(name, have, want string, value any) {
		l.raw = set(l.raw, value, "properties", name)
		l.change(a.key, plan.Diff{Field: name, Have: have, Want: want})
	}
	if !w.hasAddresses(p.IPConfigurations) {
		edit("ipConfigurations", addressesText(p.IPConfigurations), w.text(), w.ipConfigurations(l.Name))
	}
	if p.EnableProxyProtocol != w.proxy {
		edit("enableProxyProtocol", fmt.Sprint(p.EnableProxyProtocol), fmt.Sprint(w.proxy), w.proxy)
	}
	if !sameTexts(p.FQDNs, w.names) {
		edit("fqdns", strings.Join(p.FQDNs, " "), strings.Join(w.names, " "), append([]string{}, w.names...))
	}
	if !sameTexts(p.Visibility.Subscriptions, w.visible) || !sameTexts(p.AutoApproval.Subscriptions, w.autoaccept) {
		edit("visibility", strings.Join(p.Visibility.Subscriptions, " "), strings.Join(w.visible, " "), subscriptionsJSON(w.visible))
		edit("autoApproval", strings.Join(p.AutoApproval.Subscriptions, " "), strings.Join(w.autoaccept, " "), subscriptionsJSON(w.autoaccept))
	}
	t.tagLink(a, l)
	if l.exists && same(l.first, l.raw) {
		return nil
	}
	l.subnet = s
	if !names.Same(s.policy, "Disabled") && !s.opened {
		s.opened = true
		s.raw = set(s.raw, "Disabled", "properties", keyLinkPolicy)
	}
	return nil
}

func (t *turn) tagLink(a *ask, l *privateLink) {
	doc, diffs := t.retagged(l.raw, l.Tags, t.settings.Tags)
	if len(diffs) > 0 {
		l.raw = doc
		l.change(a.key, diffs...)
	}
}

func subscriptionsJSON(list []string) json.RawMessage {
	return object(field{"subscriptions", append([]string{}, list...)})
}

// hasAddresses reports whether the addresses are as wanted.
func (w *linkWants) hasAddresses(have []linkAddress) bool {
	if len(have) != w.count {
		return false
	}
	var fixed []netip.Addr
	for i := range have {
		p := &have[i].Properties
		static := names.Same(p.PrivateIPAllocationMethod, "Static")
		ip := parseAddr(p.PrivateIPAddress)
		if !names.Same(p.Subnet.id(), w.subnet.ID) || (static && !slices.Contains(w.addresses, ip)) {
			return false
		}
		if static {
			fixed = append(fixed, ip)
		}
		if p.Primary && (static != (len(w.addresses) > 0) || (static && ip != w.addresses[0])) {
			return false
		}
	}
	return len(fixed) == len(w.addresses)
}

// ipConfigurations are the private link service's as they are written.
func (w *linkWants) ipConfigurations(link string) []json.RawMessage {
	var out []json.RawMessage
	add := func(name string, primary bool, more ...field) {
		fields := append([]field{
			{"subnet", object(field{"id", w.subnet.ID})},
			{"primary", primary},
			{"privateIPAddressVersion", version(intent.V4)},
		}, more...)
		out = append(out, object(field{"name", name}, field{"properties", object(fields...)}))
	}
	for i, ip := range w.addresses {
		add(names.PrivateLinkStatic(w.subnet.Name, link, ip.String()), i == 0,
			field{"privateIPAllocationMethod", "Static"}, field{"privateIPAddress", ip.String()})
	}
	for i := range w.count - len(w.addresses) {
		add(names.PrivateLinkDynamic(w.subnet.Name, link, i), i == 0 && len(w.addresses) == 0,
			field{"privateIPAllocationMethod", "Dynamic"})
	}
	return out
}

func (w *linkWants) text() string {
	out := make([]string, 0, w.count)
	for _, ip := range w.addresses {
		out = append(out, ip.String())
	}
	for range w.count - len(w.addresses) {
		out = append(out, "dynamic")
	}
	return strings.Join(out, ",") + " of " + w.subnet.Name
}

func addressesText(have []linkAddress) string {
	out := make([]string, len(have))
	for i := range have {
		out[i] = have[i].Properties.PrivateIPAddress
	}
	return strings.Join(out, ",")
}

// subnetState is a subnet, and whether it is opened for private link services.
type subnetState struct {
	doc    subnetDocument
	raw    json.RawMessage
	etag   string
	policy string
	opened bool
}

func loadSubnet(raw json.RawMessage) (*subnetState, error) {
	s := &subnetState{raw: raw}
	var more struct {
		Etag       string `json:"etag"`
		Properties struct {
			Policy string `json:"privateLinkServiceNetworkPolicies"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &s.doc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &more); err != nil {
		return nil, err
	}
	s.etag, s.policy = more.Etag, more.Properties.Policy
	return s, nil
}
