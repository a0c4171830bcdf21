// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"errors"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// What could not be read refuses the Services that need it, with the kind of
// the error, and no others; a Service that has nothing there can go.
func TestWhatCannotBeReadRefusesWhoNeedsIt(t *testing.T) {
	denied := &plan.Error{Kind: plan.Denied, Reason: "AzureDenied", Err: errors.New("denied")}
	busy := &plan.Error{Kind: plan.Transient, Reason: "AzureUnavailable", Err: errors.New("not done")}
	web := newService("web", "TCP:80")
	elsewhere := with(web, "azure-load-balancer-resource-group", "network")
	inner := with(web, "azure-load-balancer-internal", "true")
	doors := with(web, "azure-load-balancer-internal", "true", "azure-pls-create", "true", "azure-pls-resource-group", "doors")
	shown := func(svc *v1.Service, ip string) *v1.Service {
		svc = svc.DeepCopy()
		svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: ip}}
		return svc
	}
	served := func(svc *v1.Service) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
		}
	}
	tests := map[string]struct {
		prepare func(*testing.T, *site)
		read    azure.Read
		err     error
		svc     *v1.Service
		want    provider.Want
		says    string // empty: it is not refused
	}{
		"the group of its public IP": {
			nil,
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			denied, elsewhere, provider.Serve,
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "network", whose public IPs cannot be read: denied`,
		},
		"the group of its public IP, for now": {
			nil,
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			busy, elsewhere, provider.Serve,
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "network", whose public IPs cannot be read: not done`,
		},
		"a group that an internal one only names": {
			nil, azure.Read{Kind: azure.ReadPublicIPs, Name: "network"}, denied, with(elsewhere, "azure-load-balancer-internal", "true"), provider.Serve, "",
		},
		"a group where one that goes has nothing": {
			nil, azure.Read{Kind: azure.ReadPublicIPs, Name: "network"}, denied, elsewhere, provider.Remove, "",
		},
		"a group where one that goes had something elsewhere": {
			served(web), azure.Read{Kind: azure.ReadPublicIPs, Name: "network"}, denied, shown(elsewhere, "20.60.0.103"), provider.Remove, "",
		},
		"a group of which it is not known yet what one that goes has there": {
			nil,
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			busy, elsewhere, provider.Remove,
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "network", whose public IPs cannot be read: not done`,
		},
		"a group where one that goes has its public IP": {
			served(elsewhere),
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			denied, elsewhere, provider.Remove,
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "network", whose public IPs cannot be read: denied`,
		},
		"a group that it is edited to leave": {
			served(elsewhere),
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			denied, web, provider.Serve,
			`the Service has a public IP in resource group "network", whose public IPs cannot be read: denied`,
		},
		"a group where one that goes has an address": {
			nil,
			azure.Read{Kind: azure.ReadPublicIPs, Name: "network"},
			denied, shown(elsewhere, "20.60.0.177"), provider.Remove,
			`annotation service.beta.kubernetes.io/azure-load-balancer-resource-group names resource group "network", whose public IPs cannot be read: denied`,
		},
		"its subnet": {
			nil,
			azure.Read{Kind: azure.ReadSubnet, Name: "apps"},
			denied, with(inner, "azure-load-balancer-internal-subnet", "Apps"), provider.Serve,
			`annotation service.beta.kubernetes.io/azure-load-balancer-internal-subnet names subnet "Apps", which cannot be read: denied`,
		},
		"the subnet of the cloud config": {
			nil,
			azure.Read{Kind: azure.ReadSubnet, Name: "rig-subnet"},
			denied, inner, provider.Serve,
			`subnetName of the cloud config names subnet "rig-subnet", which cannot be read: denied`,
		},
		"a subnet that it needs no more": {
			nil, azure.Read{Kind: azure.ReadSubnet, Name: "rig-subnet"}, denied, inner, provider.Remove, "",
		},
		"no subnet named": {
			func(_ *testing.T, s *site) { s.settings.Subnet = "" },
			azure.Read{},
			nil, inner, provider.Serve,
			"no subnet is named for the internal load balancer; set annotation service.beta.kubernetes.io/azure-load-balancer-internal-subnet, or subnetName in the cloud config",
		},
		"no network named": {
			func(_ *testing.T, s *site) { s.settings.Network = "" },
			azure.Read{},
			nil, inner, provider.Serve,
			"vnetName is not set in the cloud config, so that an internal load balancer has no subnet to take addresses from; set it and subnetName, or remove annotation service.beta.kubernetes.io/azure-load-balancer-internal",
		},
		"the group of its private link service": {
			nil,
			azure.Read{Kind: azure.ReadPrivateLinks, Name: "doors"},
			denied, doors, provider.Serve,
			`the private link services of resource group "doors" (annotation service.beta.kubernetes.io/azure-pls-resource-group, or privateLinkServiceResourceGroup in the cloud config) cannot be read: denied`,
		},
		"a group of links where one that goes has nothing": {
			nil, azure.Read{Kind: azure.ReadPrivateLinks, Name: "doors"}, denied, doors, provider.Remove, "",
		},
		"a group of links where one that goes may have one": {
			served(inner),
			azure.Read{Kind: azure.ReadPrivateLinks, Name: "doors"},
			denied, doors, provider.Remove,
			`the private link services of resource group "doors" (annotation service.beta.kubernetes.io/azure-pls-resource-group, or privateLinkServiceResourceGroup in the cloud config) cannot be read: denied`,
		},
		"a group of links that one which goes never spoke of": {
			served(inner), azure.Read{Kind: azure.ReadPrivateLinks, Name: "rig"}, denied, inner, provider.Remove, "",
		},
		"a group of links that is not read yet": {
			served(inner),
			azure.Read{Kind: azure.ReadPrivateLinks, Name: "rig"},
			busy, inner, provider.Remove,
			`the private link services of resource group "rig" (annotation service.beta.kubernetes.io/azure-pls-resource-group, or privateLinkServiceResourceGroup in the cloud config) cannot be read: not done`,
		},
		"the zones of a new address": {
			nil,
			azure.Read{Kind: azure.ReadZones},
			busy, web, provider.Serve,
			"a new address needs the availability zones of the region, which cannot be read: not done",
		},
		"the zones of a new internal address": {
			nil,
			azure.Read{Kind: azure.ReadZones},
			denied, inner, provider.Serve,
			"a new address needs the availability zones of the region, which cannot be read: denied",
		},
		"zones for an address that is there": {served(web), azure.Read{Kind: azure.ReadZones}, denied, web, provider.Serve, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			// What the other one has is there already.
			other := with(newService("old", "TCP:81"), "azure-load-balancer-ipv4", "20.70.0.1")
			s.userIP(t, "rig", "theirs", "20.70.0.1")
			s.apply(t, s.batch(item(other, provider.Serve, provider.Edit)), nil)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			if tt.err != nil {
				s.observed.Unread = map[azure.Read]error{tt.read: tt.err}
				switch tt.read.Kind {
				case azure.ReadPublicIPs:
					delete(s.observed.PublicIPs, tt.read.Name)
				case azure.ReadSubnet:
					delete(s.observed.Subnets, tt.read.Name)
				case azure.ReadZones:
					s.observed.Zones = nil
				case azure.ReadPrivateLinks:
				}
			}
			it := item(tt.svc, tt.want, provider.Edit)
			beside := item(other, provider.Serve, provider.Edit)
			r := s.compute(t, s.batch(it, beside))
			err := r.Refused[it.Key]
			if (err == nil) != (tt.says == "") || (err != nil && err.Error() != tt.says) {
				t.Fatalf("got  %v\nwant %s", err, tt.says)
			}
			if tt.err != nil && err != nil && (!errors.Is(err, tt.err) || plan.KindOf(err) != plan.KindOf(tt.err)) {
				t.Errorf("%v is of another kind", err)
			}
			for _, st := range r.Steps {
				if err != nil && slices.Contains(st.Serves, it.Key) {
					t.Errorf("%s is for the refused Service", st.Target)
				}
			}
			if r.Refused[beside.Key] != nil || len(r.Places[beside.Key]) != 1 {
				t.Errorf("the other Service: %v", r.Refused[beside.Key])
			}
		})
	}
}

