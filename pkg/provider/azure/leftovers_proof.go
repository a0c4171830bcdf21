// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// provesCluster refuses to judge what is left over unless something that lives
// in the cluster shows that it is the one that was told: a Service that its load
// balancers serve, or, where they serve none, a node in its resource group.
func provesCluster(s *Settings, o *Observed) error {
	for _, group := range o.MissingGroups {
		return refuse(provider.ReasonOtherCluster, "resource group %q is not there, and nothing was looked for in it; correct %s in the cloud-config", group, s.groupKey(group))
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
		if slices.ContainsFunc(o.Nodes, func(n *v1.Node) bool { return s.hasMachine(n.Spec.ProviderID) }) {
			return nil
		}
		return refuse(provider.ReasonOtherCluster, "no node is in resource group %s of subscription %s, and no Service that lives is served there, so what is there may be another cluster's; correct resourceGroup and subscriptionId in the cloud-config, or choose the cluster's kubeconfig",
			s.ResourceGroup, s.NodeSubscription)
	}
	return refuse(provider.ReasonOtherCluster, "%s, which lives, and has not the name of cluster %s: what has may be in use elsewhere; give the --cluster-name of the controller, or correct loadBalancerName in the cloud-config",
		slices.Min(wrong), s.Cluster)
}

// hasMachine reports whether the machine with the provider ID is in the resource
// group of the settings.
func (s *Settings) hasMachine(id string) bool {
	return names.Same(names.Segment(id, "subscriptions"), s.NodeSubscription) && names.Same(names.Group(id), s.ResourceGroup)
}

// groupKey is the key of the cloud config that names the resource group.
func (s *Settings) groupKey(group string) string {
	if names.Same(group, s.ResourceGroup) {
		return "resourceGroup"
	}
	return "loadBalancerResourceGroup"
}
