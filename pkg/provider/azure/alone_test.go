// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

func keyOf(name string) plan.Key { return plan.Key{Namespace: "shop", Name: name} }

// edits are edits of Services.
func (s *site) edits(services ...*v1.Service) provider.Batch {
	b := s.batch()
	for _, svc := range services {
		b.Items = append(b.Items, item(svc, provider.Serve, provider.Edit))
	}
	return b
}

// ports gives the Service this many ports.
func ports(svc *v1.Service, n int) *v1.Service {
	return edit(svc, func(s *v1.ServiceSpec) {
		s.Ports = nil
		for i := range n {
			s.Ports = append(s.Ports, v1.ServicePort{Name: fmt.Sprint("p", i), Protocol: v1.ProtocolTCP, Port: int32(80 + i), NodePort: int32(31000 + i)})
		}
	})
}

func named(svc *v1.Service, name string, number int) *v1.Service {
	svc = svc.DeepCopy()
	svc.Name, svc.UID = name, types.UID(fmt.Sprintf("22222222-2222-3333-4444-%012x", number*16)) // names hold all digits but the last
	return svc
}

// What does not fit draws nobody down that does.
func TestRefusedServiceTakesNothingFromYoungerOnes(t *testing.T) {
	web := newService("web", "TCP:80")
	ranges := func(svc *v1.Service, n int) *v1.Service {
		return edit(svc, func(s *v1.ServiceSpec) {
			for j := range n {
				s.LoadBalancerSourceRanges = append(s.LoadBalancerSourceRanges, fmt.Sprintf("10.%d.%d.1/32", j/250, j%250))
			}
		})
	}
	full := func() []*v1.Service {
		var out []*v1.Service
		for i := range 299 {
			out = append(out, numbered(i))
		}
		return out
	}
	tests := map[string]struct {
		prepare  func(*testing.T, *site)
		services []*v1.Service
		refused  []string
	}{
		"rules of a pool": {
			nil, append(full(), ports(named(web, "large", 1), 5), named(web, "small", 2)), []string{"large"},
		},
		"rules of a pool, with a port that is left": {
			nil, append(full(), ports(named(web, "large", 1), 2), ports(named(web, "larger", 2), 2), named(web, "small", 3)), []string{"large", "larger"},
		},
		"ranges of the group": {
			nil, []*v1.Service{ranges(named(web, "large", 1), 4001), ranges(named(web, "small", 2), 10)}, []string{"large"},
		},
		"ports of a shared address": {
			func(t *testing.T, s *site) { t.Helper(); s.userIP(t, "rig", "shared", "20.70.0.1") },
			[]*v1.Service{
				with(named(newService("web", "TCP:443"), "first", 1), "azure-pip-name", "shared"),
				with(named(newService("web", "TCP:80", "TCP:443"), "second", 2), "azure-pip-name", "shared"),
				with(named(web, "third", 3), "azure-pip-name", "shared"),
			},
			[]string{"second"},
		},
		"a shared address": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.userIP(t, "rig", "shared", "20.70.0.1")
			},
			[]*v1.Service{
				with(dual(named(web, "first", 1)), "azure-pip-name", "shared", "azure-pip-name-ipv6", "gone"),
				with(dual(named(web, "second", 2)), "azure-pip-name", "shared"),
			},
			[]string{"first"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			r := s.compute(t, s.edits(tt.services...))
			var refused []string
			for _, key := range sortedKeys(r.Refused) {
				refused = append(refused, key.Name)
			}
			if !slices.Equal(refused, tt.refused) {
				t.Errorf("refused are %v, want %q", r.Refused, tt.refused)
			}
			if len(r.Places) != len(tt.services)-len(tt.refused) {
				t.Errorf("%d of %d are served", len(r.Places), len(tt.services))
			}
		})
	}
}

