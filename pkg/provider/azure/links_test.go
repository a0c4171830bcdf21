// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// linked is an internal Service with a private link service.
func linked(svc *v1.Service, annotations ...string) *v1.Service {
	return with(with(svc, "azure-load-balancer-internal", "true", "azure-pls-create", "true"), annotations...)
}

// closed is a cluster whose subnet does not let private link services in.
func closed(t *testing.T) *site {
	t.Helper()
	s := empty(t)
	subnet := strings.Replace(string(s.observed.Subnets["rig-subnet"]), `"privateLinkServiceNetworkPolicies": "Disabled"`, `"privateLinkServiceNetworkPolicies": "Enabled"`, 1)
	s.observed.Subnets["rig-subnet"] = json.RawMessage(subnet)
	return s
}

func TestPrivateLinkStories(t *testing.T) {
	web := newService("web", "TCP:80")
	tests := map[string][][]*v1.Service{
		"a private link and none": {{linked(web)}, {with(web, "azure-load-balancer-internal", "true")}, {linked(web)}, {}},
		"a private link with all that it has": {
			{linked(web, "azure-pls-name", "door", "azure-pls-ip-configuration-ip-address-count", "3", "azure-pls-ip-configuration-ip-address", "10.240.0.30 10.240.0.31",
				"azure-pls-fqdns", "a.example b.example", "azure-pls-proxy-protocol", "true", "azure-pls-visibility", "x *", "azure-pls-auto-approval", "x")},
			{linked(web, "azure-pls-ip-configuration-ip-address", "10.240.0.31")},
		},
		"a private link of a Service that becomes public": {{linked(web)}, {web}},
		"a private link of two Services": {
			{linked(web, "azure-load-balancer-ipv4", "10.240.0.40")},
			{linked(web, "azure-load-balancer-ipv4", "10.240.0.40"), linked(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "10.240.0.40")},
			{linked(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "10.240.0.40")},
			{},
		},
		"a private link of a public Service without floating IP": {{with(web, "azure-pls-create", "true", "azure-disable-load-balancer-floating-ip", "true")}},
	}
	for name, turns := range tests {
		t.Run(name, func(t *testing.T) {
			s := closed(t)
			var out strings.Builder
			for _, turn := range turns {
				batch := s.turn(turn)
				out.WriteString(text(t, s.compute(t, batch)))
				s.apply(t, batch, nil)
				s.settled(t, batch)
				s.publish(t, turn...)
				s.settled(t, s.all(provider.Resync))
				s.settled(t, s.all(provider.Repair))
			}
			golden(t, name, out.String())
		})
	}
}

func TestPrivateLinksThatCannotBe(t *testing.T) {
	web := newService("web", "TCP:80")
	six := edit(web, func(s *v1.ServiceSpec) { s.IPFamilies = []v1.IPFamily{v1.IPv6Protocol} })
	const link = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rig/providers/Microsoft.Network/privateLinkServices/"
	theirs := func(tags string) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.apply(t, s.batch(item(with(web, "azure-load-balancer-internal", "true"), provider.Serve, provider.Edit)), nil)
			s.observed.Learn(link+"theirs", json.RawMessage(`{"name":"theirs","id":"`+link+`theirs","tags":{`+tags+`},"properties":{"loadBalancerFrontendIpConfigurations":[{"id":"`+
				s.lbID("kubernetes-internal")+`/frontendIPConfigurations/a1111111122223333444400000000075"}]}}`))
		}
	}
	tests := map[string]struct {
		prepare func(*testing.T, *site)
		svc     *v1.Service
		want    string
	}{
		"public with floating IP":             {nil, with(web, "azure-pls-create", "true"), "annotation service.beta.kubernetes.io/azure-pls-create is true, which needs an internal load balancer or one without floating IP; set annotation service.beta.kubernetes.io/azure-load-balancer-internal or service.beta.kubernetes.io/azure-disable-load-balancer-floating-ip to true as well"},
		"IPv6 alone":                          {nil, linked(six), "annotation service.beta.kubernetes.io/azure-pls-create is true, but the Service has no IPv4 address and private link services lead to no other; add IPv4 to spec.ipFamilies, or remove the annotation"},
		"fewer addresses than fixed ones":     {nil, linked(web, "azure-pls-ip-configuration-ip-address", "10.240.0.30 10.240.0.31"), "annotation service.beta.kubernetes.io/azure-pls-ip-configuration-ip-address-count is 1, but annotation service.beta.kubernetes.io/azure-pls-ip-configuration-ip-address has 2 addresses; raise the number, or take addresses away"},
		"a subnet that is not there":          {nil, linked(web, "azure-pls-ip-configuration-subnet", "gone"), `subnet "gone" for the private link service is not in virtual network rig-vnet of resource group rig; create it, or name one that is there in annotation service.beta.kubernetes.io/azure-pls-ip-configuration-subnet`},
		"one of others":                       {theirs(""), linked(web), "frontend a1111111122223333444400000000075 has private link service theirs of resource group rig, which is not this cluster's; delete that, or remove annotation service.beta.kubernetes.io/azure-pls-create"},
		"one of another Service":              {theirs(`"k8s-azure-cluster-name":"kubernetes","k8s-azure-owner-service":"shop/old"`), linked(web, "azure-pls-fqdns", "x"), "annotation service.beta.kubernetes.io/azure-pls-fqdns cannot be set: private link service theirs is that of Service shop/old, which alone says how it is; remove the annotation"},
		"a new name":                          {theirs(`"k8s-azure-cluster-name":"kubernetes","k8s-azure-owner-service":"shop/web"`), linked(web, "azure-pls-name", "mine"), `annotation service.beta.kubernetes.io/azure-pls-name is "mine", but the private link service is called theirs, and Azure renames none; take the old name, or let it be made anew by removing annotation service.beta.kubernetes.io/azure-pls-create first`},
		"a frontend that one of others keeps": {theirs(""), web, "private link service theirs of resource group rig leads to a frontend of load balancer kubernetes-internal that the Service leaves, and is not this cluster's; delete it first"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			it := item(tt.svc, provider.Serve, provider.Edit)
			r := s.compute(t, s.batch(it))
			if err := r.Refused[it.Key]; err == nil || err.Error() != tt.want || len(r.Steps) > 0 {
				t.Errorf("got  %v\nwant %s\n%d steps", err, tt.want, len(r.Steps))
			}
		})
	}
}

