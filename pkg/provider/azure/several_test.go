// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// several is an empty cluster with two load balancer configurations and six
// nodes, two of which are of a set of their own.
func several(t *testing.T) *site {
	t.Helper()
	s := empty(t)
	s.settings.Members = azure.ByAddress
	s.settings.Configurations = []azure.Configuration{
		{Name: "kubernetes", PrimarySet: "system"},
		{Name: "lb2", PrimarySet: "apps"},
	}
	s.nodes = nil
	for i := range 6 {
		set := "other"
		if i < 2 {
			set = "apps"
		}
		s.nodes = append(s.nodes, &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node%d", i), Labels: map[string]string{"disk": []string{"ssd", "hdd"}[i%2]}},
			Spec:       v1.NodeSpec{ProviderID: "azure:///subscriptions/x/resourceGroups/rig/providers/Microsoft.Compute/virtualMachineScaleSets/" + set + "/virtualMachines/" + fmt.Sprint(i)},
			Status:     v1.NodeStatus{Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.0.%d", 10+i)}}},
		})
	}
	s.observed.Nodes = s.nodes
	return s
}

// members are the names of the nodes in the pool.
func (s *site) members(t *testing.T, lb, pool string) string {
	t.Helper()
	pools, err := document.ListAt(s.doc(s.lbID(lb)), "properties", names.Pools)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := pools.Find(pool)
	if !ok {
		return "no pool"
	}
	list, err := document.ListAt(e.Raw, "properties", "loadBalancerBackendAddresses")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range list.Elements() {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (s *site) placed(t *testing.T, batch provider.Batch) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, places := range s.compute(t, batch).Places {
		out[key.Name] = names.Last(places[0].LoadBalancer)
	}
	return out
}

func TestServicesAndNodesAreSpread(t *testing.T) {
	s := several(t)
	batch := s.batch()
	for i := range 6 {
		batch.Items = append(batch.Items, item(numbered(i), provider.Serve, provider.Edit))
	}
	got := s.placed(t, batch)
	count := map[string]int{}
	for lb := range maps.Values(got) {
		count[lb]++
	}
	if diff := cmp.Diff(map[string]int{"kubernetes": 3, "lb2": 3}, count); diff != "" {
		t.Errorf("Services -want +got:\n%s", diff)
	}
	s.apply(t, batch, nil)
	s.settled(t, batch)
	if first, second := s.members(t, "kubernetes", "kubernetes"), s.members(t, "lb2", "kubernetes"); first != "node2 node3 node4" || second != "node0 node1 node5" {
		t.Errorf("nodes: %q and %q", first, second)
	}
	s.nodes = slices.Concat(s.nodes[:2], s.nodes[3:])
	batch.Nodes = s.nodes
	s.apply(t, batch, nil)
	if first, second := s.members(t, "kubernetes", "kubernetes"), s.members(t, "lb2", "kubernetes"); first != "node3 node4" || second != "node0 node1 node5" {
		t.Errorf("nodes stay where they are: %q and %q", first, second)
	}
	s.settings.Configurations[0].Nodes = labels.SelectorFromSet(labels.Set{"disk": "ssd"})
	s.apply(t, batch, nil)
	s.settled(t, batch)
	if first, second := s.members(t, "kubernetes", "kubernetes"), s.members(t, "lb2", "kubernetes"); first != "node4" || second != "node0 node1 node3 node5" {
		t.Errorf("nodes by selector: %q and %q", first, second)
	}
}

func TestWhichConfigurationsMayServe(t *testing.T) {
	web := newService("web", "TCP:80")
	labelled := web.DeepCopy()
	labelled.Labels = map[string]string{"tier": "gold"}
	gold := labels.SelectorFromSet(labels.Set{"tier": "gold"})
	tests := map[string]struct {
		prepare func(*site)
		svc     *v1.Service
		want    string
	}{
		"the first that is not made":      {func(*site) {}, web, "kubernetes"},
		"the one named, in any case":      {func(*site) {}, with(web, "azure-load-balancer-configurations", " LB2 "), "lb2"},
		"the one whose selector matches":  {func(s *site) { s.settings.Configurations[1].Services = gold }, labelled, "lb2"},
		"not one whose selector does not": {func(s *site) { s.settings.Configurations[0].Services = gold }, web, "lb2"},
		"the one that selects the namespace": {func(s *site) {
			s.settings.Configurations[1].Namespaces = gold
			s.observed.Namespaces = map[string]map[string]string{"shop": {"tier": "gold"}}
		}, web, "lb2"},
		"not one that is closed": {func(s *site) { s.settings.Configurations[0].Closed = true }, web, "lb2"},
		"none that is defined":   {func(*site) {}, with(web, "azure-load-balancer-configurations", "lb9"), "annotation service.beta.kubernetes.io/azure-load-balancer-configurations names lb9, but the cloud config has kubernetes, lb2 alone; name one of them, or remove the annotation"},
		"none that admits it":    {func(s *site) { s.settings.Configurations[0].Closed = true }, with(web, "azure-load-balancer-configurations", "kubernetes"), "no load balancer configuration admits the Service: each is closed, or selects other labels or namespaces; change annotation service.beta.kubernetes.io/azure-load-balancer-configurations, the Service's labels, or the cloud config"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := several(t)
			tt.prepare(s)
			batch := s.batch(item(tt.svc, provider.Serve, provider.Edit))
			got := s.placed(t, batch)["web"]
			if err := s.compute(t, batch).Refused[batch.Items[0].Key]; err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(got, " ") {
				return
			}
			s.apply(t, batch, nil)
			s.settled(t, batch)
			s.publish(t, tt.svc)
			s.settled(t, s.all(provider.Resync))
			s.settings.Configurations[0].Closed, s.settings.Configurations[1].Closed = true, true
			s.settled(t, s.all(provider.Resync))
		})
	}
}