// A public IP in a group that the annotation names no more is found by the
// frontend that has it.
func TestGroupsThatTheAnnotationNamedBefore(t *testing.T) {
	web := newService("web", "TCP:80")
	elsewhere := with(web, "azure-load-balancer-resource-group", "network")
	tests := map[string]struct {
		served, svc *v1.Service
		want        provider.Want
		cause       provider.Cause
		groups      []string
	}{
		"the same":                   {elsewhere, elsewhere, provider.Serve, provider.Edit, []string{}},
		"edited to leave it":         {elsewhere, web, provider.Serve, provider.Edit, []string{"network"}},
		"removed after such an edit": {elsewhere, with(web, "azure-load-balancer-resource-group", "a/b"), provider.Remove, provider.Edit, []string{"network"}},
		"only looked at":             {elsewhere, web, provider.Serve, provider.Resync, []string{}},
		"the cluster's own":          {web, elsewhere, provider.Serve, provider.Edit, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			s.apply(t, s.batch(item(tt.served, provider.Serve, provider.Edit)), nil)
			got := azure.HeldGroups(&s.settings, []provider.Item{item(tt.svc, tt.want, tt.cause)}, s.observed.LoadBalancers)
			if !slices.Equal(got, tt.groups) {
				t.Errorf("got %q, want %q", got, tt.groups)
			}
		})
	}
}

