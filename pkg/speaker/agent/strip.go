// SPDX-License-Identifier: Apache-2.0

package agent

import (
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// strip keeps of an object what decisions need. Objects of a cluster are many,
// and a speaker runs on every node: what is not read is not kept. Stripping
// twice changes nothing.
func (c *cluster) strip(obj any) (any, error) {
	switch o := obj.(type) {
	case *v1.Service:
		return stripService(o), nil
	case *discoveryv1.EndpointSlice:
		return stripSlice(o, c.node), nil
	case *v1.Node:
		return stripNode(o), nil
	default:
		return obj, nil
	}
}

func stripMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		DeletionTimestamp: m.DeletionTimestamp,
	}
}

func stripService(s *v1.Service) *v1.Service {
	out := &v1.Service{ObjectMeta: stripMeta(s.ObjectMeta)}
	out.Spec.Type = s.Spec.Type
	if s.Spec.Type != v1.ServiceTypeLoadBalancer {
		return out
	}
	out.Labels = s.Labels
	out.Spec.LoadBalancerClass = s.Spec.LoadBalancerClass
	out.Spec.ExternalTrafficPolicy = s.Spec.ExternalTrafficPolicy
	out.Spec.IPFamilies = s.Spec.IPFamilies
	out.Spec.HealthCheckNodePort = s.Spec.HealthCheckNodePort
	for _, in := range s.Status.LoadBalancer.Ingress {
		in.Ports = nil
		out.Status.LoadBalancer.Ingress = append(out.Status.LoadBalancer.Ingress, in)
	}
	return out
}

// stripSlice keeps one usable endpoint on the speaker's node and one elsewhere:
// more say nothing more.
func stripSlice(s *discoveryv1.EndpointSlice, node string) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{ObjectMeta: stripMeta(s.ObjectMeta), AddressType: s.AddressType}
	out.Labels = map[string]string{discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]}
	var here, there bool
	for _, e := range s.Endpoints {
		local := e.NodeName != nil && *e.NodeName == node
		seen := &there
		if local {
			seen = &here
		}
		if *seen || !speaker.Usable(e) {
			continue
		}
		*seen = true
		kept := discoveryv1.Endpoint{}
		if local {
			kept.NodeName = e.NodeName
		}
		out.Endpoints = append(out.Endpoints, kept)
	}
	if len(out.Endpoints) == 2 && out.Endpoints[1].NodeName != nil {
		out.Endpoints[0], out.Endpoints[1] = out.Endpoints[1], out.Endpoints[0]
	}
	return out
}

func stripNode(n *v1.Node) *v1.Node {
	out := &v1.Node{ObjectMeta: stripMeta(n.ObjectMeta)}
	out.Labels = n.Labels
	out.Spec.Unschedulable = n.Spec.Unschedulable
	out.Spec.Taints = n.Spec.Taints
	out.Status.Addresses = n.Status.Addresses
	out.Status.NodeInfo.BootID = n.Status.NodeInfo.BootID
	for _, c := range n.Status.Conditions {
		if c.Type == v1.NodeReady || c.Type == v1.NodeNetworkUnavailable {
			out.Status.Conditions = append(out.Status.Conditions, v1.NodeCondition{
				Type: c.Type, Status: c.Status, Message: c.Message,
			})
		}
	}
	return out
}