// The connections of a private link service go before it, and it goes before
// its frontend.
func TestConnectionsGoFirst(t *testing.T) {
	s := empty(t)
	svc := linked(newService("web", "TCP:80"))
	s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
	for group, docs := range s.observed.PrivateLinks {
		for i, doc := range docs {
			s.observed.PrivateLinks[group][i] = json.RawMessage(strings.Replace(string(doc), `"properties":{`, `"properties":{"privateEndpointConnections":[{"id":"/x/privateEndpointConnections/c1"}],`, 1))
		}
	}
	r := s.compute(t, s.batch(item(svc, provider.Remove, provider.Edit)))
	for target, w := range r.Writes {
		if target.Kind == "azure/privateLink" && (!w.Delete || !slices.Equal(w.First, []string{"/x/privateEndpointConnections/c1"})) {
			t.Errorf("got %+v", w)
		}
	}
	p, err := plan.New(r.Steps)
	if err != nil {
		t.Fatal(err)
	}
	if p.Steps[0].Target.Kind != "azure/privateLink" || p.Steps[0].Action != plan.Delete {
		t.Errorf("got\n%s", p)
	}
}

// Azure refuses to write a subnet while its security group is being written.
func TestSubnetComesAfterItsSecurityGroup(t *testing.T) {
	s := closed(t)
	svc := with(newService("web", "TCP:80"), "azure-pls-create", "true", "azure-disable-load-balancer-floating-ip", "true")
	r := s.compute(t, s.batch(item(svc, provider.Serve, provider.Edit)))
	for _, st := range r.Steps {
		if st.Target.Kind != "azure/subnet" {
			continue
		}
		if !slices.Contains(st.Needs, plan.ID{Kind: "azure/securityGroup", Name: "rig-nsg"}) || !slices.Contains(st.Needs, plan.ID{Kind: "azure/loadBalancer", Name: "kubernetes"}) {
			t.Errorf("it needs %v", st.Needs)
		}
		return
	}
	t.Errorf("no subnet is written:\n%s", text(t, r))
}

func TestReadsOfABatch(t *testing.T) {
	s := empty(t)
	items := []provider.Item{
		item(newService("web", "TCP:80"), provider.Serve, provider.Edit),
		item(with(newService("api", "TCP:80"), "azure-load-balancer-resource-group", "network", "azure-load-balancer-internal", "true"), provider.Serve, provider.Resync),
	}
	want := azure.Reads{PublicIPGroups: []string{"network", "rig"}, Subnets: []string{"rig-subnet"}, Zones: true}
	if diff := cmp.Diff(want, azure.ReadsOf(&s.settings, items)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	items = []provider.Item{item(linked(newService("web", "TCP:80"), "azure-pls-resource-group", "links", "azure-pls-ip-configuration-subnet", "doors"), provider.Serve, provider.Resync)}
	want = azure.Reads{PublicIPGroups: []string{"rig"}, Subnets: []string{"doors", "rig-subnet"}, Zones: true}
	if diff := cmp.Diff(want, azure.ReadsOf(&s.settings, items)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	items[0].Want = provider.Remove
	want = azure.Reads{PublicIPGroups: []string{"rig"}, Subnets: []string{}}
	if diff := cmp.Diff(want, azure.ReadsOf(&s.settings, items)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	items[0] = item(with(newService("web", "TCP:80"), "azure-load-balancer-resource-group", "a/b"), provider.Remove, provider.Edit)
	want = azure.Reads{PublicIPGroups: []string{"rig"}, Subnets: []string{}}
	if diff := cmp.Diff(want, azure.ReadsOf(&s.settings, items)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.settings.Subnet = ""
	items[0] = item(with(newService("web", "TCP:80"), "azure-load-balancer-internal", "true"), provider.Serve, provider.Edit)
	want = azure.Reads{PublicIPGroups: []string{"rig"}, Subnets: []string{}, Zones: true}
	if diff := cmp.Diff(want, azure.ReadsOf(&s.settings, items)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
