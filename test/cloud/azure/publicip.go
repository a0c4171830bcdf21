// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/netip"
	"regexp"
	"strings"
)

// preparePublicIP judges a public IP. Its address comes when the PUT is done.
func preparePublicIP(w *write) *refusal {
	if refused := w.checkSKU("Basic", "Standard"); refused != nil {
		return refused
	}
	if refused := checkZones(w.id.path, w.priorDoc(), w.next); refused != nil {
		return refused
	}
	props := properties(w.next)
	for _, refused := range []*refusal{
		choice(props, "publicIPAddressVersion", "IPv4", "IPv4", "IPv6"),
		choice(props, "publicIPAllocationMethod", "Dynamic", "Static", "Dynamic"),
		between(props, "idleTimeoutInMinutes", 4, 4, 30),
	} {
		if refused != nil {
			return refused
		}
	}
	standard := text(w.next, "sku", "name") == "Standard"
	if standard && text(props, "publicIPAllocationMethod") != "Static" {
		return bad("StandardSkuPublicIPAddressMustBeStatic",
			"Standard sku publicIp %s must have AllocationMethod set to Static.", w.id.path)
	}
	orDefault(props, "ipTags", []any{})
	orDefault(props, "ddosSettings", object{"protectionMode": "VirtualNetworkInherited"})
	before := child(w.priorDoc(), "properties")
	copyField(props, before, "ipAddress")
	copyField(props, before, "ipConfiguration")
	if refused := w.checkFixed(before); refused != nil {
		return refused
	}
	if refused := w.checkPrefix(); refused != nil {
		return refused
	}
	return w.checkLabel()
}

// checkFixed refuses changes of what a public IP is made with.
func (w *write) checkFixed(before object) *refusal {
	if before == nil {
		return nil
	}
	props := child(w.next, "properties")
	if old, now := text(before, "publicIPAddressVersion"), text(props, "publicIPAddressVersion"); old != now {
		return bad("PublicIPAddressVersionCannotBeChanged",
			"The version of public IP address %s cannot be changed from %s to %s.", w.prior.id, old, now)
	}
	old, now := reference(before, "publicIPPrefix"), reference(props, "publicIPPrefix")
	if !strings.EqualFold(old, now) {
		return bad("PublicIPPrefixCannotBeChanged",
			"The public IP prefix of %s cannot be changed from '%s' to '%s'.", w.prior.id, old, now)
	}
	return nil
}

// checkPrefix judges the prefix that an address is to come from.
func (w *write) checkPrefix() *refusal {
	id := reference(child(w.next, "properties"), "publicIPPrefix")
	if id == "" {
		return nil
	}
	if refused := w.cloud.settled(id, w.id.path); refused != nil {
		return refused
	}
	prefix := w.cloud.resources[key(id)]
	if text(prefix.doc, "properties", "publicIPAddressVersion") != text(w.next, "properties", "publicIPAddressVersion") {
		return bad("PublicIPPrefixVersionMismatch", "Public IP prefix %s is of another IP version than %s.", id, w.id.path)
	}
	if w.prior == nil {
		if _, ok := w.cloud.nextInPrefix(prefix); !ok {
			return bad("PublicIPPrefixOutOfIpAddresses", "Public IP prefix %s has no free address left.", id)
		}
	}
	return nil
}

// checkLabel judges the DNS label, which is unique in a region, and fills in
// the name that comes of it.
func (w *write) checkLabel() *refusal {
	dns := child(w.next, "properties", "dnsSettings")
	label := text(dns, "domainNameLabel")
	if label == "" {
		return nil
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{1,61}[a-z0-9]$`).MatchString(label) {
		return bad("InvalidDomainNameLabel", "The domain name label %s is invalid. "+
			"It must conform to the following regular expression: ^[a-z][a-z0-9-]{1,61}[a-z0-9]$.", label)
	}
	name := label + "." + strings.ReplaceAll(strings.ToLower(text(w.next, "location")), " ", "") + ".cloudapp.azure.com"
	for _, r := range w.cloud.resources {
		if r.kind.name == PublicIPs && r != w.prior && strings.EqualFold(text(r.doc, "properties", "dnsSettings", "fqdn"), name) {
			return bad("DnsRecordInUse", "DNS record %s is already used by another public IP.", name)
		}
	}
	dns["fqdn"] = name
	return nil
}

// completePublicIP gives a static address that is not there yet.
func completePublicIP(c *Cloud, r *resource) {
	props := properties(r.doc)
	if text(props, "ipAddress") != "" || text(props, "publicIPAllocationMethod") != "Static" {
		return
	}
	if id := reference(props, "publicIPPrefix"); id != "" {
		if addr, ok := c.nextInPrefix(c.resources[key(id)]); ok {
			props["ipAddress"] = addr.String()
		}
		return
	}
	props["ipAddress"] = c.nextPublic(text(props, "publicIPAddressVersion")).String()
}

// publicAddresses are all addresses that public IPs have.
func (c *Cloud) publicAddresses() map[string]bool {
	used := map[string]bool{}
	for _, r := range c.resources {
		if r.kind.name == PublicIPs {
			used[text(r.doc, "properties", "ipAddress")] = true
		}
	}
	return used
}

// nextPublic is the next free address outside of prefixes. One that was given
// up is not given again soon.
func (c *Cloud) nextPublic(version string) netip.Addr {
	at := &c.lastPublic
	if version == "IPv6" {
		at = &c.lastPublic6
	}
	used := c.publicAddresses()
	for {
		*at = at.Next()
		if !used[at.String()] {
			return *at
		}
	}
}

// nextInPrefix is the first free address of a public IP prefix.
func (c *Cloud) nextInPrefix(r *resource) (netip.Addr, bool) {
	if r == nil {
		return netip.Addr{}, false
	}
	prefix, err := netip.ParsePrefix(text(r.doc, "properties", "ipPrefix"))
	if err != nil {
		return netip.Addr{}, false
	}
	used := c.publicAddresses()
	for addr := prefix.Masked().Addr(); prefix.Contains(addr); addr = addr.Next() {
		if !used[addr.String()] {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

func publicIPLinks(r *resource) []link {
	if id := reference(child(r.doc, "properties"), "publicIPPrefix"); id != "" {
		return []link{{kind: linkPrefix, from: r.id, to: key(id)}}
	}
	return nil
}

func derivePublicIP(c *Cloud, r *resource) {
	r.answer = nil
	by := c.index.from(r.id, linkPublicIP)
	if len(by) == 0 {
		delete(properties(r.doc), "ipConfiguration")
		return
	}
	properties(r.doc)["ipConfiguration"] = object{"id": by[0]}
}

func publicIPInUse(c *Cloud, r *resource) *refusal {
	by := c.index.from(r.id, linkPublicIP)
	if len(by) == 0 {
		return nil
	}
	return bad("PublicIPAddressCannotBeDeleted",
		"Public IP address %s can not be deleted since it is still allocated to resource %s. "+
			"In order to delete the public IP, disassociate/detach the Public IP address from the resource.", r.id, by[0])
}

func derivePrefix(c *Cloud, r *resource) {
	r.answer = nil
	setList(properties(r.doc), "publicIPAddresses", references(c.index.from(r.id, linkPrefix)))
}
