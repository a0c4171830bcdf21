// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// ofScaleSet reports whether a path ends in a network resource that lives in a
// uniform scale set.
func ofScaleSet(id resourceID) bool {
	if !strings.EqualFold(id.namespace, "Microsoft.Compute") || len(id.types) < 2 {
		return false
	}
	noun := id.types[len(id.types)-1]
	return strings.EqualFold(noun, "networkInterfaces") || strings.EqualFold(noun, "publicIPAddresses") && id.collection()
}

// readScaleSetNetwork answers about the interfaces or public IPs of a uniform
// scale set, of one of its instances, or about one interface.
func (c *Cloud) readScaleSetNetwork(r *http.Request, id resourceID) *answer {
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
			if !strings.EqualFold(id.types[depth], "networkInterfaces") {
				documents = append(documents, scaleSetPublicIPs(instance, config)...)
				continue
			}
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
		if public, ok := props[publicConfigField].(object); ok {
			props["publicIPAddress"] = object{"id": publicIPOf(id, ip, public)}
			delete(props, publicConfigField)
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

// publicConfigField asks for a public IP of the instance's own.
const publicConfigField = "publicIPAddressConfiguration"

func publicIPOf(nic string, ip, public object) string {
	return nic + "/ipConfigurations/" + text(ip, "name") + "/publicIPAddresses/" + text(public, "name")
}

// scaleSetPublicIPs are the public IPs of an instance's interface.
func scaleSetPublicIPs(instance *resource, config object) []json.RawMessage {
	var documents []json.RawMessage
	nic := instance.id + "/networkInterfaces/" + text(config, "name")
	for _, ip := range elements(child(config, "properties"), "ipConfigurations") {
		public := child(ip, "properties", publicConfigField)
		if public == nil {
			continue
		}
		documents = append(documents, jsonAnswer(http.StatusOK, object{
			"name": text(public, "name"), "id": publicIPOf(nic, ip, public),
			"properties": object{
				"provisioningState": succeeded, "publicIPAllocationMethod": "Dynamic", "publicIPAddressVersion": "IPv4",
				"ipAddress":       text(instance.doc, publicAddressesField, text(config, "name")+"/"+text(ip, "name")),
				"ipConfiguration": object{"id": nic + "/ipConfigurations/" + text(ip, "name")},
			},
		}).body)
	}
	return documents
}