// Private link services are looked for only where one may be.
func TestPrivateLinksAreLookedForWhereOneMayBe(t *testing.T) {
	web := newService("web", "TCP:80")
	inner := with(web, "azure-load-balancer-internal", "true")
	plain := with(web, "azure-disable-load-balancer-floating-ip", "true")
	doors := linked(web, "azure-pls-resource-group", "doors")
	tests := map[string]struct {
		served, svc *v1.Service
		want        provider.Want
		cause       provider.Cause
		groups      []string
	}{
		"one is wanted": {nil, doors, provider.Serve, provider.Resync, []string{"doors"}},
		"one is wanted in a group that cannot be":    {nil, linked(web, "azure-pls-resource-group", "a/b"), provider.Remove, provider.Edit, []string{}},
		"a public Service is edited":                 {web, web, provider.Serve, provider.Edit, []string{}},
		"a public Service goes":                      {web, web, provider.Remove, provider.Edit, []string{}},
		"an internal Service that never was goes":    {nil, inner, provider.Remove, provider.Edit, []string{}},
		"an internal Service goes":                   {inner, inner, provider.Remove, provider.Edit, []string{"rig"}},
		"an internal Service is edited":              {inner, web, provider.Serve, provider.Edit, []string{"rig"}},
		"an internal Service is looked at":           {inner, inner, provider.Serve, provider.Resync, []string{}},
		"a public Service without floating IP goes":  {plain, plain, provider.Remove, provider.Edit, []string{"rig"}},
		"one that was wanted in another group goes ": {doors, doors, provider.Remove, provider.Edit, []string{"doors"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.served != nil {
				s.apply(t, s.batch(item(tt.served, provider.Serve, provider.Edit)), nil)
			}
			got := azure.LinkGroups(&s.settings, []provider.Item{item(tt.svc, tt.want, tt.cause)}, s.observed.LoadBalancers)
			if !slices.Equal(got, tt.groups) {
				t.Errorf("got %q, want %q", got, tt.groups)
			}
		})
	}
}
