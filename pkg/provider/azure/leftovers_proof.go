// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"slices"

	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// provesCluster refuses to judge what is left over where the cluster that was
// told seems to be another one than this: its resource group is not there, or
// the Services that live are served by load balancers with another name alone.
func provesCluster(s *Settings, o *Observed) error {
	for _, group := range o.MissingGroups {
		return refuse(ReasonGroupMissing, "resource group %q is not there, and nothing was looked for in it; correct %s in the cloud-config", group, s.groupKey(group))
	}
	lives := map[string]string{}
	for _, svc := range o.Services {
		lives[names.Base(svc.UID)] = svc.Namespace + "/" + svc.Name
	}
	var wrong []string
	w := &world{settings: s}
	for _, doc := range o.LoadBalancers {
		b, err := loadBalancer(doc)
		if err != nil {
			continue // the pass says it where it is ours
		}
		for _, fe := range b.frontends.all() {
			if !names.IsBase(fe.Name) || lives[names.Key(fe.Name[:names.BaseLen])] == "" {
				continue
			}
			if w.manages(doc) {
				return nil
			}
			wrong = append(wrong, "load balancer "+b.Name+" serves Service "+lives[names.Key(fe.Name[:names.BaseLen])])
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return refuse(reasonOtherCluster, "%s, which lives, and has not the name of cluster %s: what has may be in use elsewhere; give the --cluster-name of the controller, or correct loadBalancerName in the cloud-config",
		slices.Min(wrong), s.Cluster)
}

// groupKey is the key of the cloud config that names the resource group.
func (s *Settings) groupKey(group string) string {
	if names.Same(group, s.ResourceGroup) {
		return "resourceGroup"
	}
	return "loadBalancerResourceGroup"
}
