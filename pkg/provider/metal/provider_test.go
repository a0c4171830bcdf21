// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

func TestNewServiceGetsAnAddressOnce(t *testing.T) {
	c := newCluster(t, poolsConfig("public=192.0.2.1-192.0.2.9"))
	c.service("web")
	out := c.settle(provider.Edit)
	c.wantSteps(out, `1 metal/addresses default/web: ipv4 "" -> "192.0.2.1"`)
	if got, want := out.told("web"), "Normal AddressAllocated: 192.0.2.1 from pool public"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	in := out.status[plan.Key{Namespace: "default", Name: "web"}].Ingress
	if len(in) != 1 || in[0].IPMode == nil || *in[0].IPMode != v1.LoadBalancerIPModeVIP {
		t.Errorf("ingress is %+v", in)
	}
	for _, cause := range []provider.Cause{provider.Drift, provider.Nodes, provider.Resync, provider.Edit} {
		out := c.settle(cause)
		c.wantSteps(out)
		if out.told("web") != "" {
			t.Errorf("told again: %s", out.told("web"))
		}
	}
}

func TestStatusThatLagsIsNoNews(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.9"))
	c.service("a")
	c.pass(provider.Edit) // its status is not written yet
	c.service("b")
	out := c.settle(provider.Resync)
	c.wantSteps(out, `1 metal/addresses default/b: ipv4 "" -> "192.0.2.2"`)
	c.wantIPs("a", "192.0.2.1")

	c.edit("a", annotated("metallb.io/loadBalancerIPs", "192.0.2.5"))
	c.pass(provider.Edit, "a") // the status still shows 192.0.2.1
	c.service("wants-old", annotated("metallb.io/loadBalancerIPs", "192.0.2.1"))
	c.service("wants-new", annotated("metallb.io/loadBalancerIPs", "192.0.2.5"))
	out = c.pass(provider.Edit, "wants-old", "wants-new")
	c.wantSteps(out) // speakers may still announce the old one for the Service that had it
	for _, name := range []string{"wants-old", "wants-new"} {
		if !strings.Contains(out.refusal(name), "default/a has this address") {
			t.Errorf("%s: refused with %q", name, out.refusal(name))
		}
	}
	c.settle(provider.Edit) // now the status shows the new one
	c.settle(provider.Freed)
	c.wantIPs("wants-old", "192.0.2.1")
	c.wantIPs("a", "192.0.2.5")
}

func TestRestartChangesNothing(t *testing.T) {
	config := poolsConfig("p=192.0.2.0/24,2001:db8::/64", "q=198.51.100.0/24")
	c := newCluster(t, config)
	for i := range 50 {
		c.service(fmt.Sprint("s", i), dual(v1.IPFamilyPolicyPreferDualStack))
	}
	c.settle(provider.Edit)
	for i := 0; i < 50; i += 3 {
		c.edit(fmt.Sprint("s", i), deleted)
	}
	c.settle(provider.Edit)
	before := map[string]string{}
	for _, svc := range c.seen {
		before[svc.Name] = ipsOf(&svc.Status.LoadBalancer)
	}
	c.restart(strings.ReplaceAll(config, "name: q", "name: q\n    autoAssign: false\n    priority: 1"))
	c.service("new")
	out := c.settle(provider.Resync)
	if len(out.Plan.Steps) != 1 {
		t.Errorf("steps after a restart:\n%s", out.steps())
	}
	for name, ips := range before {
		c.wantIPs(name, ips)
	}
}

func deleted(s *v1.Service) {
	now := metav1.Now()
	s.DeletionTimestamp = &now
}

func TestRemovalFreesTheAddressAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*v1.Service)
	}{
		{"deleted", deleted},
		{"another type", func(s *v1.Service) { s.Spec.Type = v1.ServiceTypeClusterIP }},
		{"another class", func(s *v1.Service) { class := "example.com/other"; s.Spec.LoadBalancerClass = &class }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.1"))
			cl.service("old")
			cl.settle(provider.Edit)
			cl.service("new")
			if out := cl.settle(provider.Edit); !strings.Contains(out.refusal("new"), "held by default/old") {
				t.Errorf("refused with %q", out.refusal("new"))
			}
			cl.edit("old", c.end)
			if _, exists, _ := cl.provider.Find(t.Context(), cl.get("old")); !exists {
				t.Error("the load balancer does not exist before it is removed")
			}
			out := cl.pass(provider.Edit, "old")
			cl.wantSteps(out, `4 metal/addresses default/old: ipv4 "192.0.2.1" -> ""`)
			if _, exists, _ := cl.provider.Find(t.Context(), cl.get("old")); exists {
				t.Error("the load balancer exists after it was removed")
			}
			cl.settle(provider.Freed, "new") // the status of old still shows it
			cl.wantIPs("new", "192.0.2.1")
			cl.wantSteps(cl.pass(provider.Edit, "old"))
			cl.publish(out)
			cl.wantSteps(cl.pass(provider.Resync))
			cl.wantIPs("new", "192.0.2.1")
		})
	}
}

