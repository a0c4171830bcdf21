// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

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
