// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudprovider "k8s.io/cloud-provider"
	cloudproviderapi "k8s.io/cloud-provider/api"
)

const zonesConfig = `
apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  zones:
  - {name: a, region: north, cidrs: [10.0.1.0/24, "2001:db8:1::/64"]}
  - name: b
    nodeSelectors: [{matchLabels: {rack: b}}]
  - {name: rest, region: north, cidrs: [10.0.0.0/8]}
`

func node(edits ...func(*v1.Node)) *v1.Node {
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	for _, e := range edits {
		e(n)
	}
	return n
}

func addresses(list ...v1.NodeAddress) func(*v1.Node) {
	return func(n *v1.Node) { n.Status.Addresses = list }
}

func internal(a string) v1.NodeAddress { return v1.NodeAddress{Type: v1.NodeInternalIP, Address: a} }

func external(a string) v1.NodeAddress { return v1.NodeAddress{Type: v1.NodeExternalIP, Address: a} }
func hostname(a string) v1.NodeAddress { return v1.NodeAddress{Type: v1.NodeHostName, Address: a} }

func told(ips string) func(*v1.Node) {
	return func(n *v1.Node) {
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, cloudproviderapi.AnnotationAlphaProvidedIPAddr, ips)
	}
}

func providerID(id string) func(*v1.Node) { return func(n *v1.Node) { n.Spec.ProviderID = id } }

func uninitialised(n *v1.Node) {
	n.Spec.Taints = []v1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider, Effect: v1.TaintEffectNoSchedule}}
}

func TestInstanceMetadata(t *testing.T) {
	c := newCluster(t, zonesConfig)
	for _, tc := range []struct {
		name string
		node *v1.Node
		want *cloudprovider.InstanceMetadata
		err  string
	}{
		{
			name: "keeps the addresses of the status in their order",
			node: node(addresses(hostname("host"), internal("10.0.1.7"), external("203.0.113.7"), internal("2001:db8::7"))),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "metal://n1", Zone: "a", Region: "north",
				NodeAddresses: []v1.NodeAddress{hostname("host"), internal("10.0.1.7"), external("203.0.113.7"), internal("2001:db8::7")},
			},
		},
		{
			name: "takes those that the kubelet was told before those of the status",
			node: node(told("10.9.9.9, 2001:db8:1::9"), addresses(internal("10.0.1.7"), hostname("host"), external("203.0.113.7"))),
			want: &cloudprovider.InstanceMetadata{
				ProviderID: "metal://n1", Zone: "a", Region: "north",
				NodeAddresses: []v1.NodeAddress{internal("10.9.9.9"), internal("2001:db8:1::9"), hostname("host"), external("203.0.113.7")},
			},
		},
		{
			name: "gives a new node its name as host name",
			node: node(told("192.0.2.1"), uninitialised),
			want: &cloudprovider.InstanceMetadata{ProviderID: "metal://n1", NodeAddresses: []v1.NodeAddress{internal("192.0.2.1"), hostname("n1")}},
		},
		{
			name: "finds the zone by label, and the first that matches counts",
			node: node(addresses(internal("10.0.2.7")), func(n *v1.Node) { n.Labels = map[string]string{"rack": "b"} }),
			want: &cloudprovider.InstanceMetadata{ProviderID: "metal://n1", Zone: "b", NodeAddresses: []v1.NodeAddress{internal("10.0.2.7"), hostname("n1")}},
		},
		{
			name: "leaves an initialised node of another system as it is",
			node: node(providerID("k3s://n1")),
			want: &cloudprovider.InstanceMetadata{ProviderID: "k3s://n1"},
		},
		{
			name: "initialises a node with the ID of another system",
			node: node(providerID("k3s://n1"), uninitialised, told("10.0.2.7")),
			want: &cloudprovider.InstanceMetadata{ProviderID: "k3s://n1", Zone: "rest", Region: "north", NodeAddresses: []v1.NodeAddress{internal("10.0.2.7"), hostname("n1")}},
		},
		{
			name: "says what to do where no address is known",
			node: node(uninitialised, addresses(hostname("host"))),
			err:  "node n1: status.addresses has no InternalIP, and without a cloud nobody else knows it; start its kubelet with --node-ip",
		},
		{
			name: "says what is wrong with the address that the kubelet was told",
			node: node(told("10.0.0.1,nonsense")),
			err:  `node n1: annotation alpha.kubernetes.io/provided-node-ip "10.0.0.1,nonsense": "nonsense" is no IP address; correct --node-ip of its kubelet`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := tc.node.DeepCopy()
			got, err := c.provider.Instances().InstanceMetadata(t.Context(), tc.node)
			if text := errText(err); text != tc.err {
				t.Errorf("error %q, want %q", text, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.node); diff != "" {
				t.Errorf("the node was changed:\n%s", diff)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNodesAreNeverGoneNorShutDown(t *testing.T) {
	in := newCluster(t, zonesConfig).provider.Instances()
	for _, n := range []*v1.Node{node(), node(providerID("k3s://x")), node(uninitialised)} {
		exists, err := in.InstanceExists(t.Context(), n)
		if !exists || err != nil {
			t.Errorf("exists %v, %v", exists, err)
		}
		down, err := in.InstanceShutdown(t.Context(), n)
		if down || err != nil {
			t.Errorf("shut down %v, %v", down, err)
		}
	}
}
