// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestANewNodeIsNotDeletedByALateAnswer lets AWS forget an instance for a while
// after it was started.
func TestANewNodeIsNotDeletedByALateAnswer(t *testing.T) {
	r := newRig(t, awssim.Options{Lag: awssim.Lag{EC2: time.Minute}})
	id := r.site.Launch(1)[0]
	node := r.node(t, "new", "aws:///us-east-1a/"+id, young(r))
	r.exists(t, node, true)
	if _, err := r.Instances().InstanceMetadata(t.Context(), node); !errors.Is(err, cloudprovider.InstanceNotFound) {
		t.Errorf("metadata of what is not shown: %v", err)
	}
	if down, err := r.Instances().InstanceShutdown(t.Context(), node); down || err != nil {
		t.Errorf("shut down: %t, %v", down, err)
	}
	r.cloud.Advance(2 * time.Minute)
	r.clock.Step(6 * time.Minute)
	r.exists(t, node, true)
}

// TestALateListAloneDeletesNoNode shows an old node in no list, but by itself.
func TestALateListAloneDeletesNoNode(t *testing.T) {
	r := newRig(t, awssim.Options{})
	node := r.launch(t, 1)[0]
	r.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeInstances" && c.Form.Has("InstanceId.1") {
			return awssim.Refuse(500, "InternalError")
		}
		return nil
	})
	id := node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
	r.cloud.Forget(id)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if ok, err := r.Instances().InstanceExists(ctx, node); err == nil {
		t.Errorf("exists %t though AWS did not answer", ok)
	}
	r.cloud.SetFault(nil)
	r.restart()
	r.exists(t, node, false)
}

func TestStatesOfInstances(t *testing.T) {
	for state, want := range map[string]struct{ exists, down bool }{
		"pending": {true, false}, "running": {true, false}, "stopping": {true, false}, "stopped": {true, true},
		"shutting-down": {true, false}, "terminated": {false, false},
	} {
		t.Run(state, func(t *testing.T) {
			r := newRig(t, awssim.Options{})
			node := r.launch(t, 1)[0]
			young(r)(node)
			id := node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
			if err := r.cloud.SetPower(id, state); err != nil {
				t.Fatal(err)
			}
			r.exists(t, node, want.exists)
			if down, err := r.Instances().InstanceShutdown(t.Context(), node); down != want.down || err != nil {
				t.Errorf("shut down: %t, %v", down, err)
			}
		})
	}
}

func TestProviderIDs(t *testing.T) {
	r := newRig(t, awssim.Options{})
	ids := r.site.Launch(3)
	pod := r.site.Interface(r.site.NodeGroup)
	for name, c := range map[string]struct {
		id     string
		exists bool
		typed  bool // has an instance type
	}{
		"usual":              {"aws:///us-east-1a/" + ids[0], true, true},
		"without a zone":     {"aws:////" + ids[1], true, true},
		"the id alone":       {ids[2], true, true},
		"fargate":            {"aws:///us-east-1a/fargate-" + pod, true, false},
		"fargate by name":    {"aws:///us-east-1a/0a1b/fargate-ip-" + strings.ReplaceAll(pod, ".", "-") + ".ec2.internal", true, false},
		"fargate that ended": {"aws:///us-east-1a/fargate-10.9.9.9", false, false},
		"hybrid":             {"eks-hybrid:///us-east-1/cluster/mi-0123456789abcdef0", true, false},
		"hyperpod":           {"aws:///use1-az1/sagemaker/cluster/hyperpod-0a1b-i-0123456789abcdef0", true, false},
		"kwok":               {"kwok://node", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			node := r.node(t, strings.ReplaceAll(name, " ", "-"), c.id)
			r.exists(t, node, c.exists)
			if down, err := r.Instances().InstanceShutdown(t.Context(), node); down || err != nil {
				t.Errorf("shut down: %t, %v", down, err)
			}
			m, err := r.Instances().InstanceMetadata(t.Context(), node)
			if !c.exists {
				if !errors.Is(err, cloudprovider.InstanceNotFound) {
					t.Errorf("metadata: %v, %v", m, err)
				}
				return
			}
			if err != nil || m.ProviderID != c.id || (m.InstanceType != "") != c.typed {
				t.Errorf("metadata: %+v, %v", m, err)
			}
			if strings.HasPrefix(name, "fargate") && (m.NodeAddresses[0].Address != pod || m.Zone != "us-east-1a" || m.Region != "us-east-1") {
				t.Errorf("metadata: %+v", m)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	for name, families := range map[string][]cloudconfig.IPFamily{
		"ipv4": nil, "ipv6 ipv4": {cloudconfig.IPv6, cloudconfig.IPv4}, "ipv4 ipv6": {cloudconfig.IPv4, cloudconfig.IPv6},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, awssim.Options{}, func(o *instances.Options) { o.Families = families })
			id := r.site.Launch(1)[0]
			node := r.node(t, "n", "aws:///us-east-1a/"+id)
			m, err := r.Instances().InstanceMetadata(t.Context(), node)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, a := range m.NodeAddresses {
				kind := string(a.Type)
				if strings.Contains(a.Address, ":") {
					kind += "6"
				}
				kinds = append(kinds, kind)
			}
			v4 := "InternalIP InternalDNS Hostname"
			want := map[string]string{"ipv4": v4, "ipv6 ipv4": "InternalIP6 " + v4, "ipv4 ipv6": v4 + " InternalIP6"}[name]
			if diff := cmp.Diff(want, strings.Join(kinds, " ")); diff != "" {
				t.Errorf("addresses %v (-want +got):\n%s", m.NodeAddresses, diff)
			}
			if m.ProviderID != node.Spec.ProviderID || m.Zone != "us-east-1a" || m.Region != "us-east-1" || m.InstanceType == "" {
				t.Errorf("%+v", m)
			}
			if m.AdditionalLabels[instances.LabelZoneID] == "" || len(m.AdditionalLabels) != 1 {
				t.Errorf("labels %v", m.AdditionalLabels)
			}
		})
	}
}

