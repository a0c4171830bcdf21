// SPDX-License-Identifier: Apache-2.0

// Package votefront is a small cluster on a simulated Azure, as its users have
// it: what the installer and an administrator made in the cloud, the
// controller's azure.json, the Nodes as their kubelets register them, and the
// two Services that tests and the demo tell stories of.
package votefront

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// Names of the site.
const (
	Group        = "vote"         // the resource group
	ClusterName  = "kubernetes"   // and so that of the load balancer
	ScaleSet     = "nodepool1"    // of all nodes
	OutboundIP   = "outbound"     // the public IP of the cluster's own connections
	OutboundRule = "outboundRule" // its rule in the load balancer
	OutboundPool = "outboundPool" // and its pool
	StaticIP     = "mysql-ip"     // a public IP that an administrator made
)

// StaticAddress is the address of StaticIP.
func StaticAddress() netip.Addr { return netip.AddrFrom4([4]byte{13, 95, 156, 212}) }

// PodRange is the range of the Pods' addresses, of which each node has a part.
func PodRange() netip.Prefix { return netip.MustParsePrefix("10.244.0.0/16") }

// ServiceRange is the range of cluster IPs. The Service mysql asks for one of
// it.
func ServiceRange() netip.Prefix { return netip.MustParsePrefix("10.0.0.0/16") }

// Objects are the manifests azure-vote-front.yaml and
// azure-mysql-static-ip.yaml, in the folder objects.
//
//go:embed objects
var Objects embed.FS

// document is a JSON object.
type document = map[string]any

// Prepare makes the site in an empty cloud: network, security group, route
// table, a scale set with that many nodes, the load balancer with the outbound
// rule, and the static public IP.
func Prepare(cloud *azuresim.Cloud, nodes int) error {
	site, err := cloud.NewSite(azuresim.SiteOptions{Group: Group})
	if err != nil {
		return err
	}
	site.UniformScaleSet(ScaleSet, nodes)
	for _, name := range []string{OutboundIP, StaticIP} {
		_, err := cloud.Make(cloud.ID(Group, azuresim.PublicIPs, name), document{
			"location":   azuresim.DefaultLocation,
			"sku":        document{"name": "Standard"},
			"properties": document{"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
		})
		if err != nil {
			return err
		}
	}
	if err := outbound(cloud); err != nil {
		return err
	}
	return cloud.Edit(cloud.ID(Group, azuresim.PublicIPs, StaticIP), func(doc map[string]any) {
		if properties, ok := doc["properties"].(document); ok {
			properties["ipAddress"] = StaticAddress().String()
		}
	})
}

// outbound makes the load balancer as installers leave it, for the connections
// that nodes open.
func outbound(cloud *azuresim.Cloud) error {
	balancer := cloud.ID(Group, azuresim.LoadBalancers, ClusterName)
	frontend := document{"id": balancer + "/frontendIPConfigurations/" + OutboundIP}
	_, err := cloud.Make(balancer, document{
		"location": azuresim.DefaultLocation,
		"sku":      document{"name": "Standard"},
		"properties": document{
			"frontendIPConfigurations": []any{document{"name": OutboundIP, "properties": document{
				"publicIPAddress": document{"id": cloud.ID(Group, azuresim.PublicIPs, OutboundIP)},
			}}},
			"backendAddressPools": []any{document{"name": OutboundPool}},
			"outboundRules": []any{document{"name": OutboundRule, "properties": document{
				"protocol": "All", "idleTimeoutInMinutes": 30, "enableTcpReset": true,
				"frontendIPConfigurations": []any{frontend},
				"backendAddressPool":       document{"id": balancer + "/backendAddressPools/" + OutboundPool},
			}}},
		},
	})
	return err
}

// Balancing are the load balancers, public IPs and security groups of a state,
// as text that two moments can be compared by. The pool of all nodes is left
// out: it stays for the next Service, as with cloud-provider-azure.
func Balancing(state []json.RawMessage) (string, error) {
	var out []json.RawMessage
	for _, doc := range state {
		var head struct{ Type string }
		if err := json.Unmarshal(doc, &head); err != nil {
			return "", err
		}
		switch head.Type {
		case azuresim.LoadBalancers:
			doc, err := withoutPool(doc)
			if err != nil {
				return "", err
			}
			out = append(out, doc)
		case azuresim.PublicIPs, azuresim.SecurityGroups:
			out = append(out, doc)
		}
	}
	return azuresim.Normalise(out)
}

// withoutPool is a load balancer without the pool of all nodes.
func withoutPool(doc json.RawMessage) (json.RawMessage, error) {
	var balancer document
	if err := json.Unmarshal(doc, &balancer); err != nil {
		return nil, err
	}
	if properties, ok := balancer["properties"].(document); ok {
		pools, _ := properties["backendAddressPools"].([]any)
		properties["backendAddressPools"] = slices.DeleteFunc(pools, func(pool any) bool {
			p, _ := pool.(document)
			return p["name"] == ClusterName
		})
	}
	return json.Marshal(balancer)
}

// CloudConfig is azure.json for the site of a cloud that listens there, with
// more keys if there are any.
func CloudConfig(endpoint string, more map[string]any) ([]byte, error) {
	config := document{
		"cloud": "AzurePublicCloud", "resourceManagerEndpoint": endpoint,
		"tenantId": "22222222-2222-2222-2222-222222222222", "subscriptionId": azuresim.DefaultSubscription,
		"useManagedIdentityExtension": true,
		"resourceGroup":               Group, "location": azuresim.DefaultLocation,
		"vnetName": Group + "-vnet", "subnetName": Group + "-subnet",
		"securityGroupName": Group + "-nsg", "routeTableName": Group + "-routes",
		"vmType": "vmss", "loadBalancerSku": "standard",
	}
	maps.Copy(config, more)
	return json.MarshalIndent(config, "", "  ")
}

// Environment are the variables that lead a managed identity to the cloud's
// tokens.
func Environment(endpoint string) []string {
	return []string{"IDENTITY_ENDPOINT=" + endpoint + "/token", "IDENTITY_HEADER=any"}
}

// Node is the ith node, from 0, as its kubelet registers it with an external
// cloud provider: tainted until the controller manager has initialized it. The
// Pods' range is what kube-controller-manager gives it.
func Node(i byte) *v1.Node {
	name := fmt.Sprintf("%s%06d", ScaleSet, i)
	pods := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, i, 0}), 24).String()
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name}},
		Spec: v1.NodeSpec{
			PodCIDR: pods, PodCIDRs: []string{pods},
			Taints: []v1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule}},
		},
		Status: v1.NodeStatus{
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady"}},
		},
	}
}

// RegisteredNode is a Node whose kubelet was told where it runs and what its
// address is, so that a plan knows it before the controller manager does.
func RegisteredNode(i byte) *v1.Node {
	n := Node(i)
	instance := azuresim.New(azuresim.Options{}).ID(Group, azuresim.Instances, ScaleSet, strconv.Itoa(int(i)))
	n.Spec.ProviderID = "azure://" + instance
	n.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: NodeAddress(i).String()}}
	return n
}

// NodeAddress is the address that the cloud gives to the ith node, from 0.
func NodeAddress(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 240, 0, 4 + i}) }