func TestRemovalAfterARestart(t *testing.T) {
	config := poolsConfig("p=192.0.2.1-192.0.2.1")
	c := newCluster(t, config)
	c.service("old", withStatus("192.0.2.1"), deleted)
	if _, exists, _ := c.provider.Find(t.Context(), c.get("old")); !exists {
		t.Error("what the status shows does not exist")
	}
	c.service("new")
	out := c.settle(provider.Edit)
	c.wantSteps(out,
		`4 metal/addresses default/old: ipv4 "192.0.2.1" -> ""`,
		`1 metal/addresses default/new: ipv4 "" -> "192.0.2.1"`)
}

func TestServiceMadeAgainUnderItsNameIsAnother(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.9"))
	c.service("web")
	c.settle(provider.Edit)
	old, b := c.get("web"), c.batch(provider.Edit)
	c.gone("web")
	c.service("web")
	c.pass(provider.Edit)
	if _, exists, _ := c.provider.Find(t.Context(), old); !exists {
		t.Error("what the status of the old one shows does not exist")
	}
	b.Items[0].Want = provider.Remove // the engine brings the old one to its end
	_, out := c.look(b)
	c.wantSteps(out)
	c.settle(provider.Resync)
	c.wantIPs("web", "192.0.2.2")
}

func TestStatusThatComesAfterTheRemovalIsNoNews(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.1"))
	c.service("old")
	c.pass(provider.Edit)
	c.edit("old", deleted)
	c.pass(provider.Edit) // no status has shown the address yet
	c.service("new")
	c.settle(provider.Edit, "new")
	c.edit("old", withStatus("192.0.2.1"))
	c.wantSteps(c.settle(provider.Resync))
	c.wantIPs("new", "192.0.2.1")
}

func TestServiceGoneWithoutARemovalIsForgotten(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.1"))
	c.service("old")
	b := c.batch(provider.Edit)
	c.pass(provider.Edit)
	c.gone("old")
	b.Items[0].Want = provider.Remove
	p, out := c.look(b) // the caller still knows it
	c.wantSteps(out, `4 metal/addresses default/old: ipv4 "192.0.2.1" -> ""`)
	if err := p.Execute(t.Context(), out.Plan.Steps[0], nil); err != nil {
		t.Fatal(err)
	}
	c.service("new")
	c.settle(provider.Edit)
	c.wantIPs("new", "192.0.2.1")
	if n := len(c.provider.memory.records); n != 1 {
		t.Errorf("%d records, want that of new alone", n)
	}
}

func TestKeepIsLeftAlone(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.2"))
	c.service("a")
	c.settle(provider.Edit)
	c.edit("a", annotated("metallb.io/loadBalancerIPs", "nonsense"))
	c.wantSteps(c.pass(provider.Edit))
	c.service("b", annotated("fairlead.dev/load-balancer-ips", "192.0.2.1"))
	if out := c.pass(provider.Edit, "b"); !strings.Contains(out.refusal("b"), "default/a has this address") {
		t.Errorf("refused with %q", out.refusal("b"))
	}
}

func TestStepWithoutAServiceLeavesItAsItWas(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.2"))
	c.service("a")
	p, out := c.look(c.batch(provider.Edit))
	key := plan.Key{Namespace: "default", Name: "a"}
	if err := p.Execute(t.Context(), out.Plan.Steps[0], map[plan.Key]bool{key: true}); err != nil {
		t.Fatal(err)
	}
	if len(c.provider.memory.records) != 0 {
		t.Error("an address was given")
	}
}

func TestForeignServicesReserveTheirAddresses(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.3"))
	class := "example.com/other"
	c.service("foreign", withStatus("192.0.2.1"), func(s *v1.Service) { s.Spec.LoadBalancerClass = &class })
	c.service("mine")
	c.settle(provider.Edit, "mine")
	c.wantIPs("mine", "192.0.2.2")
	// The other controller moves its Service; ours follows what the status says.
	c.edit("foreign", withStatus("192.0.2.3"))
	c.service("next")
	c.settle(provider.Edit, "next")
	c.wantIPs("next", "192.0.2.1")
}

func TestAddressThatAnotherControllerGivesAfterUsIsReserved(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.2"))
	c.service("moved")
	c.settle(provider.Edit)
	class := "example.com/other"
	c.edit("moved", func(s *v1.Service) { s.Spec.LoadBalancerClass = &class })
	c.settle(provider.Edit)
	c.pass(provider.Resync) // its status shows nothing
	c.edit("moved", withStatus("192.0.2.1"))
	c.service("next", annotated("fairlead.dev/load-balancer-ips", "192.0.2.1"))
	if out := c.settle(provider.Edit, "next"); !strings.Contains(out.refusal("next"), "default/moved has this address") {
		t.Errorf("refused with %q", out.refusal("next"))
	}
}

