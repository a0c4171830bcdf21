// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	"github.com/fairlead/fairlead/test/goldenfile"
)

// site is a cluster and its cloud, as one test has them.
type site struct {
	settings azure.Settings
	observed azure.Observed
	nodes    []*v1.Node
	serial   int
}

// state is a golden file: what the peer left.
type state struct {
	CloudConfig struct {
		SubscriptionID, ResourceGroup, Location, VnetName, SubnetName, SecurityGroupName string
		LoadBalancerBackendPoolConfigurationType                                         string
	}
	ClusterName string
	Nodes       []*v1.Node
	Services    []*v1.Service
	State       struct{ Resources []json.RawMessage }
}

func states(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no states: %v", err)
	}
	return files
}

func load(t testing.TB, file string) *site {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g state
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	c := &g.CloudConfig
	s := &site{nodes: g.Nodes, serial: 100}
	s.settings = azure.Settings{
		Cluster: g.ClusterName, Subscription: c.SubscriptionID, NodeSubscription: c.SubscriptionID, Location: c.Location,
		ResourceGroup: c.ResourceGroup, Network: c.VnetName, Subnet: c.SubnetName, SecurityGroup: c.SecurityGroupName,
		Members: azure.ByInterface, Probes: azure.OwnProbes, SharedProbePort: 10256, SharedProbePath: "/healthz",
	}
	if c.LoadBalancerBackendPoolConfigurationType == "nodeIP" {
		s.settings.Members = azure.ByAddress
	}
	s.observed = azure.Observed{
		Zones: []string{"1", "2", "3"}, Services: g.Services, Nodes: g.Nodes,
		Subnets: map[string]json.RawMessage{}, PublicIPs: map[string][]json.RawMessage{c.ResourceGroup: nil},
	}
	for _, doc := range g.State.Resources {
		s.add(t, doc)
	}
	return s
}

func (s *site) add(t testing.TB, doc json.RawMessage) {
	t.Helper()
	var r struct {
		ID         string
		Properties struct{ Subnets []json.RawMessage }
	}
	if err := json.Unmarshal(doc, &r); err != nil {
		t.Fatal(err)
	}
	s.observed.Learn(r.ID, doc)
	for _, subnet := range r.Properties.Subnets {
		var named struct{ Name string }
		if err := json.Unmarshal(subnet, &named); err != nil {
			t.Fatal(err)
		}
		if named.Name != "" {
			s.observed.Subnets[named.Name] = subnet
		}
	}
}

func item(svc *v1.Service, want provider.Want, cause provider.Cause) provider.Item {
	in, problems := intent.New(svc, intent.Azure, intent.Annotations())
	it := provider.Item{Key: in.Key, Service: svc, Want: want, Cause: cause, Intent: in}
	if want == provider.Serve && intent.Refusal(problems) != nil {
		it.Want = provider.Keep
	}
	return it
}

// all is a batch of all Services.
func (s *site) all(cause provider.Cause) provider.Batch {
	b := provider.Batch{Nodes: s.nodes}
	for _, svc := range s.observed.Services {
		b.Items = append(b.Items, item(svc, provider.Serve, cause))
	}
	return b
}

func (s *site) batch(items ...provider.Item) provider.Batch {
	return provider.Batch{Nodes: s.nodes, Items: items}
}

func (s *site) compute(t *testing.T, batch provider.Batch) *azure.Result {
	t.Helper()
	r, err := azure.Compute(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is the plan, and what was refused and noticed.
func text(t *testing.T, r *azure.Result) string {
	t.Helper()
	p, err := plan.New(r.Steps)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Text(&provider.Decision{Plan: p, Refused: r.Refused, Notices: r.Notices})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	goldenfile.Check(t, filepath.Join("testdata", "plans", strings.ReplaceAll(name, " ", "_")+".txt"), got)
}

func sortedKeys[V any](m map[plan.Key]V) []plan.Key {
	return slices.SortedFunc(maps.Keys(m), plan.CompareKeys)
}

func (s *site) lbID(name string) string { return s.settings.LoadBalancerID(name) }

func (s *site) pipID(name string) string {
	return s.settings.PublicIPID(s.settings.ResourceGroup, name)
}

// documents are all that is known but for private link services and subnets.
func (s *site) documents() []json.RawMessage {
	docs := append([]json.RawMessage{s.observed.SecurityGroup}, s.observed.LoadBalancers...)
	for _, list := range s.observed.PublicIPs {
		docs = append(docs, list...)
	}
	return docs
}

// doc is what is known of a resource.
func (s *site) doc(id string) json.RawMessage {
	for _, d := range s.documents() {
		var h struct{ ID string }
		if json.Unmarshal(d, &h) == nil && names.Same(h.ID, id) {
			return d
		}
	}
	return nil
}