// TestNodesWithoutProviderIDAreFoundByName finds instances by private name, all
// in one call, and by names that are ids.
func TestNodesWithoutProviderIDAreFoundByName(t *testing.T) {
	r := newRig(t, awssim.Options{})
	ids := r.site.Launch(3)
	byID := r.node(t, "known", "aws:///us-east-1a/"+ids[0])
	m, err := r.Instances().InstanceMetadata(t.Context(), byID)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	for _, a := range m.NodeAddresses {
		if a.Type == v1.NodeHostName {
			name = a.Address
		}
	}
	named, resource := r.node(t, name, ""), r.node(t, ids[1]+".us-east-1.compute.internal", "")
	for node, id := range map[*v1.Node]string{named: ids[0], resource: ids[1]} {
		m, err := r.Instances().InstanceMetadata(t.Context(), node)
		if err != nil || !strings.HasPrefix(m.ProviderID, "aws:///us-east-1") || !strings.HasSuffix(m.ProviderID, "/"+id) {
			t.Errorf("%s: %+v, %v", node.Name, m, err)
		}
		r.exists(t, node, true)
	}
	r.exists(t, r.node(t, "ip-10-9-9-9.ec2.internal", ""), false)
}

// An id that AWS cannot read tells nothing of an instance: the node stays.
func TestNodeWithAnIDOfAnotherFormIsNoMissingInstance(t *testing.T) {
	r := newRig(t, awssim.Options{})
	r.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeInstances" && c.Form.Get("InstanceId.1") == "i-fake" {
			return awssim.Refuse(http.StatusBadRequest, "InvalidInstanceID.Malformed")
		}
		return nil
	})
	if ok, err := r.Instances().InstanceExists(t.Context(), r.node(t, "fake", "aws:///us-east-1a/i-fake")); err == nil {
		t.Errorf("it exists: %t", ok)
	}
	r.exists(t, r.node(t, "gone", "aws:///us-east-1a/i-0fedcba9876543210"), false)
}

func TestAnInstanceThatComesLateIsFoundSoon(t *testing.T) {
	r := newRig(t, awssim.Options{Lag: awssim.Lag{EC2: 5 * time.Second}})
	ids := r.site.Launch(1)
	find := func(want int) {
		t.Helper()
		found, err := r.Find(t.Context(), ids, r.clock.Now().Add(-10*time.Minute))
		if err != nil || len(found) != want {
			t.Errorf("found %d, %v", len(found), err)
		}
	}
	find(0)
	r.cloud.Advance(time.Minute)
	r.clock.Step(time.Minute)
	find(1)
	r.cloud.ResetCalls()
	find(1)
	if n, list := r.reads(); n > 0 {
		t.Errorf("read again: %v", list)
	}
}

// TestNamesOfAnotherNetworkDoNotCount has two networks with the same addresses.
func TestNamesOfAnotherNetworkDoNotCount(t *testing.T) {
	r := newRig(t, awssim.Options{})
	other := r.cloud.NewSite(awssim.SiteOptions{})
	ours := r.site.Launch(1)[0]
	r.cloud.Advance(time.Minute)
	theirs := other.Launch(1)[0]
	found, err := r.Find(t.Context(), []string{ours, theirs}, r.clock.Now())
	if err != nil || found[ours].PrivateDNS != found[theirs].PrivateDNS {
		t.Fatalf("%v, %v", found, err)
	}
	meta, err := r.Instances().InstanceMetadata(t.Context(), r.node(t, found[ours].PrivateDNS, ""))
	if err != nil || !strings.HasSuffix(meta.ProviderID, ours) {
		t.Errorf("%+v, %v; want %s", meta, err, ours)
	}
}
