// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"fmt"
	"strconv"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Step is one thing that happens in the cluster.
type Step struct {
	Name string
	// Change returns the Services that the upstream controller looks at then.
	Change func(*Cluster) ([]string, error)
	Why    Reason // it looks at them
}

// Create puts new Services into the cluster, all at once.
func Create(services ...*v1.Service) Step {
	return Step{Name: "create " + services[0].Name, Why: OfServices, Change: func(c *Cluster) ([]string, error) {
		var names []string
		for _, svc := range services {
			names = append(names, svc.Name)
			if err := c.Services.Add(svc.DeepCopy()); err != nil {
				return nil, err
			}
		}
		return names, nil
	}}
}

// Edit changes a Service.
func Edit(what, name string, change func(*v1.Service)) Step {
	return Step{Name: what, Why: OfServices, Change: func(c *Cluster) ([]string, error) {
		svc := c.Service(name)
		if svc == nil {
			return nil, fmt.Errorf("Service %s is not there", name)
		}
		change(svc)
		return []string{name}, c.Services.Update(svc)
	}}
}

// Delete is what a Service is when its user deletes it.
func Delete(svc *v1.Service) { svc.DeletionTimestamp = new(metav1.Unix(1, 0)) }

// Remove lets a user delete Services, all at once.
func Remove(services ...string) Step {
	return Step{Name: fmt.Sprintf("delete %v", services), Why: OfServices, Change: func(c *Cluster) ([]string, error) {
		for _, name := range services {
			svc := c.Service(name)
			if svc == nil {
				return nil, fmt.Errorf("Service %s is not there", name)
			}
			Delete(svc)
			if err := c.Services.Update(svc); err != nil {
				return nil, err
			}
		}
		return services, nil
	}}
}

// Churn changes the nodes.
func Churn(name string, change func() error) Step {
	return Step{Name: name, Why: OfNodes, Change: func(c *Cluster) ([]string, error) { return c.Names(), change() }}
}

// Outside is something that others do in the cloud, of which the controller does
// not hear.
func Outside(name string, change func() error) Step {
	return Step{Name: name, Why: OfServices, Change: func(*Cluster) ([]string, error) { return nil, change() }}
}

// NewService is a Service without annotations, with a port for each of the
// texts, such as TCP:80. The number, from 1 to 276, makes its UID, its age and
// its node ports.
func NewService(name string, number int, ports ...string) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Namespace, Name: name, UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", number)),
			Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"}, Annotations: map[string]string{},
			CreationTimestamp: metav1.Unix(int64(number), 0),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, SessionAffinity: v1.ServiceAffinityNone, ClusterIP: "10.0.0.1",
		},
	}
	for i, p := range ports {
		AddPort(svc, p, int32(30000+10*number+i))
	}
	return svc
}

// AddPort adds a port, such as TCP:80, to a Service.
func AddPort(svc *v1.Service, text string, nodePort int32) {
	port, err := strconv.ParseUint(text[4:], 10, 16)
	if err != nil {
		panic(err)
	}
	svc.Spec.Ports = append(svc.Spec.Ports, v1.ServicePort{
		Name: "port" + text[4:], Port: int32(port), Protocol: v1.Protocol(text[:3]), NodePort: nodePort,
	})
}

// Local lets only nodes with endpoints answer the health check of a Service.
func Local(svc *v1.Service) *v1.Service {
	svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
	svc.Spec.HealthCheckNodePort = svc.Spec.Ports[0].NodePort + 2000
	return svc
}
