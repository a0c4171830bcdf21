// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// sections are the lists of documents that hold what Services own.
func sections() []string {
	return []string{names.Frontends, names.Pools, names.Rules, names.Probes, "securityRules"}
}

// Whatever part the peer made is taken away, that part alone is made anew, and
// then all is as it was.
func TestWhatIsMissingAloneIsMadeAnew(t *testing.T) {
	for _, file := range states(t) {
		s := load(t, file)
		docs := append(slices.Clone(s.observed.LoadBalancers), s.observed.SecurityGroup)
		for _, doc := range docs {
			for _, section := range sections() {
				parts, err := document.ListAt(doc, "properties", section)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range parts.Elements() {
					t.Run(filepath.Base(file)+"/"+section+"/"+part.Name, func(t *testing.T) {
						without(t, file, doc, section, part)
					})
				}
			}
		}
	}
}

func without(t *testing.T, file string, doc json.RawMessage, section string, part document.Element) {
	t.Helper()
	s := load(t, file)
	parts, err := document.ListAt(doc, "properties", section)
	if err != nil {
		t.Fatal(err)
	}
	parts.Remove(part.Name)
	less, err := document.Set(doc, parts.JSON(), "properties", section)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ ID, Name string }
	if err := json.Unmarshal(doc, &h); err != nil {
		t.Fatal(err)
	}
	s.observed.Learn(h.ID, less)
	r := s.compute(t, s.all(provider.Resync))
	if len(r.Steps) != 1 || r.Steps[0].Action != plan.Update || r.Steps[0].Target.Name != h.Name {
		t.Fatalf("want one write of %s:\n%s", h.Name, text(t, r))
	}
	if !slices.ContainsFunc(r.Steps[0].Why, func(d plan.Diff) bool { return strings.Contains(d.Field, part.Name) }) {
		t.Errorf("the plan does not name %s:\n%s", part.Name, text(t, r))
	}
	after, err := document.ListAt(r.Writes[r.Steps[0].Target].Document, "properties", section)
	if err != nil {
		t.Fatal(err)
	}
	if _, has := after.Find(part.Name); !has {
		t.Fatalf("%s is not made anew", part.Name)
	}
	for _, e := range parts.Elements() {
		if got, _ := after.Find(e.Name); string(got.Raw) != string(e.Raw) {
			t.Errorf("%s was\n%s\nis\n%s", e.Name, e.Raw, got.Raw)
		}
	}
	s.apply(t, s.all(provider.Resync), nil)
	s.settled(t, s.all(provider.Resync))
}

// What others made in our resources is there after every write, byte for byte.
func TestWhatOthersMadeSurvives(t *testing.T) {
	s := load(t, "testdata/golden/vmss-ip.all.json")
	foreign := map[string]string{
		names.Frontends:        `{"name":"outbound", "properties":{ "publicIPAddress":{"id":"/x/outbound"},"weird":1.10 }}`,
		names.Pools:            `{"name":"theirs","properties":{"loadBalancerBackendAddresses":[ {"name":"vm","properties":{"ipAddress":"10.240.0.99"}} ]}}`,
		names.Rules:            `{"name":"their-rule","properties":{"frontendPort":9,"backendPort":9,"protocol":"Tcp","x":[1 ,2],"frontendIPConfiguration":{"id":"/x/f"}}}`,
		names.Probes:           `{"name":"their-probe","properties":{"port": 7,"protocol":"Tcp"}}`,
		names.Outbound:         `{"name":"out","properties":{"allocatedOutboundPorts":1e3,"frontendIPConfigurations":[{"id":"` + s.lbID("kubernetes") + `/frontendIPConfigurations/outbound"}]}}`,
		"someNewerCollection":  `{"name":"n","é":"\u00e9"}`,
		names.InboundNAT:       `{"name":"nat","properties":{"frontendPort":22,"protocol":"Tcp"}}`,
		"securityRules":        `{"name":"mine","properties":{"priority":510,"protocol":"*","access":"Deny","direction":"Inbound","destinationAddressPrefix":"20.50.0.6","note":" "}}`,
		"someNewerSecurityToo": `{"name":"n","v":0.0}`,
	}
	for _, id := range []string{s.lbID("kubernetes"), s.settings.SecurityGroupID()} {
		doc := s.doc(id)
		for section, raw := range foreign {
			isSecurity := strings.Contains(strings.ToLower(section), "security")
			if isSecurity != strings.Contains(id, "networkSecurityGroups") {
				continue
			}
			parts, err := document.ListAt(doc, "properties", section)
			if err != nil {
				t.Fatal(err)
			}
			var named struct{ Name string }
			if err := json.Unmarshal([]byte(raw), &named); err != nil {
				t.Fatal(err)
			}
			parts.Put(document.Element{Name: named.Name, Raw: json.RawMessage(raw)})
			if doc, err = document.Set(doc, parts.JSON(), "properties", section); err != nil {
				t.Fatal(err)
			}
		}
		s.observed.Learn(id, doc)
	}
	s.settled(t, s.all(provider.Resync))
	removed := s.batch()
	for _, svc := range s.observed.Services {
		removed.Items = append(removed.Items, item(svc, provider.Remove, provider.Edit))
	}
	r := s.compute(t, removed)
	for _, id := range []plan.ID{{Kind: "azure/loadBalancer", Name: "kubernetes"}, {Kind: "azure/securityGroup", Name: "rig-nsg"}} {
		w := r.Writes[id]
		if w.Delete {
			t.Fatalf("%s is deleted, though others use it", id)
		}
		for section, raw := range foreign {
			isSecurity := strings.Contains(strings.ToLower(section), "security")
			if isSecurity == (id.Kind == "azure/securityGroup") && !strings.Contains(string(w.Document), raw) {
				t.Errorf("%s: %s is not as it was in\n%s", id, raw, w.Document)
			}
		}
		for _, section := range []string{names.Frontends, names.Rules, names.Probes, "securityRules"} {
			if parts, err := document.ListAt(w.Document, "properties", section); err != nil || parts.Len() > 1 {
				t.Errorf("%s: parts of Services are left in %s: %s, %v", id, section, parts.JSON(), err)
			}
		}
	}
}

