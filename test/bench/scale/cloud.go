// SPDX-License-Identifier: Apache-2.0

// Package scale measures the spine at the size of a large cluster: the real
// controller manager on a real API server, over a cloud that does nothing but
// take its time.
package scale

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// The times that the stock controller was measured with.
const (
	readTime  = 50 * time.Millisecond
	writeTime = time.Second
)

// Clouds are the clouds of the measured controller manager. The slow one goes
// by the name of a cloud-config that can be read.
func Clouds() []ccm.Cloud {
	return []ccm.Cloud{{
		Name: "metal", Scheme: "slow",
		New: func(context.Context, ccm.Deps) (provider.Provider, error) {
			return &cloud{parts: map[plan.Key]part{}}, nil
		},
	}}
}

// part is what the balancer has for one Service.
type part struct {
	address string
	nodes   int
}

// cloud has one balancer for all Services, as Azure does, and an address for
// each. The address is a private write, the balancer a shared one.
type cloud struct {
	mu    sync.Mutex
	parts map[plan.Key]part
	last  int
}

func (*cloud) Name() string                         { return "metal" }
func (*cloud) Group(*v1.Service) provider.Group     { return "all" }
func (*cloud) Changed() <-chan struct{}             { return nil }
func (*cloud) Routes() cloudprovider.Routes         { return nil }
func (*cloud) NodeFingerprint(n *v1.Node) string    { return n.Spec.ProviderID }
func (*cloud) Instances() cloudprovider.InstancesV2 { return instances{} }

// Find says yes: a deletion is measured with its calls.
func (*cloud) Find(ctx context.Context, _ *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	return &v1.LoadBalancerStatus{}, true, wait(ctx, readTime)
}

// Observe is one list call.
func (c *cloud) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	if err := wait(ctx, readTime); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &pass{cloud: c, batch: b, have: make(map[plan.Key]part, len(b.Items))}
	for _, it := range b.Items {
		p.have[it.Key] = c.parts[it.Key]
		if in := it.Service.Status.LoadBalancer.Ingress; len(in) > 0 && p.have[it.Key].address == "" {
			// Made before this process: adopted.
			p.have[it.Key] = part{address: in[0].IP, nodes: len(b.Nodes)}
			c.parts[it.Key] = p.have[it.Key]
		}
	}
	return p, nil
}

type pass struct {
	cloud *cloud
	batch provider.Batch
	have  map[plan.Key]part
}

const (
	kindAddress  = "slow/address"
	kindBalancer = "slow/balancer"
)

func (p *pass) Decide() provider.Decision {
	balancer := plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindBalancer, Name: "all"}, Shared: true}
	var steps []plan.Step
	for _, it := range p.batch.Items {
		have := p.have[it.Key]
		address := plan.ID{Kind: kindAddress, Name: it.Key.String()}
		switch it.Want {
		case provider.Serve:
			if have.address == "" {
				steps = append(steps, plan.Step{Action: plan.Create, Target: address, Serves: []plan.Key{it.Key}})
				balancer.Needs = append(balancer.Needs, address)
			}
			if have.address == "" || have.nodes != len(p.batch.Nodes) {
				balancer.Serves = append(balancer.Serves, it.Key)
			}
		case provider.Remove:
			if have.address != "" {
				balancer.Serves = append(balancer.Serves, it.Key)
				steps = append(steps, plan.Step{Action: plan.Delete, Target: address, Needs: []plan.ID{balancer.Target}, Serves: []plan.Key{it.Key}})
			}
		case provider.Keep:
		}
	}
	if len(balancer.Serves) > 0 {
		steps = append(steps, balancer)
	}
	made, err := plan.New(steps)
	if err != nil {
		panic(err)
	}
	return provider.Decision{Plan: made}
}

func (p *pass) Execute(ctx context.Context, st plan.Step, _ map[plan.Key]bool) error {
	if err := wait(ctx, writeTime); err != nil {
		return err
	}
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	for _, key := range st.Serves {
		is := p.cloud.parts[key]
		switch {
		case st.Target.Kind == kindBalancer:
			is.nodes = len(p.batch.Nodes)
		case st.Action == plan.Create:
			p.cloud.last++
			is.address = fmt.Sprintf("10.%d.%d.%d", p.cloud.last>>16&255, p.cloud.last>>8&255, p.cloud.last&255)
		}
		p.cloud.parts[key] = is
		if st.Action == plan.Delete {
			delete(p.cloud.parts, key)
		}
	}
	return nil
}

func (p *pass) Status(key plan.Key) *v1.LoadBalancerStatus {
	p.cloud.mu.Lock()
	defer p.cloud.mu.Unlock()
	vip := v1.LoadBalancerIPModeVIP
	return &v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: p.cloud.parts[key].address, IPMode: &vip}}}
}

// instances answers each question with one call of its own, as a provider
// without any cache would.
type instances struct{}

func (instances) InstanceExists(ctx context.Context, _ *v1.Node) (bool, error) {
	return true, wait(ctx, readTime)
}

func (instances) InstanceShutdown(ctx context.Context, _ *v1.Node) (bool, error) {
	return false, wait(ctx, readTime)
}

func (instances) InstanceMetadata(ctx context.Context, n *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	return &cloudprovider.InstanceMetadata{
		ProviderID: "slow://" + n.Name, InstanceType: "slow", Zone: "a", Region: "r", NodeAddresses: n.Status.Addresses,
	}, wait(ctx, readTime)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
