// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/provider"
)

func TestPoolTakenAway(t *testing.T) {
	const two, one = "old=192.0.2.1-192.0.2.9", "new=198.51.100.1-198.51.100.1"
	c := newCluster(t, poolsConfig(two, one))
	c.service("a")
	c.service("b")
	c.settle(provider.Edit)
	c.provider.Update(parseConfig(t, poolsConfig(one)))
	select {
	case <-c.provider.Changed():
	default:
		t.Error("nobody is told of the new pools")
	}
	out := c.settle(provider.Config)
	c.wantSteps(out, `2 metal/addresses default/a: ipv4 "192.0.2.1" -> "198.51.100.1"`)
	if got, want := out.told("a"), "Warning AddressChanged: 198.51.100.1 from pool new instead of 192.0.2.1, which no pool holds any more"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	c.wantIPs("b", "192.0.2.2")
	if want := `status.loadBalancer "192.0.2.2": no pool holds it any more, and no IPv4 address is free: pool new has 1, held by default/a; delete a Service, or add addresses to a pool`; out.refusal("b") != want {
		t.Errorf("refused with %q, want %q", out.refusal("b"), want)
	}
}

func TestPoolThatCannotBeReadKeepsItsAddresses(t *testing.T) {
	good, bad := "new=198.51.100.1-198.51.100.9", "old=192.0.2.9-192.0.2.1"
	c := newCluster(t, poolsConfig("old=192.0.2.1-192.0.2.9", good))
	c.service("a")
	c.settle(provider.Edit)
	config := parseConfig(t, poolsConfig(bad, good))
	if len(config.Metal.Pools) != 1 || len(config.Faults) == 0 {
		t.Fatalf("the bad pool is no fault: %+v", config)
	}
	c.provider.Update(config)
	c.wantSteps(c.settle(provider.Config))
	c.wantIPs("a", "192.0.2.1")
	c.restart(poolsConfig(bad, good))
	c.wantSteps(c.settle(provider.Resync))
	c.service("b")
	c.settle(provider.Edit)
	c.wantIPs("b", "198.51.100.1")
}

func TestUpdateSpeaksOnlyOfPools(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.0/24"))
	c.provider.Update(parseConfig(t, poolsConfig("p=192.0.2.0/24")+"  zones:\n  - {name: a, cidrs: [10.0.0.0/8]}\n"))
	select {
	case <-c.provider.Changed():
		t.Error("Services are to be looked at again though the pools are the same")
	default:
	}
}

func TestNamespaceSelectors(t *testing.T) {
	c := newCluster(t, poolsConfig("open=198.51.100.0/24", "team=192.0.2.1-192.0.2.9")+
		"    namespaceSelectors: [{matchLabels: {team: x}}]\n")
	if err := c.namespaces.Add(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{"team": "x"}}}); err != nil {
		t.Fatal(err)
	}
	c.service("a")
	c.settle(provider.Edit)
	c.wantIPs("a", "192.0.2.1")
}

func TestNamespaceLabelsWakeThoseThatWait(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.0/24"))
	was := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	is := was.DeepCopy()
	is.Annotations = map[string]string{"a": "b"}
	c.provider.NamespaceHandler().OnUpdate(was, is)
	select {
	case <-c.provider.Changed():
		t.Error("Services are to be looked at again though the labels are the same")
	default:
	}
	is.Labels = map[string]string{"team": "x"}
	c.provider.NamespaceHandler().OnUpdate(was, is)
	select {
	case <-c.provider.Changed():
	default:
		t.Error("nobody is told of the labels")
	}
}