// Unknown fields of what is ours stay when we change it.
func TestUnknownFieldsOfOursSurviveAnEdit(t *testing.T) {
	s := load(t, "testdata/golden/vmss-nic.public-one-port.json")
	svc := s.observed.Services[0]
	lb := s.doc(s.lbID("kubernetes"))
	changed := json.RawMessage(strings.Replace(string(lb), `"frontendPort"`, `"aNewerSwitch": {"x" :1.0}, "frontendPort"`, 1))
	s.observed.Learn(s.lbID("kubernetes"), changed)
	svc.Spec.Ports[0].NodePort = 31111
	svc.Annotations[prefix+"azure-load-balancer-tcp-idle-timeout"] = "9"
	r := s.compute(t, s.all(provider.Edit))
	w := r.Writes[plan.ID{Kind: "azure/loadBalancer", Name: "kubernetes"}]
	if !strings.Contains(string(w.Document), `"aNewerSwitch":{"x" :1.0}`) || !strings.Contains(string(w.Document), `"idleTimeoutInMinutes":9`) {
		t.Errorf("got %s", w.Document)
	}
}

// However many Services come at once, a load balancer and the security group
// are written once each.
func TestABatchWritesWhatIsSharedOnce(t *testing.T) {
	s := empty(t)
	batch := s.batch()
	const many = 120
	for i := range many {
		batch.Items = append(batch.Items, item(numbered(i), provider.Serve, provider.Edit))
	}
	got := targets(t, s.apply(t, batch, nil))
	if len(got["azure/publicIP"]) != many || len(got["azure/loadBalancer"]) != 1 || len(got["azure/securityGroup"]) != 1 {
		t.Errorf("got %d public IPs, %d load balancers, %d security groups",
			len(got["azure/publicIP"]), len(got["azure/loadBalancer"]), len(got["azure/securityGroup"]))
	}
	s.settled(t, batch)
	for i := range batch.Items {
		batch.Items[i].Want = provider.Remove
	}
	got = targets(t, s.apply(t, batch, nil))
	if len(got["azure/publicIP"]) != many || len(got["azure/loadBalancer"]) != 1 || len(got["azure/securityGroup"]) != 1 {
		t.Errorf("removed with %v", got)
	}
	s.settled(t, batch)
	if len(s.observed.LoadBalancers) != 0 || strings.Contains(string(s.observed.SecurityGroup), "k8s-azure-lb") {
		t.Error("something is left")
	}
}

