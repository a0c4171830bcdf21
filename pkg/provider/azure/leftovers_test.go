// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

const nothing = "Nothing to do.\n"

func (s *site) leftovers(t *testing.T) *azure.Result {
	t.Helper()
	r, err := azure.Compute(azure.Leftovers(&s.settings, &s.observed))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sweep does the steps of a pass over leftovers.
func (s *site) sweep(t *testing.T) {
	t.Helper()
	in := azure.Leftovers(&s.settings, &s.observed)
	first, err := azure.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(first.Steps)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Steps {
		s.step(t, st, first, in)
	}
	if got := text(t, s.leftovers(t)); got != nothing {
		t.Errorf("still:\n%s", got)
	}
}

// bare checks that nothing is there that a Service has.
func (s *site) bare(t *testing.T) {
	t.Helper()
	for _, doc := range s.documents() {
		for _, trace := range []string{"/loadBalancers/", "k8s-azure-"} {
			if strings.Contains(string(doc), trace) {
				t.Errorf("%s is left: %s", trace, doc)
			}
		}
	}
}

func (s *site) deserted() { s.observed.Services = nil }

func TestNothingOfAServiceIsLeftOver(t *testing.T) {
	for _, file := range states(t) {
		s := load(t, file)
		if got := text(t, s.leftovers(t)); got != nothing {
			t.Errorf("%s:\n%s", file, got)
		}
		s.deserted()
		s.settings.Cluster = "other" // of another cluster of the resource group
		s.observed.Nodes, s.nodes = nil, nil
		if got := text(t, s.leftovers(t)); got != nothing {
			t.Errorf("%s, of another cluster:\n%s", file, got)
		}
	}
}

func TestLeftoversOfServicesThatAreGone(t *testing.T) {
	for _, file := range states(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := load(t, file)
			s.deserted()
			golden(t, "left over "+strings.TrimSuffix(filepath.Base(file), ".json"), text(t, s.leftovers(t)))
			s.sweep(t)
			s.bare(t)
		})
	}
}

// What lives needs no write afterwards, whoever was removed beside it.
func TestLeftoversBesideServicesThatLive(t *testing.T) {
	for _, file := range states(t) {
		for i := range load(t, file).observed.Services {
			s := load(t, file)
			gone := s.observed.Services[i]
			s.observed.Services = slices.Delete(slices.Clone(s.observed.Services), i, i+1)
			s.sweep(t)
			s.settled(t, s.all(provider.Repair))
			for _, doc := range s.documents() {
				if strings.Contains(string(doc), "default/"+gone.Name+`"`) {
					t.Errorf("%s of %s is left: %s", gone.Name, file, doc)
				}
			}
		}
	}
}

// leaveBehind serves Services, of which those that live stay.
func (s *site) leaveBehind(t *testing.T, live, gone []*v1.Service) {
	t.Helper()
	for _, svc := range slices.Concat(gone, live) {
		s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
		s.publish(t, slices.Concat(gone, live)...)
	}
	s.observed.Services = live
}

func TestLeftoversOfEachForm(t *testing.T) {
	userIP := func(t *testing.T, s *site) {
		t.Helper()
		s.userIP(t, "rig", "shared", "20.70.0.1")
	}
	web, api := named(newService("web", "TCP:80"), "web", 1), named(newService("web", "TCP:81"), "api", 2)
	again := named(newService("web", "TCP:80"), "web", 3)
	const internal, ip, noFloating = "azure-load-balancer-internal", "azure-load-balancer-ipv4", "azure-disable-load-balancer-floating-ip"
	tests := map[string]struct {
		prepare    func(*testing.T, *site)
		live, gone []*v1.Service
		left       []string // in what stays
	}{
		"an address that is shared": {
			userIP,
			[]*v1.Service{with(web, ip, "20.70.0.1")},
			[]*v1.Service{with(api, ip, "20.70.0.1")},
			[]string{"20.70.0.1"},
		},
		"the Service whose address another one shares": {
			userIP,
			[]*v1.Service{with(api, ip, "20.70.0.1")},
			[]*v1.Service{with(web, ip, "20.70.0.1")},
			[]string{"20.70.0.1"},
		},
		"both that share an internal address": {nil, nil, []*v1.Service{with(web, internal, "true", ip, "10.240.0.40"), with(api, internal, "true", ip, "10.240.0.40")}, nil},
		"clients at the nodes":                {nil, []*v1.Service{with(api, noFloating, "true")}, []*v1.Service{with(web, noFloating, "true")}, nil},
		"all clients at the nodes":            {nil, nil, []*v1.Service{with(web, noFloating, "true")}, nil},
		"a private link service":              {nil, nil, []*v1.Service{linked(web)}, nil},
		"one that lives again":                {nil, []*v1.Service{again}, []*v1.Service{web}, nil},
		"two of one name":                     {nil, nil, []*v1.Service{web, again}, nil},
		"a source range":                      {nil, []*v1.Service{api}, []*v1.Service{edit(web, func(s *v1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} })}, nil},
		"an additional address":               {nil, []*v1.Service{api}, []*v1.Service{with(web, "azure-additional-public-ips", "198.51.100.7")}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			s.leaveBehind(t, tt.live, tt.gone)
			golden(t, "left over of "+name, text(t, s.leftovers(t)))
			s.sweep(t)
			s.settled(t, s.all(provider.Repair))
			for _, svc := range tt.live {
				s.apply(t, s.batch(item(svc, provider.Remove, provider.Edit)), nil)
			}
			if len(tt.left) == 0 {
				s.bare(t)
			}
			for _, links := range s.observed.PrivateLinks {
				if len(links) > 0 {
					t.Errorf("%d private link services are left", len(links))
				}
			}
		})
	}
}

