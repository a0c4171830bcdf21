// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addressesField keeps the private addresses of an instance's interfaces, by
// interface and IP configuration. It is the simulator's own: a real answer does
// not have it, and no client may read it.
const addressesField = "simPrivateIPAddresses"

// publicAddressesField is the same for public addresses.
const publicAddressesField = "simPublicIPAddresses"

// networkConfigs are the interface configurations of a scale set's model.
func networkConfigs(doc object) []object {
	return elements(child(doc, "properties", "virtualMachineProfile", "networkProfile"), "networkInterfaceConfigurations")
}

// instanceConfigs are the interface configurations of an instance.
func instanceConfigs(doc object) []object {
	return elements(child(doc, "properties", "networkProfileConfiguration"), "networkInterfaceConfigurations")
}

// prepareScaleSet judges a scale set. New ones are made by sites, not by PUT.
func prepareScaleSet(w *write) *refusal {
	if w.prior == nil {
		return bad("OperationNotAllowed", "Scale set %s does not exist, and the simulator makes none by PUT.", w.id.path)
	}
	if old, now := text(w.prior.doc, "properties", "orchestrationMode"), text(w.next, "properties", "orchestrationMode"); old != now {
		return bad("PropertyChangeNotAllowed", "Changing property 'orchestrationMode' is not allowed.")
	}
	if refused := checkZones(w.id.path, w.prior.doc, w.next); refused != nil {
		return refused
	}
	return w.checkConfigs(networkConfigs(w.next), "VMScaleSetCannotUseMultipleLoadBalancersOfSameType")
}

// checkConfigs judges the interface configurations of a model or an instance.
func (w *write) checkConfigs(configs []object, tooMany string) *refusal {
	if len(configs) == 0 {
		return bad("NetworkProfileMissing", "Resource %s has no network interface configuration.", w.id.path)
	}
	primaries := 0
	for _, config := range configs {
		p := child(config, "properties")
		if text(config, "name") == "" || len(elements(p, "ipConfigurations")) == 0 {
			return bad("InvalidRequestContent", "Interface configuration '%s' of %s needs a name and IP configurations.",
				text(config, "name"), w.id.path)
		}
		if isTrue(p, "primary") {
			primaries++
		}
		for _, ip := range elements(p, "ipConfigurations") {
			if refused := w.cloud.settled(reference(child(ip, "properties"), "subnet"), w.id.path); refused != nil {
				return refused
			}
		}
		if refused := w.cloud.checkMembership(w.resourceID(), tooMany, elements(p, "ipConfigurations")); refused != nil {
			return refused
		}
	}
	if len(configs) > 1 && primaries != 1 {
		return bad("InvalidParameter", "Exactly one interface configuration of %s must be primary; %d are.", w.id.path, primaries)
	}
	return nil
}

func scaleSetLinks(r *resource) []link {
	var links []link
	for _, config := range networkConfigs(r.doc) {
		for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
			for _, pool := range elements(child(ip, "properties"), backendPools) {
				links = append(links, link{kind: linkModel, from: r.id, to: key(text(pool, "id"))})
			}
		}
	}
	return links
}

// completeScaleSet makes as many instances as the capacity says.
func completeScaleSet(c *Cloud, r *resource) {
	if !strings.EqualFold(text(r.doc, "properties", "orchestrationMode"), "Uniform") {
		return
	}
	capacity, ok := number(child(r.doc, "sku"), "capacity")
	instances := c.instances(r.id)
	if !ok || capacity == len(instances) {
		return
	}
	for len(instances) > capacity {
		c.remove(instances[len(instances)-1])
		instances = instances[:len(instances)-1]
	}
	next := 0
	if len(instances) > 0 {
		n, err := strconv.Atoi(last(instances[len(instances)-1].id))
		if err == nil {
			next = n + 1
		}
	}
	for n := len(instances); n < capacity; n++ {
		c.addInstance(r, next)
		next++
	}
}

// instances are those of a uniform scale set, by number.
func (c *Cloud) instances(set string) []*resource {
	prefix := key(set) + "/virtualmachines/"
	byName := map[string]*resource{}
	names := []string{}
	for k, r := range c.resources {
		if strings.HasPrefix(k, prefix) {
			name := naturalKey(r)
			byName[name] = r
			names = append(names, name)
		}
	}
	slices.Sort(names)
	list := make([]*resource, len(names))
	for i, name := range names {
		list[i] = byName[name]
	}
	return list
}

