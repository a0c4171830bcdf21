// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

func TestPoolMetrics(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.0/29,2001:db8::1-2001:db8::4", "q=198.51.100.1-198.51.100.1"))
	c.service("a", dual(v1.IPFamilyPolicyRequireDualStack))
	c.service("old", withStatus("192.0.2.6"))
	c.edit("old", deleted)
	c.pass(provider.Edit) // no status shows it yet
	registry := metrics.NewKubeRegistry()
	registry.CustomMustRegister(c.provider.Collector())
	want := `
# HELP fairlead_ipam_pool_addresses [ALPHA] Addresses of the pool that may be chosen for a Service.
# TYPE fairlead_ipam_pool_addresses gauge
fairlead_ipam_pool_addresses{family="IPv4",pool="p"} 6
fairlead_ipam_pool_addresses{family="IPv4",pool="q"} 1
fairlead_ipam_pool_addresses{family="IPv6",pool="p"} 4
# HELP fairlead_ipam_pool_addresses_in_use [ALPHA] Addresses of the pool that have a Service.
# TYPE fairlead_ipam_pool_addresses_in_use gauge
fairlead_ipam_pool_addresses_in_use{family="IPv4",pool="p"} 1
fairlead_ipam_pool_addresses_in_use{family="IPv4",pool="q"} 0
fairlead_ipam_pool_addresses_in_use{family="IPv6",pool="p"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.0/29", "q=198.51.100.0/29"))
	services := []*v1.Service{
		c.service("a", withStatus("192.0.2.1")), c.service("b", withStatus("192.0.2.1")),
		c.service("c", withStatus("198.51.100.1")), c.service("none"),
	}
	r := Explain(parseConfig(t, poolsConfig("p=192.0.2.0/29")), services)
	if len(r.Pools) != 1 || r.Pools[0].Addresses != 6 || r.Pools[0].InUse != 1 {
		t.Errorf("pools %+v", r.Pools)
	}
	if of := r.Of(plan.Key{Namespace: "default", Name: "b"}); len(of) != 1 || of[0].Pool != "p" || of[0].Address.String() != "192.0.2.1" || len(of[0].Holders) != 2 {
		t.Errorf("b has %+v", of)
	}
	if of := r.Of(plan.Key{Namespace: "default", Name: "c"}); len(of) != 1 || of[0].Pool != "" {
		t.Errorf("c has %+v", of)
	}
}