// A Service that lives and asks for an address is not served yet: the address
// stays, and clients that may be let in.
func TestWhatAServiceAsksForIsNotLeftOver(t *testing.T) {
	s := empty(t)
	web := newService("web", "TCP:80")
	s.leaveBehind(t, nil, []*v1.Service{web})
	address := web.Status.LoadBalancer.Ingress[0].IP
	for name, svc := range map[string]*v1.Service{
		"by its name":    with(newService("api", "TCP:80"), "azure-pip-name", names.Service{UID: web.UID}.PublicIP("kubernetes", "", intent.V4)),
		"by its address": with(newService("api", "TCP:80"), "azure-load-balancer-ipv4", address),
	} {
		t.Run(name, func(t *testing.T) {
			svc = named(svc, "api", 7)
			s.observed.Services = []*v1.Service{svc}
			got := targets(t, s.leftovers(t))
			if diff := cmp.Diff(map[string][]string{"azure/loadBalancer": {"kubernetes"}}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhatNothingProvesIsNotLeftOver(t *testing.T) {
	strip := func(s *site, change func(string) string) {
		for group, docs := range s.observed.PublicIPs {
			for i := range docs {
				s.observed.PublicIPs[group][i] = json.RawMessage(change(string(docs[i])))
			}
		}
	}
	tests := map[string]func(*testing.T, *site){
		"a public IP with the tag of another cluster": func(_ *testing.T, s *site) {
			strip(s, func(doc string) string {
				return strings.ReplaceAll(doc, `"k8s-azure-cluster-name":"kubernetes"`, `"k8s-azure-cluster-name":"other"`)
			})
		},
		"a public IP without the tag of a cluster and another name": func(_ *testing.T, s *site) {
			strip(s, func(doc string) string {
				doc = strings.ReplaceAll(doc, `"k8s-azure-cluster-name":"kubernetes",`, ``)
				return strings.ReplaceAll(doc, "kubernetes-a", "mine-a")
			})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			s.leaveBehind(t, nil, []*v1.Service{newService("web", "TCP:80")})
			s.observed.LoadBalancers = nil
			if got := targets(t, s.leftovers(t))["azure/publicIP"]; len(got) != 1 {
				t.Fatalf("before: %v", got)
			}
			change(t, s)
			if got := targets(t, s.leftovers(t))["azure/publicIP"]; len(got) != 0 {
				t.Errorf("left over: %v", got)
			}
		})
	}
}

// A process that ends between two deletions leaves what can still be found.
func TestLeftoversOfAPassThatWasCut(t *testing.T) {
	for _, file := range states(t) {
		s := load(t, file)
		s.observed.Services = nil
		in := azure.Leftovers(&s.settings, &s.observed)
		first, err := azure.Compute(in)
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.New(first.Steps)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range p.Steps {
			s := load(t, file)
			s.observed.Services = nil
			for _, st := range p.Steps[:cut] {
				s.step(t, st, first, azure.Leftovers(&s.settings, &s.observed))
			}
			s.detach(t)
			s.sweep(t)
			s.bare(t)
		}
	}
}

// detach lets public IPs say that no frontend has them, as Azure does.
func (s *site) detach(t *testing.T) {
	t.Helper()
	for group, docs := range s.observed.PublicIPs {
		for i := range docs {
			var doc map[string]any
			if err := json.Unmarshal(docs[i], &doc); err != nil {
				t.Fatal(err)
			}
			properties, _ := doc["properties"].(map[string]any)
			at, _ := properties["ipConfiguration"].(map[string]any)
			id, _ := at["id"].(string)
			if slices.ContainsFunc(s.observed.LoadBalancers, func(lb json.RawMessage) bool { return strings.Contains(string(lb), id) }) {
				continue
			}
			delete(properties, "ipConfiguration")
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			s.observed.PublicIPs[group][i] = raw
		}
	}
}

func TestKeysOfLeftovers(t *testing.T) {
	s := load(t, "testdata/golden/vmss-nic.dual-stack.json")
	s.deserted()
	var got []string
	for _, it := range azure.Leftovers(&s.settings, &s.observed).Batch.Items {
		got = append(got, it.Key.String())
	}
	if diff := cmp.Diff([]string{"a4c0bd", "default/dual-stack"}, []string{got[0][:6], got[1]}); diff != "" {
		t.Errorf("%v: -want +got:\n%s", got, diff)
	}
	if (plan.Key{Name: got[0]}).String() != got[0] {
		t.Error("a Service that nothing names has a namespace")
	}
}
