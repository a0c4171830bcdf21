// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	cloudprovider "k8s.io/cloud-provider"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// idPrefix begins the provider IDs of our nodes; the name of the node follows.
const idPrefix = "metal://"

// instances answers for nodes. There is no cloud to ask, so a node is what it
// says of itself, and is never gone before its object is.
type instances struct{ *Provider }

// InstanceExists is always true: nobody but an administrator removes a node.
func (instances) InstanceExists(context.Context, *v1.Node) (bool, error) { return true, nil }

// InstanceShutdown is always false: whether the machine runs is not known.
func (instances) InstanceShutdown(context.Context, *v1.Node) (bool, error) { return false, nil }

// InstanceMetadata is the provider ID, the addresses that the node has, and
// its place by the configuration. An initialised node with the provider ID of
// another system is left as it is.
func (in instances) InstanceMetadata(_ context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	id := node.Spec.ProviderID
	if id == "" {
		id = idPrefix + node.Name
	}
	if !strings.HasPrefix(id, idPrefix) && initialised(node) {
		return &cloudprovider.InstanceMetadata{ProviderID: id}, nil
	}
	addresses, err := nodeAddresses(node)
	if err != nil {
		return nil, err
	}
	zone := place(in.config.Load().metal.Zones, addresses, node.Labels)
	return &cloudprovider.InstanceMetadata{
		ProviderID: id, NodeAddresses: addresses, Zone: zone.Name, Region: zone.Region,
	}, nil
}

func initialised(node *v1.Node) bool {
	return !slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool {
		return t.Key == cloudproviderapi.TaintExternalCloudProvider
	})
}

// nodeAddresses are those in the status, where the internal ones are replaced
// by those that the kubelet was told: it does not correct the status itself.
func nodeAddresses(node *v1.Node) ([]v1.NodeAddress, error) {
	told, err := toldAddresses(node)
	if err != nil {
		return nil, err
	}
	out := told
	internal, hostname := len(told) > 0, false
	for _, a := range node.Status.Addresses {
		if a.Type == v1.NodeInternalIP && len(told) > 0 {
			continue
		}
		internal = internal || a.Type == v1.NodeInternalIP
		hostname = hostname || a.Type == v1.NodeHostName
		out = append(out, a)
	}
	if !internal {
		return nil, fmt.Errorf("node %s: status.addresses has no InternalIP, and without a cloud nobody else knows it; start its kubelet with --node-ip", node.Name)
	}
	if !hostname {
		out = append(out, v1.NodeAddress{Type: v1.NodeHostName, Address: node.Name})
	}
	return out, nil
}

// toldAddresses are those of the kubelet's --node-ip.
func toldAddresses(node *v1.Node) ([]v1.NodeAddress, error) {
	text, ok := node.Annotations[cloudproviderapi.AnnotationAlphaProvidedIPAddr]
	if !ok {
		return nil, nil
	}
	var out []v1.NodeAddress
	for part := range strings.SplitSeq(text, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("node %s: annotation %s %q: %q is no IP address; correct --node-ip of its kubelet",
				node.Name, cloudproviderapi.AnnotationAlphaProvidedIPAddr, text, part)
		}
		out = append(out, v1.NodeAddress{Type: v1.NodeInternalIP, Address: a.Unmap().String()})
	}
	return out, nil
}

// place is the first zone that the node is in, and the zero zone if it is in
// none.
func place(zones []cloudconfig.Zone, addresses []v1.NodeAddress, set labels.Set) cloudconfig.Zone {
	for i := range zones {
		if inZone(&zones[i], addresses, set) {
			return zones[i]
		}
	}
	return cloudconfig.Zone{}
}

// inZone reports whether an address of the node is in the zone's prefixes, or
// its labels match. A zone with neither has no nodes.
func inZone(z *cloudconfig.Zone, addresses []v1.NodeAddress, set labels.Set) bool {
	for _, na := range addresses {
		a, err := netip.ParseAddr(na.Address)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(z.CIDRs, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return true
		}
	}
	return len(z.NodeSelectors) > 0 && z.NodeSelectors.Matches(set)
}
