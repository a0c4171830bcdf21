// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"net/netip"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// kind is what a node runs on. The zero value is none.
type kind uint8

const (
	ec2Instance kind = iota + 1 // or unknown yet: the node has no provider id
	fargate
	// elsewhere is what EC2 does not know: hybrid nodes, HyperPod's and other
	// clouds'. Nothing can be said of them but that they are somebody else's.
	elsewhere
)

// fargatePrefix begins the last part of the provider ids of Fargate.
const fargatePrefix = "fargate-"

// kindOf is what the node runs on.
func kindOf(node *v1.Node) kind {
	id := node.Spec.ProviderID
	if id == "" {
		return ec2Instance
	}
	if _, ok := names.InstanceID(id); ok {
		return ec2Instance
	}
	if _, ok := fargateAddress(id); ok {
		return fargate
	}
	return elsewhere
}

// Of is the node's instance; false for what EC2 does not know, and for a node
// without a provider id that is not named after its instance.
func Of(node *v1.Node) (id string, ok bool) { return instanceID(node) }

// Managed reports whether the node runs on an instance, or is not initialised
// yet. Other nodes have their addresses from elsewhere.
func Managed(node *v1.Node) bool { return kindOf(node) == ec2Instance }

// instanceID is the node's instance, by its provider id or, where nodes are
// named after instances, by its name.
func instanceID(node *v1.Node) (string, bool) {
	if node.Spec.ProviderID != "" {
		return names.InstanceID(node.Spec.ProviderID)
	}
	id, _, _ := strings.Cut(node.Name, ".")
	return id, strings.HasPrefix(id, "i-")
}

// fargateAddress is the address in a provider id of Fargate: fargate-ADDRESS,
// or fargate-ip-10-0-0-1 and the rest of a name in DNS.
func fargateAddress(providerID string) (netip.Addr, bool) {
	rest, ok := strings.CutPrefix(providerID, "aws://")
	if !ok {
		return netip.Addr{}, false
	}
	text, ok := strings.CutPrefix(rest[strings.LastIndexByte(rest, '/')+1:], fargatePrefix)
	if !ok {
		return netip.Addr{}, false
	}
	if dashed, ok := strings.CutPrefix(text, "ip-"); ok {
		host, _, _ := strings.Cut(dashed, ".")
		text = strings.ReplaceAll(host, "-", ".")
	}
	ip, err := netip.ParseAddr(text)
	return ip, err == nil && ip.Is4()
}
