// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/rack"
)

const (
	namespace = "default"
	// creators is how many requests create objects side by side.
	creators = 16
	// podPort is where the Pods of the endpoints would listen.
	podPort = 8080
)

// service is a Service without a selector: its EndpointSlice is the bench's,
// written before it. By default kube-controller-manager writes 20 of them a
// second, which would be all that is measured.
type service struct {
	name   string
	policy v1.ServiceExternalTrafficPolicy
	// nodes are the indexes of the nodes that have a ready endpoint.
	nodes []int
}

// batch is n Services with an endpoint on each node, and names of their own.
func batch(prefix string, n int) []service {
	out := make([]service, n)
	for i := range out {
		out[i] = service{name: fmt.Sprintf("%s-%04d", prefix, i), policy: v1.ServiceExternalTrafficPolicyCluster, nodes: []int{0, 1, 2}}
	}
	return out
}

func (s service) object() *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: s.policy,
			Ports: []v1.ServicePort{{Name: "http", Port: 80, Protocol: v1.ProtocolTCP}},
		},
	}
}

func (s service) slice(b *site) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: s.name, Labels: map[string]string{discoveryv1.LabelServiceName: s.name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(podPort)), Protocol: new(v1.ProtocolTCP)}},
	}
	for _, n := range s.nodes {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			// The servers of Pods have the low addresses of a node's range.
			Addresses:  []string{fmt.Sprintf("10.244.%d.250", 11+n)},
			NodeName:   &b.Nodes[n].Name,
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
		})
	}
	return out
}

// createSlices writes the EndpointSlices of Services that do not exist yet.
func (b *site) createSlices(ctx context.Context, services []service) error {
	return each(ctx, services, func(ctx context.Context, s service) error {
		_, err := b.Kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, s.slice(b), metav1.CreateOptions{})
		return err
	})
}

func (b *site) createServices(ctx context.Context, services []service) error {
	return each(ctx, services, b.createService)
}

func (b *site) createService(ctx context.Context, s service) error {
	_, err := b.Kube.CoreV1().Services(namespace).Create(ctx, s.object(), metav1.CreateOptions{})
	return err
}

func (b *site) deleteServices(ctx context.Context, services []service) error {
	return each(ctx, services, func(ctx context.Context, s service) error {
		return b.Kube.CoreV1().Services(namespace).Delete(ctx, s.name, metav1.DeleteOptions{})
	})
}

// deleteSlices deletes what the endpointslice controller has not yet.
func (b *site) deleteSlices(ctx context.Context, services []service) error {
	return each(ctx, services, func(ctx context.Context, s service) error {
		err := b.Kube.DiscoveryV1().EndpointSlices(namespace).Delete(ctx, s.name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// each does something with all, some side by side.
func each(ctx context.Context, services []service, do func(context.Context, service) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(creators)
	for _, s := range services {
		g.Go(func() error { return do(ctx, s) })
	}
	return g.Wait()
}

// The pool of most measurements, and the same for those that name it alone.
const (
	stablePool = "  - {name: stable, addresses: [198.18.128.0/17]}\n"
	closedPool = "  - {name: stable, addresses: [198.18.128.0/17], autoAssign: false}\n"
)

// configWith is the configuration of controller and speakers with some pools:
// all are announced to the router.
func configWith(pools string) string {
	return `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  peers:
  - {name: router, myASN: 65559, peerASN: 65559, address: ` + rack.RouterAddr().String() + `}
  pools:
` + pools
}