// A Service takes its address along: the load balancer that has it lets it go
// first.
func TestMovesBetweenConfigurations(t *testing.T) {
	for name, annotations := range map[string][]string{"public": nil, "internal": {"azure-load-balancer-internal", "true"}} {
		t.Run(name, func(t *testing.T) {
			s := several(t)
			web, api := with(newService("web", "TCP:80"), annotations...), with(newService("api", "TCP:80"), annotations...)
			s.apply(t, s.batch(item(web, provider.Serve, provider.Edit), item(api, provider.Serve, provider.Edit)), nil)
			s.publish(t, web, api)
			address := web.Status.LoadBalancer.Ingress[0].IP
			moved := with(web, "azure-load-balancer-configurations", "lb2")
			batch := s.batch(item(moved, provider.Serve, provider.Edit))
			golden(t, "moves "+name, text(t, s.compute(t, batch)))
			s.apply(t, batch, nil)
			s.settled(t, batch)
			s.publish(t, moved, api)
			if got := moved.Status.LoadBalancer.Ingress[0].IP; got != address {
				t.Errorf("the address was %s, is %s", address, got)
			}
			back := with(web, "azure-load-balancer-configurations", "kubernetes")
			there := with(api, "azure-load-balancer-configurations", "kubernetes")
			crossed := s.batch(item(back, provider.Serve, provider.Edit), item(there, provider.Serve, provider.Edit))
			s.apply(t, crossed, nil)
			s.settled(t, crossed)
		})
	}
}

func TestServicesThatExchangePlacesMoveOneAfterTheOther(t *testing.T) {
	s := several(t)
	web, api := newService("web", "TCP:80"), newService("api", "TCP:80")
	s.apply(t, s.batch(item(web, provider.Serve, provider.Edit), item(api, provider.Serve, provider.Edit)), nil)
	cross := s.batch(
		item(with(web, "azure-load-balancer-configurations", "lb2"), provider.Serve, provider.Edit),
		item(with(api, "azure-load-balancer-configurations", "kubernetes"), provider.Serve, provider.Edit))
	r := s.apply(t, cross, nil)
	if len(r.Refused) != 1 || plan.KindOf(r.Refused[cross.Items[1].Key]) != plan.Conflict {
		t.Errorf("refused %v", r.Refused)
	}
	s.apply(t, cross, nil)
	s.settled(t, cross)
}