// Too many frontends are no reason to refuse those that fit.
func TestFrontendsBeyondTheLimitRefuseTheYoungest(t *testing.T) {
	s := empty(t)
	batch := s.batch()
	for i := range 602 {
		batch.Items = append(batch.Items, item(numbered(i), provider.Serve, provider.Edit))
	}
	r := s.compute(t, batch)
	if len(r.Places) != 300 {
		t.Fatalf("%d are served, %d refused", len(r.Places), len(r.Refused))
	}
	if err := r.Refused[batch.Items[600].Key]; err == nil || !strings.Contains(err.Error(), "600 frontends") {
		t.Errorf("got %v", err)
	}
}

// A private link service of others keeps the frontend that it leads to, and
// with it the Service that leaves it; the others change what they like.
func TestForeignPrivateLinkRefusesItsServiceAlone(t *testing.T) {
	s := empty(t)
	web, api := newService("web", "TCP:80"), newService("api", "TCP:81")
	internal := func(svc *v1.Service) *v1.Service { return with(svc, "azure-load-balancer-internal", "true") }
	s.apply(t, s.edits(internal(web), internal(api)), nil)
	const link = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rig/providers/Microsoft.Network/privateLinkServices/theirs"
	s.observed.Learn(link, json.RawMessage(`{"name":"theirs","id":"`+link+`","properties":{"loadBalancerFrontendIpConfigurations":[{"id":"`+
		s.lbID("kubernetes-internal")+`/frontendIPConfigurations/a1111111122223333444400000000075"}]}}`))
	changed := with(internal(api), "azure-load-balancer-tcp-idle-timeout", "9")
	r := s.compute(t, s.edits(web, changed))
	if len(r.Refused) != 1 || r.Refused[keyOf("web")] == nil || len(r.Places[keyOf("api")]) != 1 {
		t.Errorf("got\n%s", text(t, r))
	}
}

// The private link service of one Service goes for that one, and fails no
// other when it cannot.
func TestPrivateLinkGoesForItsServiceAlone(t *testing.T) {
	s := empty(t)
	web, api := linked(newService("web", "TCP:80")), with(newService("api", "TCP:81"), "azure-load-balancer-internal", "true")
	s.apply(t, s.edits(web, api), nil)
	r := s.compute(t, s.batch(item(web, provider.Remove, provider.Edit), item(with(api, "azure-load-balancer-tcp-idle-timeout", "9"), provider.Serve, provider.Edit)))
	for _, st := range r.Steps {
		if st.Target.Kind == "azure/privateLink" && !slices.Equal(st.Serves, []plan.Key{keyOf("web")}) {
			t.Errorf("%s serves %v", st.Target, st.Serves)
		}
	}
}

// A Service that is refused only when a step is computed again is left out of
// it; the step is done for the others.
func TestRewriteLeavesOutWhoIsRefusedByThen(t *testing.T) {
	s := empty(t)
	s.userIP(t, "rig", "pinned", "20.70.0.1")
	web, api := with(newService("web", "TCP:80"), "azure-pip-name", "pinned"), newService("api", "TCP:81")
	batch := s.edits(web, api)
	r := s.compute(t, batch)
	s.observed.Learn(s.pipID("pinned"), nil)
	id := plan.ID{Kind: "azure/loadBalancer", Name: "kubernetes"}
	again, err := r.Rewrite(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch}, id)
	w, left := again.Write, again.Left
	if err != nil || again.Empty() || !slices.Equal(slices.Collect(maps.Keys(left)), []plan.Key{keyOf("web")}) {
		t.Fatalf("left out are %v, %v", left, err)
	}
	if plan.KindOf(left[keyOf("web")]) != plan.Conflict || strings.Contains(string(w.Document), "pinned") || !strings.Contains(string(w.Document), "kubernetes-a") {
		t.Errorf("%v; it writes %s", left, w.Document)
	}
}