func TestSharingEditWakesThoseThatWait(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.1"))
	shared := annotated("metallb.universe.tf/allow-shared-ip", "k")
	c.service("a", shared)
	c.settle(provider.Edit)
	c.service("b", shared)
	if out := c.settle(provider.Edit); out.refusal("b") == "" {
		t.Error("both have port 80 of one address")
	}
	c.restart(poolsConfig("p=192.0.2.1-192.0.2.1"))
	c.wantSteps(c.settle(provider.Resync))
	c.edit("a", onPort(81))
	out := c.settle(provider.Edit, "a")
	c.wantSteps(out, `2 metal/addresses default/a: sharing "k, TCP/80" -> "k, TCP/81"`)
	c.settle(provider.Freed, "b")
	c.wantIPs("b", "192.0.2.1")

	c.edit("a", onPort(80))
	out = c.settle(provider.Edit, "a")
	if want := "Warning AddressContested: default/b also has an address of this Service, but may not share it any more; undo the edit, or ask for another address"; out.told("a") != want {
		t.Errorf("told %q, want %q", out.told("a"), want)
	}
	out = c.settle(provider.Resync)
	if !strings.Contains(out.refusal("b"), "both have port TCP/80") {
		t.Errorf("refused with %q", out.refusal("b"))
	}
	c.wantIPs("b", "192.0.2.1")
}

func TestDualStackToldInOneNotice(t *testing.T) {
	c := newCluster(t, poolsConfig("four=192.0.2.1-192.0.2.9"))
	c.service("a", dual(v1.IPFamilyPolicyPreferDualStack))
	out := c.settle(provider.Edit)
	want := "Normal AddressAllocated: 192.0.2.1 from pool four; pool four has no IPv6 addresses, which spec.ipFamilyPolicy PreferDualStack of the Service asks for; add such a range to a pool"
	if out.told("a") != want {
		t.Errorf("told %q, want %q", out.told("a"), want)
	}
	c.provider.Update(parseConfig(t, poolsConfig("four=192.0.2.1-192.0.2.9", "six=2001:db8::1-2001:db8::9")))
	out = c.settle(provider.Config)
	c.wantIPs("a", "192.0.2.1 2001:db8::1")
	if want := "Normal AddressAllocated: 2001:db8::1 from pool six"; out.told("a") != want {
		t.Errorf("told %q, want %q", out.told("a"), want)
	}
}

func TestThousandServicesInOneBatch(t *testing.T) {
	c := newCluster(t, poolsConfig("p=10.0.0.0/16"))
	for i := range 1000 {
		c.service(fmt.Sprintf("s%04d", i))
	}
	c.settle(provider.Edit)
	for i, want := range map[int]string{0: "10.0.0.1", 253: "10.0.0.254", 254: "10.0.0.255", 999: "10.0.3.232"} {
		c.wantIPs(fmt.Sprintf("s%04d", i), want)
	}
	c.wantSteps(c.pass(provider.Resync))
}

func TestAcceptance(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	c := newCluster(t, read("metal-config.yaml"))
	for _, file := range []string{"metal-whoami.yaml", "metal-traefik.yaml"} {
		docs := strings.Split(read(file), "\n---\n")
		var svc v1.Service
		if err := yaml.Unmarshal([]byte(docs[len(docs)-1]), &svc); err != nil {
			t.Fatal(err)
		}
		c.service(svc.Name, func(s *v1.Service) {
			s.Annotations, s.Spec.Ports, s.Spec.Selector = svc.Annotations, svc.Spec.Ports, svc.Spec.Selector
			s.Spec.ExternalTrafficPolicy = svc.Spec.ExternalTrafficPolicy
		})
	}
	c.settle(provider.Edit)
	c.wantIPs("whoami-lb", "1.2.3.4")
	c.wantIPs("traefik-ingress", "1.2.3.5")
}

func BenchmarkPassOfOneBesideThousand(b *testing.B) {
	c := newCluster(b, poolsConfig("p=10.0.0.0/16"))
	for i := range 1000 {
		c.service(fmt.Sprint("s", i), withStatus(fmt.Sprintf("10.0.%d.%d", 1+i/250, 1+i%250)))
	}
	c.service("new")
	batch := c.batch(provider.Edit, "new")
	for b.Loop() {
		p, err := c.provider.Observe(b.Context(), batch)
		if err != nil {
			b.Fatal(err)
		}
		p.Decide()
	}
}

// A provider that only looks, beside the one that leads.
func TestStatusFirstSeenIsNotTheLastWord(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.1-192.0.2.9"))
	c.service("a", withStatus("192.0.2.1"))
	c.wantSteps(c.pass(provider.Resync))
	c.edit("a", annotated("metallb.io/loadBalancerIPs", "192.0.2.5"))
	c.edit("a", withStatus("192.0.2.5"))
	c.wantSteps(c.pass(provider.Resync))
}
