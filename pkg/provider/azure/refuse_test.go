// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// What cannot be served is refused with a sentence, and nothing is written for
// it; the rest of the batch is served.
func TestWhatCannotBeIsRefused(t *testing.T) {
	web := newService("web", "TCP:80")
	other := newService("api", "TCP:81")
	tests := map[string]struct {
		prepare func(*testing.T, *site)
		svc     *v1.Service
		reason  string
		want    string
	}{
		"an address that no public IP has": {
			nil, edit(web, func(s *v1.ServiceSpec) { s.LoadBalancerIP = "13.95.156.212" }), azure.ReasonPublicIPNotFound,
			"spec.loadBalancerIP asks for 13.95.156.212, but no public IP in resource group rig has that address; create it there, or name its group in annotation service.beta.kubernetes.io/azure-load-balancer-resource-group",
		},
		"an address in another group": {
			func(t *testing.T, s *site) { t.Helper(); s.userIP(t, "network", "theirs", "20.70.0.1") },
			with(web, "azure-load-balancer-ipv4", "20.70.0.1"), azure.ReasonPublicIPNotFound,
			"annotation service.beta.kubernetes.io/azure-load-balancer-ipv4 asks for 20.70.0.1, but no public IP in resource group rig has that address; create it there, or name its group in annotation service.beta.kubernetes.io/azure-load-balancer-resource-group",
		},
		"a private address in public": {
			nil, with(web, "azure-load-balancer-ipv4", "10.0.0.4"), azure.ReasonAddressNotAllowed,
			"annotation service.beta.kubernetes.io/azure-load-balancer-ipv4 asks for 10.0.0.4, which is no public address; ask for that of an existing public IP, or set annotation service.beta.kubernetes.io/azure-load-balancer-internal to true",
		},
		"a name that no public IP has": {
			nil, with(web, "azure-pip-name", "gone"), azure.ReasonPublicIPNotFound,
			`annotation service.beta.kubernetes.io/azure-pip-name names public IP "gone", which is not in resource group rig; create it there, or name its group in annotation service.beta.kubernetes.io/azure-load-balancer-resource-group`,
		},
		"a public IP of the other family": {
			func(t *testing.T, s *site) { t.Helper(); s.userIP(t, "rig", "six", "2603::1") },
			with(web, "azure-pip-name", "six"), azure.ReasonPublicIPUnsuitable,
			"public IP six of resource group rig is of IPv6, but the Service needs IPv4; name one of that family",
		},
		"a public IP of SKU Basic": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.add(t, json.RawMessage(`{"name":"basic","id":"`+s.pipID("basic")+`","sku":{"name":"Basic"},"properties":{"ipAddress":"20.70.0.1","publicIPAddressVersion":"IPv4"}}`))
			},
			with(web, "azure-pip-name", "basic"), azure.ReasonPublicIPUnsuitable,
			"public IP basic of resource group rig has SKU Basic, but load balancers need Standard; use or make one of that SKU",
		},
		"a public IP that is in use": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.add(t, json.RawMessage(`{"name":"nat","id":"`+s.pipID("nat")+`","sku":{"name":"Standard"},"properties":{"ipAddress":"20.70.0.1","publicIPAddressVersion":"IPv4","ipConfiguration":{"id":"/x/bastionHosts/b/ipc"}}}`))
			},
			with(web, "azure-pip-name", "nat"), azure.ReasonPublicIPInUse,
			"public IP nat of resource group rig is attached to /x/bastionHosts/b/ipc, so load balancer kubernetes cannot have it for IPv4; detach it there, or use another one",
		},
		"a port that another Service has on the address": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.userIP(t, "rig", "shared", "20.70.0.1")
				first := with(newService("old", "TCP:80"), "azure-pip-name", "shared")
				s.apply(t, s.batch(item(first, provider.Serve, provider.Edit)), nil)
				s.publish(t, first)
			},
			with(web, "azure-pip-name", "shared"), azure.ReasonPortConflict,
			"spec.ports has Tcp port 80, which on frontend a11111111222233334444000000000fc is taken by Service shop/old; use another port, or another address",
		},
		"a port of an inbound NAT pool": {
			func(t *testing.T, s *site) {
				t.Helper()
				first := newService("web", "TCP:81")
				s.apply(t, s.batch(item(first, provider.Serve, provider.Edit)), nil)
				lb := strings.Replace(string(s.observed.LoadBalancers[0]), `"properties":{"backendAddressPools"`, `"properties":{"inboundNatPools":[{"name":"ssh","properties":{"protocol":"Tcp","frontendPortRangeStart":50,"frontendPortRangeEnd":90,"frontendIPConfiguration":{"id":"`+
					s.lbID("kubernetes")+`/frontendIPConfigurations/a1111111122223333444400000000075"}}}],"backendAddressPools"`, 1)
				s.observed.Learn(s.lbID("kubernetes"), json.RawMessage(lb))
			},
			web, azure.ReasonPortConflict,
			"spec.ports has Tcp port 80, which on frontend a1111111122223333444400000000075 is taken by inbound NAT rule or pool ssh; use another port, or another address",
		},
		"an address that others share": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.apply(t, s.batch(item(web, provider.Serve, provider.Edit)), nil)
				s.userIP(t, "rig", "mine", "20.70.0.1")
				second := with(newService("old", "TCP:82"), "azure-load-balancer-ipv4", "20.60.0.101")
				s.apply(t, s.batch(item(second, provider.Serve, provider.Edit)), nil)
				s.publish(t, web, second)
			},
			with(web, "azure-pip-name", "mine"), azure.ReasonFrontendShared,
			"frontend a1111111122223333444400000000075 of load balancer kubernetes has another address than the Service asks for now, but Service shop/old uses it as well; move that Service to another address first",
		},
		"a subnet that is not there": {
			nil, with(web, "azure-load-balancer-internal", "true", "azure-load-balancer-internal-subnet", "gone"), azure.ReasonSubnetNotFound,
			`annotation service.beta.kubernetes.io/azure-load-balancer-internal-subnet "gone" is not in virtual network rig-vnet of resource group rig; create it, or name one that is there`,
		},
		"an address outside the subnet": {
			nil, with(web, "azure-load-balancer-internal", "true", "azure-load-balancer-ipv4", "192.168.0.1"), azure.ReasonAddressNotInSubnet,
			"annotation service.beta.kubernetes.io/azure-load-balancer-ipv4 asks for 192.168.0.1, which is not in subnet rig-subnet; ask for an address of the subnet, or name another subnet in annotation service.beta.kubernetes.io/azure-load-balancer-internal-subnet",
		},
		"SCTP in public": {
			nil, newService("web", "SCTP:80"), azure.ReasonUnsupported,
			"spec.ports asks for SCTP on port 80, which Azure forwards on internal load balancers alone; set annotation service.beta.kubernetes.io/azure-load-balancer-internal to true, or take the port away",
		},
		"sources twice": {
			nil, with(edit(web, func(s *v1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{"10.0.0.0/8"} }), "azure-allowed-ip-ranges", "10.0.0.0/8"), azure.ReasonConflictingSources,
			"spec.loadBalancerSourceRanges and annotation service.beta.kubernetes.io/azure-allowed-ip-ranges or service.beta.kubernetes.io/load-balancer-source-ranges are both set, and only one may be; remove the annotation",
		},
		"a probe that takes too long": {
			nil, with(web, "azure-load-balancer-health-probe-interval", "60"), azure.ReasonInvalidProbe,
			"the probe of port 30419 has an interval of 60 s and decides after 2 probes, which must be below 120 s together; lower annotation service.beta.kubernetes.io/azure-load-balancer-health-probe-interval or service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe",
		},
		"a probe of an unknown port": {
			nil, with(web, "port_80_health-probe_port", "metrics"), azure.ReasonInvalidProbe,
			`annotation service.beta.kubernetes.io/port_80_health-probe_port is "metrics", but must be a port of the Service by name or number, or a number from 0 to 65535; correct or remove it`,
		},
		"a label of another Service": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.add(t, json.RawMessage(`{"name":"tagged","id":"`+s.pipID("tagged")+`","sku":{"name":"Standard"},"tags":{"k8s-azure-dns-label-service":"shop/old"},"properties":{"ipAddress":"20.70.0.1","publicIPAddressVersion":"IPv4"}}`))
			},
			with(web, "azure-pip-name", "tagged", "azure-dns-label-name", "web"), azure.ReasonDNSLabelTaken,
			"annotation service.beta.kubernetes.io/azure-dns-label-name cannot be set: the DNS label of public IP tagged is that of Service shop/old; remove the annotation from one of them",
		},
		"IP tags of an address that is there": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.apply(t, s.batch(item(web, provider.Serve, provider.Edit)), nil)
				second := with(newService("old", "TCP:82"), "azure-load-balancer-ipv4", "20.60.0.101")
				s.apply(t, s.batch(item(second, provider.Serve, provider.Edit)), nil)
			},
			with(web, "azure-pip-ip-tags", "a=b"), azure.ReasonIPTagsFixed,
			"annotation service.beta.kubernetes.io/azure-pip-ip-tags asks for IP tags that public IP kubernetes-a1111111122223333444400000000075 has not, and Azure sets them only when an address is made; edit the Service to let it have a new address when no other uses this one, or set enableIPTagMutationForExistingPublicIP in the cloud config",
		},
		"other families of an address that others share": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.apply(t, s.batch(item(six(web), provider.Serve, provider.Edit)), nil)
				second := with(six(newService("old", "TCP:82")), "azure-load-balancer-ipv6", "2603:1030::65")
				s.apply(t, s.batch(item(second, provider.Serve, provider.Edit)), nil)
				s.publish(t, six(web), second)
			},
			dual(web), azure.ReasonFrontendShared,
			"frontend a1111111122223333444400000000075 of load balancer kubernetes has an address of the family that the Service changes, but Service shop/old uses it as well; move that Service to another address first",
		},
		"no security group": {
			func(_ *testing.T, s *site) { s.observed.SecurityGroup = nil }, web, azure.ReasonSecurityGroupNotFound,
			`network security group "rig-nsg" of the cloud config is not there, so clients cannot be let in; create it, or name the cluster's in securityGroupName and securityGroupResourceGroup`,
		},
		"a load balancer of SKU Basic": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.add(t, json.RawMessage(`{"name":"kubernetes","id":"`+s.lbID("kubernetes")+`","sku":{"name":"Basic"},"properties":{}}`))
			}, web, azure.ReasonUnsupported,
			"load balancer kubernetes has SKU Basic, which Azure has retired; replace it by one with SKU Standard",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			it := item(tt.svc, provider.Serve, provider.Edit)
			beside := item(with(other, "azure-load-balancer-internal", "true"), provider.Serve, provider.Edit)
			r := s.compute(t, s.batch(it, beside))
			err := r.Refused[it.Key]
			var e *plan.Error
			if !errors.As(err, &e) || e.Kind != plan.Invalid || e.Reason != tt.reason || err.Error() != tt.want {
				t.Fatalf("got  %v\nwant %s", err, tt.want)
			}
			for _, st := range r.Steps {
				for _, k := range st.Serves {
					if k == it.Key {
						t.Errorf("%s is for the refused Service", st.Target)
					}
				}
			}
			if r.Refused[beside.Key] != nil || len(r.Places[beside.Key]) != 1 {
				t.Errorf("the other Service: %v", r.Refused[beside.Key])
			}
		})
	}
}