// addInstance makes an instance as the scale set's model has it, pools
// included.
func (c *Cloud) addInstance(set *resource, n int) *resource {
	id := fmt.Sprintf("%s/virtualMachines/%d", set.id, n)
	configs := []any{}
	nics := []any{}
	for _, config := range networkConfigs(set.doc) {
		configs = append(configs, clone(config))
		nics = append(nics, object{"id": id + "/networkInterfaces/" + text(config, "name")})
	}
	sku := object{"name": text(set.doc, "sku", "name"), "tier": "Standard"}
	prefix := text(set.doc, "properties", "virtualMachineProfile", "osProfile", "computerNamePrefix")
	doc := object{
		"name": fmt.Sprintf("%s_%d", text(set.doc, "name"), n), "id": id, "type": Instances,
		"location": set.doc["location"], "instanceId": strconv.Itoa(n), "sku": sku,
		"properties": object{
			"hardwareProfile":             object{"vmSize": sku["name"]},
			"networkProfile":              object{"networkInterfaces": nics},
			"networkProfileConfiguration": object{"networkInterfaceConfigurations": configs},
			"osProfile":                   object{"computerName": computerName(prefix, n)},
			"provisioningState":           succeeded, "vmId": c.guid(),
		},
	}
	if zones := strs(set.doc, "zones"); len(zones) > 0 {
		doc["zones"] = []any{zones[n%len(zones)]}
	}
	c.placeInstance(doc)
	r := &resource{id: id, kind: c.kinds[key(Instances)], power: "running"}
	c.commit(r, doc)
	return r
}

// placeInstance gives the IP configurations of an instance their addresses. One
// whose subnet is full has none.
func (c *Cloud) placeInstance(doc object) {
	addresses, publics := object{}, object{}
	for _, config := range instanceConfigs(doc) {
		for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
			p := child(ip, "properties")
			addr, refused := c.place(placement{
				holder: configID(text(doc, "id"), config, ip), subnet: reference(p, "subnet"),
				v6: text(p, "privateIPAddressVersion") == "IPv6",
			})
			name := text(config, "name") + "/" + text(ip, "name")
			if refused == nil {
				addresses[name] = addr.String()
			}
			if child(p, publicConfigField) != nil {
				publics[name] = c.nextPublic("IPv4").String()
			}
		}
	}
	doc[addressesField] = addresses
	if len(publics) > 0 {
		doc[publicAddressesField] = publics
	}
}

// configID is the id of an IP configuration of an instance.
func configID(instance string, config, ip object) string {
	return instance + "/networkInterfaces/" + text(config, "name") + "/ipConfigurations/" + text(ip, "name")
}

// computerName is the prefix and six digits to the base of 36.
func computerName(prefix string, n int) string {
	digits := strconv.FormatInt(int64(n), 36)
	return prefix + strings.Repeat("0", max(0, 6-len(digits))) + strings.ToUpper(digits)
}

// prepareInstance judges an instance.
func prepareInstance(w *write) *refusal {
	if w.prior == nil {
		return refuse(http.StatusNotFound, "NotFound", "The entity was not found in this Azure location: %s.", w.id.path)
	}
	if refused := w.checkConfigs(instanceConfigs(w.next), "NetworkInterfaceUsesMultipleLoadBalancersOfSameType"); refused != nil {
		return refused
	}
	for _, config := range instanceConfigs(w.prior.doc) {
		now := named(instanceConfigs(w.next), text(config, "name"))
		if now == nil {
			return bad("NetworkInterfaceConfigurationCannotBeRemoved", "Interface %s of %s cannot be removed.",
				text(config, "name"), w.id.path)
		}
		for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
			if named(elements(child(now, "properties"), "ipConfigurations"), text(ip, "name")) == nil {
				return bad("IPConfigurationCannotBeRemoved", "IP configuration %s of interface %s of %s is missing.",
					text(ip, "name"), text(config, "name"), w.id.path)
			}
		}
	}
	return nil
}

func instanceLinks(r *resource) []link {
	var links []link
	addresses := child(r.doc, addressesField)
	for _, config := range instanceConfigs(r.doc) {
		for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
			addr, _ := netip.ParseAddr(text(addresses, text(config, "name")+"/"+text(ip, "name")))
			links = append(links, configLinks(configID(r.id, config, ip), child(ip, "properties"), addr)...)
		}
	}
	return links
}
