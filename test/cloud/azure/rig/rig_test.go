// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// left is a cluster and a cloud as cloud-provider-azure left them.
type left struct {
	sim      *azuresim.Cloud
	cluster  *harness.Cluster
	services []*v1.Service
	*harness.Controller
}

// goldenFiles are states that cloud-provider-azure left.
func goldenFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden states: %v", err)
	}
	return files
}

// takeOver lets our controller run where cloud-provider-azure ran.
func takeOver(t *testing.T, file string) *left {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		CloudConfig json.RawMessage
		Nodes       []*v1.Node
		Services    []*v1.Service
		State       struct{ Resources []json.RawMessage }
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	l := &left{sim: azuresim.New(azuresim.Options{}), cluster: harness.NewCluster(), services: g.Services}
	if err := l.sim.Seed(g.State.Resources); err != nil {
		t.Fatal(err)
	}
	server := l.sim.Start()
	t.Cleanup(server.Close)
	conf, err := cloudconfig.Parse(g.CloudConfig)
	if err != nil || conf.Azure == nil {
		t.Fatalf("cloud-config: %v %v", err, conf)
	}
	client, err := rig.Client(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Replace(l.cluster.Nodes, g.Nodes); err != nil {
		t.Fatal(err)
	}
	if err := harness.Replace(l.cluster.Services, g.Services); err != nil {
		t.Fatal(err)
	}
	l.Controller = rig.Start(harness.Quiet(t), l.cluster, client, conf.Azure)
	t.Cleanup(l.Close)
	return l
}

// What cloud-provider-azure made is adopted without a write, over the wire.
func TestGoldenStatesAreAdopted(t *testing.T) {
	for _, file := range goldenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			l := takeOver(t, file)
			for range 2 { // at the start, and at a resync
				ensureAll(t, l.Controller, l.services)
			}
			if counts := l.sim.Counts(); sim.Total(counts.Writes) != 0 {
				t.Errorf("writes: %v", counts.Writes)
			}
			for _, svc := range l.services {
				obj, _, _ := l.cluster.Services.Get(svc)
				now, _ := obj.(*v1.Service)
				if got, want := ips(now), ips(svc); got != want {
					t.Errorf("%s has %s, want %s", svc.Name, got, want)
				}
			}
		})
	}
}

func ips(svc *v1.Service) string {
	text := ""
	for _, in := range svc.Status.LoadBalancer.Ingress {
		text += in.IP + " "
	}
	return text
}

func ensureAll(t *testing.T, c *harness.Controller, services []*v1.Service) {
	t.Helper()
	var wg sync.WaitGroup
	for _, svc := range services {
		wg.Go(func() {
			if err := c.Sync(t.Context(), svc); err != nil {
				t.Errorf("%s: %v", svc.Name, err)
			}
		})
	}
	wg.Wait()
}

func TestFiftyServicesComeAndGo(t *testing.T) {
	cloud := azuresim.New(azuresim.Options{})
	site, err := cloud.NewSite(azuresim.SiteOptions{Group: "rig"})
	if err != nil {
		t.Fatal(err)
	}
	set := site.UniformScaleSet("nodepool1", 3)
	before := normalised(t, cloud)
	server := cloud.Start()
	defer server.Close()
	conf, err := rig.Config(rig.ConfigText(site, ""))
	if err != nil {
		t.Fatal(err)
	}
	client, err := rig.Client(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cluster := harness.NewCluster()
	for i := range 3 {
		n := &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)},
			Spec:       v1.NodeSpec{ProviderID: fmt.Sprintf("azure://%s/virtualMachines/%d", set, i)},
			Status:     v1.NodeStatus{Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.0.%d", 4+i)}}},
		}
		if err := cluster.Nodes.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	var services []*v1.Service
	for i := range 50 {
		svc := &v1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: fmt.Sprintf("web-%02d", i), UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)),
				Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"},
			},
			Spec: v1.ServiceSpec{
				Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
				IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, ClusterIP: "10.0.0.1",
				Ports: []v1.ServicePort{{Name: "http", Port: 80, NodePort: int32(30000 + i), Protocol: v1.ProtocolTCP}},
			},
		}
		services = append(services, svc)
		if err := cluster.Services.Add(svc); err != nil {
			t.Fatal(err)
		}
	}
	c := rig.Start(t.Context(), cluster, client, conf)
	defer c.Close()
	ensureAll(t, c, services)
	counts := cloud.Counts()
	t.Logf("created: reads %v, writes %v", counts.Reads, counts.Writes)
	if n := counts.Writes[azuresim.LoadBalancers]; n > 3 {
		t.Errorf("%d writes of the load balancer, want 3 at most", n)
	}
	if n := counts.Writes[azuresim.SecurityGroups]; n > 3 {
		t.Errorf("%d writes of the security group, want 3 at most", n)
	}
	if n := counts.Writes[azuresim.PublicIPs]; n != 50 {
		t.Errorf("%d writes of public IPs, want 50", n)
	}
	cloud.ResetCalls()
	ensureAll(t, c, services)
	if counts := cloud.Counts(); sim.Total(counts.Writes) != 0 {
		t.Errorf("a resync writes: %v", counts.Writes)
	}
	cloud.ResetCalls()
	var wg sync.WaitGroup
	for _, svc := range services {
		gone := svc.DeepCopy()
		now := metav1.Now()
		gone.DeletionTimestamp = &now
		if err := cluster.Services.Update(gone); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := c.Sync(t.Context(), gone); err != nil {
				t.Errorf("delete %s: %v", gone.Name, err)
			}
		})
	}
	wg.Wait()
	counts = cloud.Counts()
	t.Logf("deleted: reads %v, writes %v", counts.Reads, counts.Writes)
	if diff := cmp.Diff(before, normalised(t, cloud)); diff != "" {
		t.Errorf("something is left (-before +after):\n%s", diff)
	}
}

func normalised(t *testing.T, cloud *azuresim.Cloud) string {
	t.Helper()
	return normalisedText(t, cloud.State())
}

func normalisedText(t *testing.T, state []json.RawMessage) string {
	t.Helper()
	text, err := azuresim.Normalise(state)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
