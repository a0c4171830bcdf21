// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
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
