// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"strings"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// short is the type in few letters.
func short(name string) string {
	words := map[string]string{
		azuresim.LoadBalancers: "LB", azuresim.SecurityGroups: "NSG", azuresim.PublicIPs: "PIP",
		azuresim.PrivateLinks: "PLS", azuresim.Interfaces: "NIC",
		azuresim.ScaleSets: "VMSS", azuresim.Instances: "VMSS VM", azuresim.Machines: "VM",
	}
	if word, ok := words[name]; ok {
		return word
	}
	if word := name[strings.LastIndexByte(name, '/')+1:]; word != "" {
		return word
	}
	return "zones" // of the provider itself
}
