// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// cloud is a provider shaped like the hardest one: each Service has an address
// of its own (private), and all Services of a group share one balancer that is
// written whole, under a limit of parts and with a check of each part.
type cloud struct {
	writeTime time.Duration
	readTime  time.Duration
	// fault may answer a step in the cloud's place.
	fault func(plan.Step, map[plan.Key]bool) error
	// groupOf is one group for all unless set.
	groupOf func(*v1.Service) provider.Group

	mu        sync.Mutex
	addresses map[plan.Key]string
	parts     map[plan.Key]string // the balancer: a part for each Service
	calls     map[string]int      // observe, and action and kind of steps
	again     int                 // observations that know of the one before
	passes    []provider.Batch
	inFlight  map[plan.Key]int
	overlaps  int
	most      int // addresses that the pool holds; 0: no limit
	changed   chan struct{}
}

func newCloud() *cloud {
	return &cloud{
		addresses: map[plan.Key]string{}, parts: map[plan.Key]string{}, calls: map[string]int{},
		inFlight: map[plan.Key]int{}, changed: make(chan struct{}, 1),
	}
}

// slowCloud is one whose reads and writes take their time.
func slowCloud() *cloud {
	c := newCloud()
	c.readTime, c.writeTime = 50*time.Millisecond, time.Second
	return c
}

// always is a fault that never ends.
func always(err error) func(plan.Step, map[plan.Key]bool) error {
	return func(plan.Step, map[plan.Key]bool) error { return err }
}

// times is a fault of the first n steps.
func times(n int, err error) func(plan.Step, map[plan.Key]bool) error {
	return func(plan.Step, map[plan.Key]bool) error {
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

// set changes the cloud while an engine works.
func (c *cloud) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// part is what serves a Service; empty for none.
func (c *cloud) part(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[keyOf(name)]
}

func (c *cloud) Name() string                         { return "metal" }
func (c *cloud) Changed() <-chan struct{}             { return c.changed }
func (c *cloud) Instances() cloudprovider.InstancesV2 { return nil }
func (c *cloud) Routes() cloudprovider.Routes         { return nil }
func (c *cloud) NodeFingerprint(n *v1.Node) string    { return n.Spec.ProviderID }
func (c *cloud) Group(svc *v1.Service) provider.Group {
	if c.groupOf != nil {
		return c.groupOf(svc)
	}
	return "all"
}

func (c *cloud) Find(_ context.Context, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := identOf(svc).Key
	_, address := c.addresses[key]
	_, part := c.parts[key]
	return &v1.LoadBalancerStatus{}, address || part, nil
}

func (c *cloud) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[what]
}

func (c *cloud) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	if err := wait(ctx, c.readTime); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls["observe"]++
	if b.Before != nil {
		c.again++
	}
	c.passes = append(c.passes, b)
	return &look{cloud: c, batch: b, addresses: maps.Clone(c.addresses), parts: maps.Clone(c.parts)}, nil
}

type look struct {
	*cloud
	batch     provider.Batch
	addresses map[plan.Key]string
	parts     map[plan.Key]string
}

func partOf(it provider.Item, nodes int) string {
	return fmt.Sprintf("port %d to %d nodes", it.Intent.Ports[0].Port, nodes)
}

func (l *look) Decide() provider.Decision {
	d := provider.Decision{Refused: map[plan.Key]error{}}
	balancer := plan.Step{Action: plan.Update, Target: plan.ID{Kind: "balancer", Name: string(l.batch.Group)}, Shared: true}
	var steps []plan.Step
	free := l.most - len(l.addresses)
	for _, it := range l.batch.Items {
		address := plan.ID{Kind: "address", Name: it.Key.String()}
		_, has := l.addresses[it.Key]
		_, part := l.parts[it.Key]
		switch it.Want {
		case provider.Serve:
			if !has {
				if l.most > 0 && free <= 0 {
					d.Refused[it.Key] = &plan.Error{Kind: plan.Exhausted, Reason: "Full", Err: errors.New("no address is free; free one")}
					continue
				}
				free--
				steps = append(steps, plan.Step{Action: plan.Create, Target: address, Serves: []plan.Key{it.Key}})
				balancer.Needs = append(balancer.Needs, address)
			}
			if want := partOf(it, len(l.batch.Nodes)); l.parts[it.Key] != want {
				balancer.Serves = append(balancer.Serves, it.Key)
				balancer.Why = append(balancer.Why, plan.Diff{Field: it.Key.String(), Have: l.parts[it.Key], Want: want})
			}
		case provider.Remove:
			if part {
				balancer.Serves = append(balancer.Serves, it.Key)
			}
			if has {
				st := plan.Step{Action: plan.Delete, Target: address, Serves: []plan.Key{it.Key}}
				if part {
					st.Needs = []plan.ID{balancer.Target}
				}
				steps = append(steps, st)
			}
		case provider.Keep:
		}
	}
	if len(balancer.Serves) > 0 {
		steps = append(steps, balancer)
	}
	p, err := plan.New(steps)
	if err != nil {
		panic(err)
	}
	d.Plan = p
	return d
}

func (l *look) Execute(ctx context.Context, st plan.Step, without map[plan.Key]bool) error {
	l.enter(st.Serves)
	defer l.leave(st.Serves)
	if err := wait(ctx, l.writeTime); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[st.Action.String()+" "+st.Target.Kind]++
	if l.fault != nil {
		if err := l.fault(st, without); err != nil {
			return err
		}
	}
	for _, it := range l.batch.Items {
		if !slices.Contains(st.Serves, it.Key) || without[it.Key] {
			continue
		}
		switch st.Target.Kind + " " + st.Action.String() {
		case "address create":
			l.cloud.addresses[it.Key] = fmt.Sprintf("192.0.2.%d", len(l.cloud.addresses)%250+1)
		case "address delete":
			delete(l.cloud.addresses, it.Key)
		case "balancer update":
			delete(l.cloud.parts, it.Key)
			if it.Want == provider.Serve {
				l.cloud.parts[it.Key] = partOf(it, len(l.batch.Nodes))
			}
		}
	}
	return nil
}

func (l *look) enter(keys []plan.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		l.inFlight[k]++
		if l.inFlight[k] > 1 {
			l.overlaps++
		}
	}
}

func (l *look) leave(keys []plan.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		l.inFlight[k]--
	}
}

func (l *look) Status(key plan.Key) *v1.LoadBalancerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	vip := v1.LoadBalancerIPModeVIP
	return &v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: l.cloud.addresses[key], IPMode: &vip}}}
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
