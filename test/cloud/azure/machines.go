// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"net/http"

	"strings"
)

// machineLinks are the interfaces and sets of a machine.
func machineLinks(r *resource) []link {
	var links []link
	props := child(r.doc, "properties")
	for _, nic := range elements(child(props, "networkProfile"), "networkInterfaces") {
		links = append(links, link{kind: linkMachine, from: r.id, to: key(text(nic, "id"))})
	}
	for _, field := range []string{"availabilitySet", "virtualMachineScaleSet"} {
		if set := reference(props, field); set != "" {
			links = append(links, link{kind: linkSet, from: r.id, to: key(set)})
		}
	}
	return links
}

func deriveAvailabilitySet(c *Cloud, r *resource) {
	r.answer = nil
	setList(properties(r.doc), "virtualMachines", references(c.index.from(r.id, linkSet)))
}

// instanceView is the run-time state of a machine.
func instanceView(r *resource) object {
	power := r.power
	if power == "" {
		power = "running"
	}
	status := func(code, display string) object {
		return object{"code": code, "level": "Info", "displayStatus": display}
	}
	return object{
		"computerName":        text(r.doc, "properties", "osProfile", "computerName"),
		"platformFaultDomain": jsonNumber(0),
		"statuses": []any{
			status("ProvisioningState/"+strings.ToLower(r.state()), "Provisioning "+strings.ToLower(r.state())),
			status("PowerState/"+power, "VM "+power),
		},
	}
}

// readScaleSetNICs answers about the interfaces of a uniform scale set, of one
// of its instances, or about one interface.
func (c *Cloud) readScaleSetNICs(r *http.Request, id resourceID) *answer {
	depth := len(id.types) - 1
	owner := up(id.path, 1)
	if !id.collection() {
		owner = up(id.path, 2)
	}
	of := c.resources[key(owner)]
	if of == nil || depth == 1 && of.kind.name != ScaleSets || depth == 2 && of.kind.name != Instances || depth > 2 {
		missing, _ := parseID(owner)
		return missingResource(missing).answer()
	}
	list := []*resource{of}
	if depth == 1 {
		list = c.instances(of.id)
	}
	documents := []json.RawMessage{}
	for _, instance := range list {
		for _, config := range instanceConfigs(instance.doc) {
			doc := scaleSetNIC(instance, config)
			if !id.collection() && strings.EqualFold(text(config, "name"), id.name()) {
				return withETag(jsonAnswer(http.StatusOK, doc), doc)
			}
			documents = append(documents, jsonAnswer(http.StatusOK, doc).body)
		}
	}
	if !id.collection() {
		return missingResource(id).answer()
	}
	return c.page(r, documents)
}

// scaleSetNIC is the interface that an instance's configuration describes.
func scaleSetNIC(instance *resource, config object) object {
	etag := `W/"00000000-0000-4000-9000-` + strings.Repeat("0", 12)
	n := strings.Trim(text(instance.doc, "etag"), `"`)
	etag = etag[:max(0, len(etag)-len(n))] + n + `"`
	id := instance.id + "/networkInterfaces/" + text(config, "name")
	p := child(config, "properties")
	configs := []any{}
	for _, ip := range elements(p, "ipConfigurations") {
		props := clone(child(ip, "properties"))
		props["provisioningState"] = succeeded
		props["privateIPAllocationMethod"] = "Dynamic"
		orDefault(props, "privateIPAddressVersion", "IPv4")
		if addr := text(instance.doc, addressesField, text(config, "name")+"/"+text(ip, "name")); addr != "" {
			props["privateIPAddress"] = addr
		}
		configs = append(configs, object{
			"name": text(ip, "name"), "id": id + "/ipConfigurations/" + text(ip, "name"), "etag": etag, "properties": props,
		})
	}
	props := object{
		"provisioningState": succeeded, "ipConfigurations": configs, "primary": isTrue(p, "primary"),
		"enableIPForwarding": isTrue(p, "enableIPForwarding"), "enableAcceleratedNetworking": isTrue(p, "enableAcceleratedNetworking"),
		"virtualMachine": object{"id": instance.id}, "dnsSettings": object{"dnsServers": []any{}, "appliedDnsServers": []any{}},
	}
	if group := reference(p, "networkSecurityGroup"); group != "" {
		props["networkSecurityGroup"] = object{"id": group}
	}
	return object{"name": text(config, "name"), "id": id, "etag": etag, "properties": props}
}
