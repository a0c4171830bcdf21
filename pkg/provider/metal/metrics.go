// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-base/metrics"

	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/provider"
)

// collector counts the addresses of pools when it is asked, so that it is
// never behind.
type collector struct {
	metrics.BaseStableCollector

	provider *Provider
	total    *metrics.Desc
	inUse    *metrics.Desc
}

// Collector is the metrics of the pools. Whoever runs the provider registers
// it once.
func (p *Provider) Collector() metrics.StableCollector {
	desc := func(name, help string) *metrics.Desc {
		return metrics.NewDesc(metrics.BuildFQName("fairlead", "ipam", name), help,
			[]string{"pool", "family"}, nil, metrics.ALPHA, "")
	}
	return &collector{
		provider: p,
		total:    desc("pool_addresses", "Addresses of the pool that may be chosen for a Service."),
		inUse:    desc("pool_addresses_in_use", "Addresses of the pool that have a Service."),
	}
}

// DescribeWithStability lists the metrics.
func (c *collector) DescribeWithStability(ch chan<- *metrics.Desc) {
	ch <- c.total
	ch <- c.inUse
}

// CollectWithStability counts.
func (c *collector) CollectWithStability(ch chan<- metrics.Metric) {
	for _, u := range ipam.Usage(c.provider.state()) {
		family := u.Family.String()
		ch <- metrics.NewLazyConstMetric(c.total, metrics.GaugeValue, float64(u.Addresses), u.Pool, family)
		ch <- metrics.NewLazyConstMetric(c.inUse, metrics.GaugeValue, float64(u.InUse), u.Pool, family)
	}
}

// state is who has what now.
func (p *Provider) state() ipam.State {
	s := ipam.State{Pools: p.config.Load().pools}
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return s // the cache cannot fail; without it nothing is in use
	}
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	for _, svc := range services {
		key := provider.KeyOf(svc)
		addresses := statusAddresses(svc)
		if r, ok := p.memory.records[key]; ok && r.uid == svc.UID {
			addresses = r.addresses
		}
		if len(addresses) > 0 {
			s.Holders = append(s.Holders, ipam.Holder{Key: key, Addresses: addresses})
		}
	}
	return s
}
