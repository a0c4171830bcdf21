// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"fmt"
	"strings"
)

// The api-versions, each that of the SDK's newest module for the types.
const (
	networkVersion   = "2025-05-01" // armnetwork v9
	computeVersion   = "2025-04-01" // armcompute v7
	providersVersion = "2021-04-01" // armresources
	// scaleSetNetworkVersion is the only one that lists what belongs to
	// instances of scale sets: armnetwork v9, InterfacesClient and
	// PublicIPAddressesClient.
	scaleSetNetworkVersion = "2018-10-01"
)

// resourceType is a type of resource that is asked for.
type resourceType struct {
	namespace string // such as Microsoft.Network
	kind      string // such as loadBalancers; the label in metrics
	noun      string // in sentences
	version   string
}

const (
	network = "Microsoft.Network"
	compute = "Microsoft.Compute"
)

// resourceTypes are all types that are asked for. A new one is one more line.
func resourceTypes() []resourceType {
	return []resourceType{
		{network, "loadBalancers", "load balancer", networkVersion},
		{network, "networkInterfaces", "network interface", networkVersion},
		{network, "networkSecurityGroups", "network security group", networkVersion},
		{network, "privateLinkServices", "private link service", networkVersion},
		{network, "privateLinkServices/privateEndpointConnections", "private endpoint connection", networkVersion},
		{network, "publicIPAddresses", "public IP", networkVersion},
		{network, "routeTables", "route table", networkVersion},
		{network, "virtualNetworks/subnets", "subnet", networkVersion},
		{compute, "virtualMachines", "virtual machine", computeVersion},
		{compute, "virtualMachineScaleSets", "scale set", computeVersion},
		{compute, "virtualMachineScaleSets/virtualMachines", "scale set instance", computeVersion},
		{compute, "virtualMachineScaleSets/networkInterfaces", "network interface of a scale set", scaleSetNetworkVersion},
		{compute, "virtualMachineScaleSets/publicIPAddresses", "public IP of a scale set", scaleSetNetworkVersion},
		{"", providerType, "resource provider", providersVersion},
	}
}

// providerType is the type of resource providers themselves, such as
// /subscriptions/S/providers/Microsoft.Compute.
const providerType = "providers"

// key finds a type: ids are compared without case.
func (t resourceType) key() string { return strings.ToLower(t.namespace + "/" + t.kind) }

// target is what a call is about.
type target struct {
	path         string // as the caller wrote it
	subscription string
	group        string // the resource group; empty outside of one
	name         string // the last name; empty for a collection
	resourceType
}

// typesByKey is the index of resourceTypes.
func typesByKey() map[string]resourceType {
	out := map[string]resourceType{}
	for _, t := range resourceTypes() {
		out[t.key()] = t
	}
	return out
}

// parsePath reads the id of a resource or the path of a collection, such as
// /subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers.
func parsePath(path string, types map[string]resourceType) (target, error) {
	t := target{path: path}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if !strings.HasPrefix(path, "/") || len(parts) < 4 || !strings.EqualFold(parts[0], "subscriptions") || hasEmpty(parts) {
		return t, fmt.Errorf("path %q is not of a subscription; write /subscriptions/S/... without empty parts", path)
	}
	t.subscription = parts[1]
	at := 2
	if strings.EqualFold(parts[2], "resourceGroups") {
		t.group, at = parts[3], 4
	}
	if len(parts) < at+2 || !strings.EqualFold(parts[at], "providers") {
		return t, fmt.Errorf("path %q names no resource provider; write .../providers/NAMESPACE/TYPE", path)
	}
	namespace, rest := parts[at+1], parts[at+2:]
	key := "/" + providerType
	if len(rest) == 0 {
		t.name = namespace
	} else {
		key = strings.ToLower(namespace + "/" + typeName(rest))
		if len(rest)%2 == 0 {
			t.name = rest[len(rest)-1]
		}
	}
	known, ok := types[key]
	if !ok {
		return t, fmt.Errorf("path %q is of a type whose api-version is not known here", path)
	}
	t.resourceType = known
	return t, nil
}

func hasEmpty(parts []string) bool {
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || strings.ContainsAny(p, "?#%") {
			return true
		}
	}
	return false
}

// typeName joins every other part: types and names alternate.
func typeName(parts []string) string {
	var out []string
	for i := 0; i < len(parts); i += 2 {
		out = append(out, parts[i])
	}
	return strings.Join(out, "/")
}

// String is the target in sentences, such as `load balancer kubernetes in rg`.
func (t target) String() string {
	what := t.noun
	if t.name == "" {
		what += "s"
	} else {
		what += " " + t.name
	}
	switch {
	case t.group != "":
		return what + " in " + t.group
	case t.namespace != "":
		return what + " in subscription " + t.subscription
	}
	return what
}

// scope is where a role would have to be granted.
func (t target) scope() string {
	if t.group != "" {
		return "resource group " + t.group
	}
	return "subscription " + t.subscription
}
