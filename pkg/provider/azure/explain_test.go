// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

// explain is the tree of one Service of a batch, as text.
func (s *site) explain(t *testing.T, key plan.Key, batch provider.Batch) string {
	t.Helper()
	in := azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch}
	r, err := azure.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := azure.Explain(in, r, &machines.Membership{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Tree(key, parts)
}

func TestExplainsWhatThePeerLeftAsInStep(t *testing.T) {
	for _, file := range states(t) {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/golden/"), ".json")
		t.Run(name, func(t *testing.T) {
			s := load(t, file)
			var b strings.Builder
			for _, it := range s.all(provider.Resync).Items {
				b.WriteString(s.explain(t, it.Key, s.batch(it)))
			}
			golden(t, "explain "+name, b.String())
		})
	}
}

func TestExplains(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *site) provider.Item
	}{
		{"a Service with nothing yet", func(t *testing.T, s *site) provider.Item {
			t.Helper()
			*s = *empty(t)
			return item(dual(newService("web", "TCP:80")), provider.Serve, provider.Edit)
		}},
		{"a change", func(_ *testing.T, s *site) provider.Item {
			svc := with(s.observed.Services[0], "azure-load-balancer-tcp-idle-timeout", "10")
			svc.Spec.LoadBalancerSourceRanges = []string{"203.0.113.0/24"}
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"a refused change", func(_ *testing.T, s *site) provider.Item {
			return item(with(s.observed.Services[0], "azure-load-balancer-ipv4", "20.0.0.99"), provider.Serve, provider.Edit)
		}},
		{"a private link", func(t *testing.T, s *site) provider.Item {
			t.Helper()
			*s = *empty(t)
			s.observed.Subnets["rig-subnet"] = json.RawMessage(`{"name":"rig-subnet","id":"` + s.settings.SubnetID("rig-subnet") + `","properties":{"addressPrefix":"10.240.0.0/16","privateLinkServiceNetworkPolicies":"Enabled"}}`)
			return item(with(newService("web", "TCP:80"), "azure-load-balancer-internal", "true", "azure-pls-create", "true"), provider.Serve, provider.Edit)
		}},
		{"a removal", func(_ *testing.T, s *site) provider.Item {
			return item(s.observed.Services[0], provider.Remove, provider.Edit)
		}},
		{"nodes that come and go", func(_ *testing.T, s *site) provider.Item {
			*s = *load(t, "testdata/golden/vmss-ip.all.json")
			svc := s.observed.Services[0]
			first := s.nodes[0].DeepCopy()
			first.Name, first.Status.Addresses = "newcomer", []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "10.240.0.99"}}
			leaves := s.nodes[0]
			leaves.Labels[v1.LabelNodeExcludeBalancers] = ""
			s.nodes = append(s.nodes[1:], first)
			s.observed.Nodes = append(s.observed.Nodes, first)
			return item(svc, provider.Serve, provider.Nodes)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := load(t, "testdata/golden/vmss-nic.dual-stack.json")
			it := tc.change(t, s)
			golden(t, "explain "+tc.name, s.explain(t, it.Key, s.batch(it)))
		})
	}
}

// TestRulesNameOthersThatTheyAreFor explains Services of one address: the rule
// of another's port is said to be that one's.
func TestRulesNameOthersThatTheyAreFor(t *testing.T) {
	s := load(t, "testdata/golden/vmss-nic.dual-stack.json")
	first := s.observed.Services[0]
	guest := with(newService("guest", "TCP:443"), "azure-load-balancer-ipv4", first.Status.LoadBalancer.Ingress[0].IP)
	guest.Status.LoadBalancer.Ingress = first.Status.LoadBalancer.Ingress[:1]
	s.observed.Services = append(s.observed.Services, guest)
	a, b := item(first, provider.Serve, provider.Resync), item(guest, provider.Serve, provider.Edit)
	got := s.explain(t, a.Key, s.batch(a, b))
	if !strings.Contains(got, ", for shop/guest [not there yet]\n      Tcp 443 from Internet to 20.50.0.2") {
		t.Errorf("nothing says whose the rule is:\n%s", got)
	}
	got = s.explain(t, b.Key, s.batch(a, b))
	if !strings.Contains(got, ", for default/dual-stack [Succeeded, in step]\n      Tcp 80 from Internet to 20.50.0.2") {
		t.Errorf("nothing says whose the rule is:\n%s", got)
	}
}
