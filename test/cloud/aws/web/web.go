// SPDX-License-Identifier: Apache-2.0

// Package web is a small cluster on a simulated AWS, as its users have it: the
// controller's cloud.conf, the Nodes as their kubelets register them, and the
// two Services that tests and the demo tell stories of.
package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Names of the Services.
const (
	NLB     = "web-nlb"     // of aws-nlb.yaml
	Classic = "web-classic" // of aws-classic.yaml
)

// ClusterName is the cluster's, in the controller's flag and in the tags.
const ClusterName = "rig"

// Objects are the manifests aws-nlb.yaml and aws-classic.yaml, in the folder
// objects.
//
//go:embed objects
var Objects embed.FS

// CloudConfig is cloud-provider-aws' cloud.conf for a site, with more lines of
// its section Global if there are any.
func CloudConfig(site *awssim.Site, more ...string) []byte {
	lines := append([]string{
		"[Global]", "Zone = " + awssim.DefaultRegion + "a", "VPC = " + site.VPC, "SubnetID = " + site.Private[0],
		"KubernetesClusterID = " + site.Cluster,
	}, more...)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// Environment are the variables that lead the SDK to a cloud that listens there.
func Environment(endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
}

// Machine is an instance of the site.
type Machine struct {
	ID        string     `json:"InstanceId"`
	Name      string     `json:"PrivateDnsName"`
	IP        netip.Addr `json:"PrivateIpAddress"`
	Placement struct{ AvailabilityZone string }
}

// Machines are the instances of a state, as the cloud's State has it, by their
// addresses.
func Machines(state []byte) ([]Machine, error) {
	var s struct {
		Reservations []struct{ Instances []Machine }
	}
	if err := json.Unmarshal(state, &s); err != nil {
		return nil, fmt.Errorf("the state of the cloud: %w", err)
	}
	var out []Machine
	for _, r := range s.Reservations {
		out = append(out, r.Instances...)
	}
	slices.SortFunc(out, func(a, b Machine) int { return a.IP.Compare(b.IP) })
	return out, nil
}

// Node is the machine's Node, as its kubelet registers it where it was told who
// it is.
func (m *Machine) Node() *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.Name, Labels: map[string]string{v1.LabelHostname: m.Name}},
		Spec:       v1.NodeSpec{ProviderID: "aws:///" + m.Placement.AvailabilityZone + "/" + m.ID},
		Status: v1.NodeStatus{
			Addresses:  []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: m.IP.String()}},
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady"}},
		},
	}
}

// NewNode is the machine's Node, as its kubelet registers it with an external
// cloud provider: tainted until the controller manager has initialized it, and
// with nothing but the name to tell the machine by.
func (m *Machine) NewNode() *v1.Node {
	n := m.Node()
	n.Spec = v1.NodeSpec{Taints: []v1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule}}}
	n.Status.Addresses = nil
	return n
}

// Balancing is the load balancing of a state, as text that two moments can be
// compared by: load balancers, target groups and security groups with their
// rules.
func Balancing(state []byte) (string, error) {
	var s map[string]json.RawMessage
	if err := json.Unmarshal(state, &s); err != nil {
		return "", fmt.Errorf("the state of the cloud: %w", err)
	}
	for _, kind := range []string{"AvailabilityZones", "InternetGateways", "Reservations", "RouteTables", "Subnets", "Vpcs", "Addresses"} {
		delete(s, kind)
	}
	rest, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return awssim.Normalise(rest)
}
