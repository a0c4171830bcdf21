// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// rig is a reader before a simulated account, with nodes.
type rig struct {
	*instances.Reader
	cloud   *awssim.Cloud
	site    *awssim.Site
	client  *api.Client
	clock   *testingclock.FakeClock
	indexer cache.Indexer
	options instances.Options
}

func newRig(t *testing.T, o awssim.Options, edit ...func(*instances.Options)) *rig {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "test")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	r := &rig{
		cloud: awssim.New(o), clock: testingclock.NewFakeClock(time.Now()),
		indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
	}
	r.site = r.cloud.NewSite(awssim.SiteOptions{Families: "dualstack"})
	server := r.cloud.Start()
	t.Cleanup(server.Close)
	conf := cloudconfig.NewAWS()
	conf.Region = r.cloud.Region()
	conf.Endpoints = cloudconfig.AWSEndpoints{EC2: server.URL, ELB: server.URL, ELBv2: server.URL, STS: server.URL}
	client, err := api.New(t.Context(), conf, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	r.client = client
	r.options = instances.Options{
		Nodes: corelisters.NewNodeLister(r.indexer), TopologyTypes: regexp.MustCompile(cloudconfig.DefaultTopologyInstanceTypes),
		Cluster: func(context.Context) (instances.Cluster, error) {
			return instances.Cluster{VPC: r.site.VPC, Tags: names.Cluster{ID: r.site.Cluster}}, nil
		},
	}
	for _, e := range edit {
		e(&r.options)
	}
	r.restart()
	return r
}

// restart is a new process.
func (r *rig) restart() { r.Reader = instances.NewReader(r.client, r.clock, r.options) }

// node is one with the provider id, older than any grace.
func (r *rig) node(t *testing.T, name, providerID string, edits ...func(*v1.Node)) *v1.Node {
	t.Helper()
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(r.clock.Now().Add(-time.Hour))}, Spec: v1.NodeSpec{ProviderID: providerID}}
	for _, e := range edits {
		e(n)
	}
	if err := r.indexer.Add(n); err != nil {
		t.Fatal(err)
	}
	return n
}

// launch starts machines and makes nodes of them.
func (r *rig) launch(t *testing.T, n int) []*v1.Node {
	t.Helper()
	var out []*v1.Node
	for i, id := range r.site.Launch(n) {
		out = append(out, r.node(t, fmt.Sprintf("n%03d", i), "aws:///us-east-1a/"+id))
	}
	return out
}

func young(r *rig) func(*v1.Node) {
	return func(n *v1.Node) { n.CreationTimestamp = metav1.NewTime(r.clock.Now()) }
}

func (r *rig) reads() (int, map[string]int) {
	c := r.cloud.Counts()
	total := c.Pages
	for _, n := range c.Reads {
		total += n
	}
	return total, c.Reads
}

func (r *rig) exists(t *testing.T, n *v1.Node, want bool) {
	t.Helper()
	got, err := r.Instances().InstanceExists(t.Context(), n)
	if err != nil || got != want {
		t.Errorf("%s (%s) exists: %t, %v", n.Name, n.Spec.ProviderID, got, err)
	}
}
