// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestAtRestManyNodesTakeFewReads asks for all nodes every 5 minutes, and
// whether those that are not ready exist and stand still every 5 s, as upstream
// does.
func TestAtRestManyNodesTakeFewReads(t *testing.T) {
	const n, rounds, each = 500, 12, 5 * time.Second
	for _, c := range []struct{ down, most int }{{0, 60}, {1, 120}, {20, 120}, {250, 120}} {
		t.Run(fmt.Sprintf("%d are not ready", c.down), func(t *testing.T) {
			r := newRig(t, awssim.Options{})
			nodes := r.launch(t, n)
			perTick := n / 10 // metadata take 50 s of 5 min
			for range rounds {
				for tick := range int(5 * time.Minute / each) {
					for _, node := range nodes[n-c.down:] {
						if ok, err := r.Instances().InstanceExists(t.Context(), node); err != nil || !ok {
							t.Fatal(ok, err)
						}
						if _, err := r.Instances().InstanceShutdown(t.Context(), node); err != nil {
							t.Fatal(err)
						}
					}
					for _, node := range nodes[min(n, tick*perTick):min(n, (tick+1)*perTick)] {
						if _, err := r.Instances().InstanceMetadata(t.Context(), node); err != nil {
							t.Fatal(err)
						}
					}
					r.clock.Step(each)
				}
			}
			reads, by := r.reads()
			t.Logf("%d reads an hour: %v", reads, by)
			if reads > c.most {
				t.Errorf("%d reads an hour: %v", reads, by)
			}
		})
	}
}

// TestThoseWhoAskAtOnceShareCalls starts with all nodes at a time.
func TestThoseWhoAskAtOnceShareCalls(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(context.Context, instances.Instances, *v1.Node) error
		most int
	}{
		{"whether they exist", func(ctx context.Context, in instances.Instances, n *v1.Node) error {
			ok, err := in.InstanceExists(ctx, n)
			if !ok && err == nil {
				return errors.New("it does not exist")
			}
			return err
		}, 2},
		// The instances, their places in the network, and the zones.
		{"what they are", func(ctx context.Context, in instances.Instances, n *v1.Node) error {
			_, err := in.InstanceMetadata(ctx, n)
			return err
		}, 2 + 3 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, awssim.Options{Latency: awssim.Latencies{Read: 20 * time.Millisecond}})
			var all sync.WaitGroup
			for _, node := range r.launch(t, 300) {
				all.Go(func() {
					if err := c.ask(t.Context(), r.Instances(), node); err != nil {
						t.Errorf("%s: %v", node.Name, err)
					}
				})
			}
			all.Wait()
			if reads, by := r.reads(); reads > c.most {
				t.Errorf("%d reads: %v", reads, by)
			}
		})
	}
}

// TestOneUnknownInstanceCostsItselfAlone asks for one that AWS does not know
// among many.
func TestOneUnknownInstanceCostsItselfAlone(t *testing.T) {
	r := newRig(t, awssim.Options{})
	nodes := r.launch(t, 150)
	lost := r.node(t, "lost", "aws:///us-east-1a/i-0123456789abcdef0")
	for _, node := range nodes {
		r.exists(t, node, true)
	}
	r.exists(t, lost, false)
	r.exists(t, lost, false)
	reads, by := r.reads()
	if reads > 2 { // the list, and the one
		t.Errorf("%d reads: %v", reads, by)
	}
}

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

// TestUnknownInstancesCostOneCallMore has nodes whose instances are gone, and
// one whose id is none, beside those that AWS knows.
func TestUnknownInstancesCostOneCallMore(t *testing.T) {
	r := newRig(t, awssim.Options{})
	nodes := r.launch(t, 60)
	for i := range 20 {
		r.node(t, fmt.Sprintf("gone%d", i), fmt.Sprintf("aws:///us-east-1a/i-0fedcba98765432%02x", i))
	}
	id := nodes[0].Spec.ProviderID[strings.LastIndex(nodes[0].Spec.ProviderID, "/")+1:]
	if err := r.cloud.SetTopology(id, "p4d.24xlarge", "nn-1"); err != nil {
		t.Fatal(err)
	}
	m, err := r.Instances().InstanceMetadata(t.Context(), nodes[0])
	if err != nil || m.AdditionalLabels[instances.LabelNetworkNode+"1"] != "nn-1" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, by := r.reads(); by["ec2.DescribeInstanceTopology"] != 2 {
		t.Errorf("%v", by)
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

func TestZonesAreReadAnewForOneThatIsNew(t *testing.T) {
	r := newRig(t, awssim.Options{})
	r.cloud.LocalZone("us-east-1f")
	ask := func(reads int, names ...string) {
		t.Helper()
		r.cloud.ResetCalls()
		types, err := r.ZoneTypes(t.Context(), names)
		if err != nil || types["us-east-1a"] != "availability-zone" || types["us-east-1f"] != "local-zone" {
			t.Errorf("%v, %v", types, err)
		}
		if _, list := r.reads(); list["ec2.DescribeAvailabilityZones"] != reads {
			t.Errorf("%d reads for %v", list["ec2.DescribeAvailabilityZones"], names)
		}
	}
	ask(1, "us-east-1a")
	ask(0, "us-east-1a", "us-east-1f", "us-east-1-atl-2a")
	r.clock.Step(time.Hour)
	ask(0, "us-east-1a", "us-east-1f")
	ask(1, "us-east-1a", "us-east-1-atl-2a")
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