// A Service that is left out stays as it is, new or old.
func TestWhoIsLeftOutStaysAsItIs(t *testing.T) {
	s := empty(t)
	a, b := newService("web", "TCP:80"), newService("api", "TCP:80")
	both := s.batch(item(a, provider.Serve, provider.Edit), item(b, provider.Serve, provider.Edit))
	key := both.Items[1].Key
	s.apply(t, both, map[plan.Key]bool{key: true})
	if lb := string(s.observed.LoadBalancers[0]); strings.Contains(lb, names.Base(b.UID)) {
		t.Errorf("it was left out, but is in %s", lb)
	}
	s.apply(t, both, nil)
	before := string(s.observed.LoadBalancers[0])
	gone := s.batch(item(a, provider.Serve, provider.Edit), item(b, provider.Remove, provider.Edit))
	r, err := azure.Compute(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: gone, Without: map[plan.Key]bool{key: true}})
	if err != nil || len(r.Steps) != 0 {
		t.Errorf("%v, %v", r.Steps, err)
	}
	if string(s.observed.LoadBalancers[0]) != before {
		t.Error("the input was changed")
	}
}

// A node that comes or goes is one write for all Services of a load balancer.
func TestNodesFollow(t *testing.T) {
	s := load(t, "testdata/golden/vmss-ip.all.json")
	s.nodes = slices.Clone(s.nodes[1:])
	fresh := s.nodes[0].DeepCopy()
	fresh.Name, fresh.Status.Addresses[0].Address = "new", "10.240.0.44"
	s.nodes = append(s.nodes, fresh)
	batch := s.all(provider.Nodes)
	for i := range batch.Items {
		batch.Items[i].Want = provider.Keep
	}
	want := s.compute(t, s.all(provider.Nodes))
	if diff := cmp.Diff([]string{"kubernetes", "kubernetes-internal"}, targets(t, want)["azure/loadBalancer"]); diff != "" || len(want.Steps) != 2 {
		t.Errorf("-want +got:\n%s\n%s", diff, text(t, want))
	}
	if got := targets(t, s.apply(t, batch, nil)); len(got["azure/loadBalancer"]) != 2 {
		t.Errorf("refused Services do not follow: %v", got)
	}
	lb := string(s.doc(s.lbID("kubernetes")))
	if !strings.Contains(lb, "10.240.0.44") || strings.Contains(lb, `"10.240.0.4"`) {
		t.Errorf("got %s", lb)
	}
	s.settled(t, s.all(provider.Resync))
	s.nodes = nil
	s.settled(t, s.all(provider.Resync))
}

func TestNodesFollowWhereTheyAreDestinations(t *testing.T) {
	s := empty(t)
	svc := with(newService("web", "TCP:80"), "azure-disable-load-balancer-floating-ip", "true")
	s.apply(t, s.batch(item(svc, provider.Serve, provider.Edit)), nil)
	fresh := s.nodes[0].DeepCopy()
	fresh.Name, fresh.Status.Addresses[0].Address = "new", "10.240.0.44"
	s.nodes = append(slices.Clone(s.nodes), fresh)
	s.observed.Nodes = s.nodes
	for _, want := range []provider.Want{provider.Serve, provider.Keep} {
		r := s.compute(t, s.batch(item(svc, want, provider.Nodes)))
		w := r.Writes[plan.ID{Kind: "azure/securityGroup", Name: "rig-nsg"}]
		if len(r.Steps) != 1 || !strings.Contains(string(w.Document), "10.240.0.44") {
			t.Errorf("want %d:\n%s", want, text(t, r))
		}
	}
}

func TestPoolsForThoseWhoJoinThem(t *testing.T) {
	s := load(t, "testdata/golden/vmss-nic.dual-stack.json")
	r := s.compute(t, s.all(provider.Resync))
	var got []string
	for _, p := range r.Pools {
		got = append(got, fmt.Sprintf("%s %s gone=%t", names.Last(p.LoadBalancer), names.Last(p.ID), p.Gone))
	}
	want := []string{
		"kubernetes kubernetes gone=false", "kubernetes kubernetes-IPv6 gone=false",
		"kubernetes-internal kubernetes gone=false", "kubernetes-internal kubernetes-IPv6 gone=false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	batch := s.all(provider.Edit)
	for i := range batch.Items {
		batch.Items[i].Want = provider.Remove
	}
	r = s.compute(t, batch)
	for _, p := range r.Pools {
		if !p.Gone || p.Step.Name != names.Last(p.LoadBalancer) {
			t.Errorf("got %+v", p)
		}
	}
	leave := plan.Step{Action: plan.Update, Target: plan.ID{Kind: "azure/scaleSet", Name: "nodepool1"}}
	p, err := plan.New(r.WithMembership([]plan.Step{leave}, map[string][]plan.ID{s.lbID("kubernetes"): {leave.Target}}))
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.Steps, func(st plan.Step) bool { return st.Target.Name == "kubernetes" })
	if !slices.Contains(p.Steps[at].Needs, leave.Target) {
		t.Errorf("the load balancer does not wait for its members to leave:\n%s", p)
	}
}
