// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"fmt"
	"strings"
	"testing"

	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestTopologyLabels gives an instance a place in the network.
func TestTopologyLabels(t *testing.T) {
	r := newRig(t, awssim.Options{})
	nodes := r.launch(t, 120)
	id := nodes[0].Spec.ProviderID[strings.LastIndex(nodes[0].Spec.ProviderID, "/")+1:]
	if err := r.cloud.SetTopology(id, "p4d.24xlarge", "nn-1", "nn-2", "nn-3"); err != nil {
		t.Fatal(err)
	}
	var first *cloudprovider.InstanceMetadata
	for i, node := range nodes {
		m, err := r.Instances().InstanceMetadata(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = m
		} else if len(m.AdditionalLabels) != 1 {
			t.Errorf("%s: %v", node.Name, m.AdditionalLabels)
		}
	}
	for i, want := range []string{"nn-1", "nn-2", "nn-3"} {
		if got := first.AdditionalLabels[fmt.Sprint(instances.LabelNetworkNode, i+1)]; got != want {
			t.Errorf("layer %d: %q", i+1, got)
		}
	}
	if _, by := r.reads(); by["ec2.DescribeInstanceTopology"] > 2 {
		t.Errorf("%v", by)
	}
}

// TestTopologyOnSeveralPages has the places of instances that are asked for
// together on pages of their own.
func TestTopologyOnSeveralPages(t *testing.T) {
	r := newRig(t, awssim.Options{PageSize: 1})
	nodes := r.launch(t, 3)
	for i, node := range nodes {
		if err := r.cloud.SetTopology(node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:], "p4d.24xlarge", fmt.Sprint("nn-", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i, node := range nodes {
		m, err := r.Instances().InstanceMetadata(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := m.AdditionalLabels[instances.LabelNetworkNode+"1"], fmt.Sprint("nn-", i); got != want {
			t.Errorf("%s: %q, want %q", node.Name, got, want)
		}
	}
}

// TestTopologyThatMayNotBeReadIsLeftOut denies it, and lets it fail.
func TestTopologyThatMayNotBeReadIsLeftOut(t *testing.T) {
	for code, want := range map[string]bool{"UnauthorizedOperation": true, "UnsupportedOperation": true, "InvalidParameterValue": false} {
		t.Run(code, func(t *testing.T) {
			r := newRig(t, awssim.Options{})
			nodes := r.launch(t, 2)
			id := nodes[0].Spec.ProviderID[strings.LastIndex(nodes[0].Spec.ProviderID, "/")+1:]
			if err := r.cloud.SetTopology(id, "trn1.32xlarge", "nn-1"); err != nil {
				t.Fatal(err)
			}
			r.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
				if c.Action == "DescribeInstanceTopology" {
					return awssim.Refuse(400, code)
				}
				return nil
			})
			_, err := r.Instances().InstanceMetadata(t.Context(), nodes[0])
			if (err == nil) != want {
				t.Errorf("of a type whose place must be known: %v", err)
			}
			if _, err := r.Instances().InstanceMetadata(t.Context(), nodes[1]); err != nil {
				t.Errorf("of another type: %v", err)
			}
		})
	}
}