func TestPoolsOfServicesWithPolicyLocal(t *testing.T) {
	s := several(t)
	svc := local(newService("web", "TCP:80"))
	key := plan.Key{Namespace: "shop", Name: "web"}
	s.observed.EndpointNodes = map[plan.Key][]string{key: {"node1", "node5"}}
	batch := s.batch(item(svc, provider.Serve, provider.Edit))
	s.apply(t, batch, nil)
	s.settled(t, batch)
	if got := s.members(t, "kubernetes", "shop-web"); got != "node1 node5" {
		t.Errorf("got %q", got)
	}
	s.observed.EndpointNodes[key] = nil
	if got := s.compute(t, batch).Notices[key]; len(got) != 0 {
		t.Errorf("a new Service, whose endpoints come, is told %v", got)
	}
	s.publish(t, svc)
	batch = s.batch(item(s.observed.Services[0], provider.Serve, provider.Edit))
	r := s.apply(t, batch, nil)
	if got := s.members(t, "kubernetes", "shop-web"); got != "" {
		t.Errorf("got %q", got)
	}
	if got := r.Notices[key]; len(got) != 1 || got[0].Reason != provider.ReasonNoTargets || !strings.Contains(got[0].Message, "externalTrafficPolicy is Local, and no node") {
		t.Errorf("of a pool without nodes it is told %v", got)
	}
	s.observed.EndpointNodes = nil
	s.settled(t, batch)
	cluster := s.batch(item(newService("web", "TCP:80"), provider.Serve, provider.Edit))
	s.apply(t, cluster, nil)
	s.settled(t, cluster)
	if got := s.members(t, "kubernetes", "shop-web"); got != "no pool" {
		t.Errorf("the pool is left, with %q", got)
	}
}

func TestAnAddressKeepsItsLoadBalancer(t *testing.T) {
	s := several(t)
	s.userIP(t, "rig", "shared", "20.70.0.1")
	first := with(newService("web", "TCP:80"), "azure-pip-name", "shared", "azure-load-balancer-configurations", "lb2")
	s.apply(t, s.batch(item(first, provider.Serve, provider.Edit)), nil)
	second := with(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "20.70.0.1")
	if got := s.placed(t, s.batch(item(second, provider.Serve, provider.Edit)))["api"]; got != "lb2" {
		t.Errorf("got %s", got)
	}
	elsewhere := item(with(second, "azure-load-balancer-configurations", "kubernetes"), provider.Serve, provider.Edit)
	want := "the address that the Service asks for is on load balancer lb2, but only kubernetes may serve it; take annotation service.beta.kubernetes.io/azure-load-balancer-configurations away or name lb2 in it, or ask for another address"
	if got := s.compute(t, s.batch(elsewhere)).Refused[elsewhere.Key]; got == nil || got.Error() != want {
		t.Errorf("got %v", got)
	}
}

// A Service whose new form is refused has endpoints that move all the same.
func TestPoolOfARefusedServiceFollowsItsEndpoints(t *testing.T) {
	s := several(t)
	svc := local(newService("web", "TCP:80"))
	key := plan.Key{Namespace: "shop", Name: "web"}
	s.observed.EndpointNodes = map[plan.Key][]string{key: {"node1"}}
	s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
	s.publish(t, svc)
	refused := with(svc, "azure-pip-name", "gone")
	s.observed.EndpointNodes[key] = []string{"node5"}
	r := s.apply(t, s.batch(item(refused, provider.Serve, provider.Edit)), nil)
	if r.Refused[key] == nil {
		t.Error("it is not refused")
	}
	if got := s.members(t, "kubernetes", "shop-web"); got != "node5" {
		t.Errorf("got %q", got)
	}
}
