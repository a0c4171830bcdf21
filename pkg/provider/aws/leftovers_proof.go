// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// tagsOfNodes are the tags of the nodes' instances, by their ids.
func (p *Provider) tagsOfNodes(ctx context.Context) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	if p.nodes == nil {
		return out, nil
	}
	nodes, err := p.nodes.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	found, err := p.machines.Find(ctx, instanceIDs(nodes), p.clock.Now())
	for id, x := range found {
		out[id] = x.Tags
	}
	return out, err
}

// provesCluster refuses to judge what is left over unless something that lives
// in the cluster has its tag: else the configuration, or the kubeconfig, may be
// another cluster's, whose load balancers would seem to be nobody's. nodes are
// the tags of the nodes' instances.
func provesCluster(s *Settings, o *Observed, nodes map[string]map[string]string) error {
	if len(o.Groups) == 0 { // every VPC has one
		return refuse(provider.ReasonOtherCluster, "VPC %s has no security group in region %s that can be seen; correct VPC and region in the cloud-config", s.VPC, s.Region)
	}
	var foreign []string
	for id, tags := range nodes {
		if s.Tags.Has(tags) {
			return nil
		}
		if s.Tags.Foreign(tags) {
			foreign = append(foreign, id)
		}
	}
	if o.servesLiving(s) {
		return nil
	}
	if len(foreign) > 0 {
		id := slices.Min(foreign)
		other, _ := names.ClusterOf(nodes[id])
		return refuse(provider.ReasonOtherCluster, "instance %s of a node has the tag of cluster %q, and no node has that of %q: what has that tag may be in use elsewhere; correct kubernetesClusterID in the cloud-config",
			id, other, s.Tags.ID)
	}
	if !o.tagged(s) {
		return refuse(provider.ReasonOtherCluster, "nothing in VPC %s has the tag %s: no subnet, security group, instance of a node or load balancer; correct kubernetesClusterID in the cloud-config",
			s.VPC, s.Tags.Key())
	}
	return refuse(provider.ReasonOtherCluster, "nothing that lives has the tag %s, no instance of a node and no load balancer of a Service, so what has it may be another cluster's; correct kubernetesClusterID in the cloud-config, choose the cluster's kubeconfig, or tag the instances of its nodes",
		s.Tags.Key())
}

// servesLiving reports whether a Service that lives has a load balancer of the
// cluster. Its UID tells: another cluster may have a Service with its name.
func (o *Observed) servesLiving(s *Settings) bool {
	lives := map[string]bool{}
	for _, svc := range o.Services {
		lives[names.LoadBalancer(svc.UID)] = true
		for _, scheme := range elbv2types.LoadBalancerSchemeEnum("").Values() {
			lives[s.External.LoadBalancer(svc.Namespace, svc.Name, svc.UID, string(scheme))] = true
		}
	}
	for name, c := range o.Classics {
		if lives[name] && s.Tags.Has(c.Tags) {
			return true
		}
	}
	for _, lb := range o.Networks {
		if lives[awssdk.ToString(lb.LoadBalancerName)] && (s.Tags.Has(lb.Tags) || s.External.Owns(lb.Tags)) {
			return true
		}
	}
	return false
}

// tagged reports whether something that is known is the cluster's by its tags.
func (o *Observed) tagged(s *Settings) bool {
	for _, g := range o.Groups {
		if s.Tags.Has(ec2Tags(g.Tags)) {
			return true
		}
	}
	has := func(tags map[string]string) bool { return s.Tags.Has(tags) || s.External.Owns(tags) }
	return slices.ContainsFunc(o.Subnets, func(n ec2types.Subnet) bool { return s.Tags.Has(ec2Tags(n.Tags)) }) ||
		slices.ContainsFunc(slices.Collect(maps.Values(o.Networks)), func(lb *Network) bool { return has(lb.Tags) }) ||
		slices.ContainsFunc(slices.Collect(maps.Values(o.TargetGroups)), func(g *TargetGroup) bool { return has(g.Tags) }) ||
		slices.ContainsFunc(slices.Collect(maps.Values(o.Classics)), func(c *Classic) bool { return has(c.Tags) })
}

// provesName refuses to judge by a --cluster-name that is not the controller's: it
// is in the names of groups. Those that load balancers of Services that live have
// all bear another one then.
func provesName(s *Settings, o *Observed) error {
	byName := o.networksByName()
	var wrong []string
	for _, svc := range o.Services {
		lb := byName[names.LoadBalancer(svc.UID)]
		if lb == nil {
			continue
		}
		for _, id := range lb.SecurityGroups {
			g := o.Groups[id]
			if g == nil || awssdk.ToString(g.Description) != names.NetworkGroupDescription || !s.Tags.Owns(ec2Tags(g.Tags)) {
				continue
			}
			name := awssdk.ToString(g.GroupName)
			of := func(cluster string) string { return names.NetworkGroup(cluster, svc.Namespace, svc.Name, svc.UID) }
			switch {
			case name == of(s.Cluster), name == of(s.External.Cluster):
				return nil
			case strings.HasPrefix(name, names.Prefix(svc.Namespace, svc.Name)):
				wrong = append(wrong, fmt.Sprintf("%s of Service %s/%s", name, svc.Namespace, svc.Name))
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return refuse(provider.ReasonOtherCluster, "security group %s, which lives, has not the name that --cluster-name %s makes, by which others would seem to be nobody's; give the --cluster-name of the controller",
		slices.Min(wrong), s.Cluster)
}
