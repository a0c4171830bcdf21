// SPDX-License-Identifier: Apache-2.0

package metal

import (
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// Report is who has which address, and how full the pools are.
type Report struct {
	Pools []ipam.PoolUsage // in file order, IPv4 before IPv6
	Uses  []ipam.Use       // by address
}

// Explain makes a report from the status of the Services, which must be all of
// the cluster.
func Explain(c *cloudconfig.Config, services []*v1.Service) Report {
	s := ipam.State{Pools: newSettings(c).pools}
	for _, svc := range services {
		if addresses := statusAddresses(svc); len(addresses) > 0 {
			s.Holders = append(s.Holders, ipam.Holder{
				Key: provider.KeyOf(svc), Created: svc.CreationTimestamp.Time, Addresses: addresses, Sharing: sharingOf(svc),
			})
		}
	}
	return Report{Pools: ipam.Usage(s), Uses: ipam.Uses(s)}
}

// Of are the addresses of one Service, with those that share them.
func (r *Report) Of(key plan.Key) []ipam.Use {
	var out []ipam.Use
	for _, u := range r.Uses {
		for _, h := range u.Holders {
			if h == key {
				out = append(out, u)
			}
		}
	}
	return out
}