// Where there is no room for the rule that others need, the wider one stays.
func TestRuleStaysWhenTheOneThatOthersNeedHasNoRoom(t *testing.T) {
	for name, taken := range map[string]bool{"room": false, "no room": true} {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			s.userIP(t, "rig", "shared", "20.70.0.1")
			web, api := with(newService("web", "TCP:80"), "azure-pip-name", "shared"), with(newService("api", "TCP:443"), "azure-pip-name", "shared")
			s.apply(t, s.edits(web), nil)
			s.apply(t, s.edits(api), nil)
			s.publish(t, web, api)
			s.openBoth(t, taken)
			r := s.compute(t, s.batch(item(s.observed.Services[0], provider.Remove, provider.Edit)))
			group := string(r.Writes[plan.ID{Kind: "azure/securityGroup", Name: "rig-nsg"}].Document)
			if group == "" {
				group = string(s.observed.SecurityGroup)
			}
			if has := strings.Contains(group, "k8s-azure-lb_wide"); has != taken {
				t.Errorf("the wide rule: %t\n%s", has, group)
			}
			if noticed := len(r.Notices[keyOf("web")]) > 0; noticed != taken {
				t.Errorf("noticed: %v", r.Notices)
			}
		})
	}
}

// openBoth is a security group with one rule for the ports of both Services,
// and no room for more rules when it is full.
func (s *site) openBoth(t *testing.T, full bool) {
	t.Helper()
	rule := func(name, port, to string, priority int) string {
		return fmt.Sprintf(`{"name":%q,"properties":{"protocol":"Tcp","sourcePortRange":"*","destinationPortRanges":[%s],"sourceAddressPrefix":"Internet","destinationAddressPrefix":%q,"access":"Allow","priority":%d,"direction":"Inbound"}}`,
			name, port, to, priority)
	}
	rules := []string{rule("k8s-azure-lb_wide", `"80","443"`, "20.70.0.1", 500)}
	for i := range 999 {
		if full {
			rules = append(rules, rule(fmt.Sprint("x", i), `"22"`, "10.0.0.1", 1000+i))
		}
	}
	s.observed.SecurityGroup = json.RawMessage(`{"name":"rig-nsg","id":"` + s.settings.SecurityGroupID() + `","etag":"1","properties":{"securityRules":[` + strings.Join(rules, ",") + `]}}`)
}

// A Service that is removed late takes nothing from another one that has its
// name by now.
func TestRemovalOfAnOldLifeSparesTheNewOne(t *testing.T) {
	s := empty(t)
	old := newService("web", "TCP:80")
	s.apply(t, s.edits(old), nil)
	s.publish(t, old)
	old = s.observed.Services[0]
	fresh := named(newService("web", "TCP:80"), "web", 7)
	s.apply(t, s.edits(fresh), nil)
	s.publish(t, fresh)
	fresh = s.observed.Services[0]
	mine := s.pipID("kubernetes-a2222222222223333444400000000007")
	if s.doc(mine) == nil {
		t.Fatalf("no public IP %s", mine)
	}
	ip := fresh.Status.LoadBalancer.Ingress[0].IP
	s.apply(t, s.batch(item(old, provider.Remove, provider.Edit)), nil)
	if s.doc(mine) == nil || !strings.Contains(string(s.observed.SecurityGroup), ip) {
		t.Errorf("the public IP: %s\nthe group, where %s has to be: %s", s.doc(mine), ip, s.observed.SecurityGroup)
	}
	if s.doc(s.pipID("kubernetes-a1111111122223333444400000000075")) != nil {
		t.Error("the old public IP is left")
	}
	s.settled(t, s.edits(fresh))
}

// A load balancer that others have a backend pool in stays when the last
// frontend goes.
func TestLoadBalancerWithAForeignPoolStays(t *testing.T) {
	lb := plan.ID{Kind: "azure/loadBalancer", Name: "kubernetes"}
	for name, foreign := range map[string]bool{"a pool of others": true, "our pools alone": false} {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			web := newService("web", "TCP:80")
			s.apply(t, s.edits(web), nil)
			if foreign {
				doc := strings.Replace(string(s.doc(s.lbID("kubernetes"))), `"backendAddressPools":[`, `"backendAddressPools":[{"name":"theirs"},`, 1)
				s.observed.Learn(s.lbID("kubernetes"), json.RawMessage(doc))
			}
			r := s.compute(t, s.batch(item(web, provider.Remove, provider.Edit)))
			w := r.Writes[lb]
			if w.Delete == foreign || (foreign && !strings.Contains(string(w.Document), `"theirs"`)) {
				t.Errorf("deleted: %t, written: %s", w.Delete, w.Document)
			}
		})
	}
}