// Without the name of a security group nobody is served, whatever clients the
// Service lets in; what goes may go.
func TestWithoutASecurityGroupNobodyIsServed(t *testing.T) {
	s := empty(t)
	s.observed.SecurityGroup, s.settings.SecurityGroup = nil, ""
	web, inner := newService("web", "TCP:80"), with(newService("inner", "TCP:80"), "azure-load-balancer-internal", "true")
	gone := item(newService("gone", "TCP:80"), provider.Remove, provider.Edit)
	r := s.compute(t, s.batch(item(web, provider.Serve, provider.Edit), item(inner, provider.Serve, provider.Edit), gone))
	want := "securityGroupName is not set in the cloud config, and no Service is served without it, as with cloud-provider-azure; set it to the name of the nodes' network security group"
	for _, name := range []string{"web", "inner"} {
		if err := r.Refused[plan.Key{Namespace: "shop", Name: name}]; err == nil || err.Error() != want {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if r.Refused[gone.Key] != nil || len(r.Steps) > 0 {
		t.Errorf("got\n%s", text(t, r))
	}
}

// The youngest Services are refused when a limit is reached, each with the
// limit and its name.
func TestLimitsRefuseTheYoungest(t *testing.T) {
	tests := map[string]struct {
		services, served int
		svc              func(int) *v1.Service
		want             string
	}{
		"rules of a pool": {301, 300, numbered, "backend pool kubernetes of load balancer kubernetes is used by 300 rules, which is all that Azure allows; remove ports or Services, or add a load balancer configuration"},
		"source addresses of the group": {21, 19, func(i int) *v1.Service {
			return edit(numbered(i), func(s *v1.ServiceSpec) {
				for j := range 200 {
					s.LoadBalancerSourceRanges = append(s.LoadBalancerSourceRanges, fmt.Sprintf("10.%d.%d.1/32", i, j))
				}
			})
		}, "network security group rig-nsg would pass 4000 source addresses, which is all that Azure allows, with the rules of Service shop/web-019; allow fewer ranges, or remove Services"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			batch := s.batch()
			for i := range tt.services {
				batch.Items = append(batch.Items, item(tt.svc(i), provider.Serve, provider.Edit))
			}
			r := s.compute(t, batch)
			if len(r.Places) != tt.served || len(r.Refused) != tt.services-tt.served {
				t.Fatalf("%d are served, %d refused", len(r.Places), len(r.Refused))
			}
			if got := r.Refused[batch.Items[tt.served].Key]; got == nil || got.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAdoptionOfWhatThePeerReadBothWays(t *testing.T) {
	s := empty(t)
	svc := newService("web", "TCP:80")
	s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
	s.observed.SecurityGroup = json.RawMessage(strings.Replace(string(s.observed.SecurityGroup), "k8s-azure-lb", "theirs", 1))
	odd := with(svc, "azure-load-balancer-internal", "True")
	r := s.compute(t, s.batch(item(odd, provider.Serve, provider.Resync)))
	if len(r.Steps) != 0 || len(r.Notices) != 1 {
		t.Errorf("got\n%s", text(t, r))
	}
	r = s.compute(t, s.batch(item(odd, provider.Serve, provider.Edit)))
	if got := targets(t, r)["azure/loadBalancer"]; len(got) != 2 {
		t.Errorf("an edit makes it internal:\n%s", text(t, r))
	}
}

// A document that is not as Azure writes them fails the Services that it may be
// about, and nobody else.
func TestUnreadableDocumentsFailTheirServicesAlone(t *testing.T) {
	web, inner := newService("web", "TCP:80"), with(newService("inner", "TCP:80"), "azure-load-balancer-internal", "true")
	rig := "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rig/providers/Microsoft.Network/"
	pip := func(name, rest string) string {
		return `{"name":"` + name + `","id":"` + rig + `publicIPAddresses/` + name + `",` + rest + `"properties":{"ipAddress":5}}`
	}
	tests := map[string]struct {
		id, doc  string
		services []*v1.Service
		refused  []string
	}{
		"a load balancer": {
			"loadBalancers/kubernetes", `{"name":"kubernetes","id":"` + rig + `loadBalancers/kubernetes","properties":{"loadBalancingRules":[{"name":"x","properties":{"frontendPort":"eighty"}}]}}`,
			[]*v1.Service{web, inner},
			[]string{"web"},
		},
		"a load balancer without lists": {
			"loadBalancers/kubernetes-internal", `{"name":"kubernetes-internal","id":"` + rig + `loadBalancers/kubernetes-internal","properties":{"loadBalancingRules":{}}}`,
			[]*v1.Service{web, inner},
			[]string{"inner"},
		},
		"a public IP of nobody":       {"publicIPAddresses/theirs", pip("theirs", ""), []*v1.Service{web, inner}, nil},
		"a public IP that is named":   {"publicIPAddresses/theirs", pip("theirs", ""), []*v1.Service{with(web, "azure-pip-name", "theirs"), inner}, []string{"web"}},
		"a public IP made for one":    {"publicIPAddresses/mine", pip("mine", `"tags":{"k8s-azure-service":"shop/web"},`), []*v1.Service{web, inner}, []string{"web"}},
		"a private link service":      {"privateLinkServices/x", `{"name":"x","id":"` + rig + `privateLinkServices/x","properties":{"fqdns":7}}`, []*v1.Service{web, inner}, nil},
		"a subnet of an internal one": {"virtualNetworks/rig-vnet/subnets/rig-subnet", `{"name":"rig-subnet","id":"` + rig + `virtualNetworks/rig-vnet/subnets/rig-subnet","properties":{"addressPrefix":9}}`, []*v1.Service{web, inner}, []string{"inner"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			s.observed.Learn(rig+tt.id, json.RawMessage(tt.doc))
			r := s.compute(t, s.edits(tt.services...))
			var refused []string
			for _, key := range sortedKeys(r.Refused) {
				refused = append(refused, key.Name)
				if plan.KindOf(r.Refused[key]) != plan.Transient {
					t.Errorf("%s: %v", key, r.Refused[key])
				}
			}
			if !slices.Equal(refused, tt.refused) || len(r.Places) != len(tt.services)-len(refused) {
				t.Errorf("refused are %v, served %v", r.Refused, r.Places)
			}
		})
	}
}
