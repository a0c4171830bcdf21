// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// machinesAge is how old the snapshot of machines may be when nodes are not
// what the pass is about: a new node has a pass of its own.
const machinesAge = 5 * time.Minute

// longestRead bounds a read that only some Services ask for, so that it holds
// the others back no longer. Azure answers in less than a second.
const longestRead = 20 * time.Second

// Observe makes the reads of a pass, side by side: the load balancers, the
// public IPs of each resource group, the security group, and what else the
// batch asks for; then the machines, where their network interfaces are the
// members of pools. A read that only some Services ask for may fail, and fails
// only those.
func (p *Provider) Observe(ctx context.Context, batch provider.Batch) (provider.Pass, error) {
	s := p.settings()
	services, err := provider.LoadBalancers(p.services)
	if err != nil {
		return nil, err
	}
	observed, err := p.observe(ctx, s, services, batch.Items, ReadsOf(s, batch.Items))
	if err != nil {
		return nil, err
	}
	in := Input{Settings: s, Observed: observed, Batch: batch}
	result, err := Compute(in)
	if err != nil {
		return nil, err
	}
	for _, id := range result.Unreadable {
		klog.FromContext(ctx).Info("A resource is not as Azure writes it, and is left alone", "target", id)
	}
	membership, err := p.membership(ctx, in, result)
	if err != nil {
		return nil, err
	}
	membership.warn(s, result)
	return newPass(p, in, result, membership), nil
}

// observe makes the reads. services are all of the cluster that are known now.
func (p *Provider) observe(ctx context.Context, s *Settings, services []*v1.Service, items []provider.Item, reads Reads) (*Observed, error) {
	o := &Observed{
		PublicIPs: map[string][]json.RawMessage{}, PrivateLinks: map[string][]json.RawMessage{}, Subnets: map[string]json.RawMessage{},
		Unread: map[Read]error{}, Services: services,
	}
	var err error
	if o.Nodes, err = p.nodes.List(labels.Everything()); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	if err := p.observeSpread(ctx, s, o, items); err != nil {
		return nil, err
	}
	look := reading{provider: p, settings: s, observed: o}
	g, groupCtx := errgroup.WithContext(ctx)
	g.Go(func() error { return look.loadBalancers(groupCtx, items) })
	for _, rg := range reads.PublicIPGroups {
		g.Go(func() error { return look.publicIPs(groupCtx, rg) })
	}
	if s.SecurityGroup != "" {
		g.Go(func() error {
			doc, err := p.get(groupCtx, s.SecurityGroupID())
			o.SecurityGroup = doc
			return err
		})
	}
	for _, name := range reads.Subnets {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(groupCtx, longestRead)
			defer cancel()
			doc, err := p.get(ctx, s.SubnetID(name))
			look.note(readOf(ReadSubnet, name), err, func() { o.Subnets[names.Key(name)] = doc })
			return nil
		})
	}
	if reads.Zones && s.Edge == "" {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(groupCtx, longestRead)
			defer cancel()
			list, err := p.zones.of(ctx, p.client, p.clock, s)
			look.note(readOf(ReadZones, ""), err, func() { o.Zones = list })
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(o.MissingGroups)
	o.MissingGroups = slices.Compact(o.MissingGroups)
	return o, ctx.Err()
}

// reading is observe under way.
type reading struct {
	provider *Provider
	settings *Settings

	mu       sync.Mutex
	observed *Observed
}

// note takes the answer of a read that only some Services need, or its error.
func (r *reading) note(of Read, err error, take func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.observed.Unread[of] = err
		return
	}
	take()
}

// loadBalancers reads the load balancers, and then the public IPs and private
// link services that by them the batch must know of.
func (r *reading) loadBalancers(ctx context.Context, items []provider.Item) error {
	docs, err := r.provider.client.List(ctx, names.Collection(r.settings.Subscription, r.settings.loadBalancerGroup(), names.LoadBalancers), nil)
	if arm.NotFound(err) {
		r.missing(r.settings.loadBalancerGroup(), err)
	} else if err != nil {
		return err
	}
	r.observed.LoadBalancers = docs
	for _, rg := range HeldGroups(r.settings, items, docs) {
		if err := r.publicIPs(ctx, rg); err != nil {
			return err
		}
	}
	for _, rg := range LinkGroups(r.settings, items, docs) {
		ctx, cancel := context.WithTimeout(ctx, longestRead)
		links, err := r.provider.list(ctx, names.Collection(r.settings.NodeSubscription, rg, names.PrivateLinks))
		cancel()
		r.note(readOf(ReadPrivateLinks, rg), err, func() { r.observed.PrivateLinks[names.Key(rg)] = links })
	}
	return nil
}

// missing notes a resource group that is not there.
func (r *reading) missing(group string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if arm.GroupNotFound(err) {
		r.observed.MissingGroups = append(r.observed.MissingGroups, group)
	}
}

// publicIPs reads those of a resource group. Any Service may have some in the
// cluster's own.
func (r *reading) publicIPs(ctx context.Context, rg string) error {
	if !names.Same(rg, r.settings.ResourceGroup) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, longestRead)
		defer cancel()
	}
	docs, err := r.provider.client.List(ctx, names.Collection(r.settings.Subscription, rg, names.PublicIPAddresses), nil)
	if arm.NotFound(err) {
		if names.Same(rg, r.settings.ResourceGroup) {
			r.missing(rg, err)
		}
		docs, err = nil, nil
	}
	if err != nil && names.Same(rg, r.settings.ResourceGroup) {
		return err
	}
	r.note(readOf(ReadPublicIPs, rg), err, func() { r.observed.PublicIPs[names.Key(rg)] = docs })
	return nil
}

// list is a collection; empty when its resource group is not there.
func (p *Provider) list(ctx context.Context, collection string) ([]json.RawMessage, error) {
	docs, err := p.client.List(ctx, collection, nil)
	if arm.NotFound(err) {
		return nil, nil
	}
	return docs, err
}

// get is a resource; empty when it is not there.
func (p *Provider) get(ctx context.Context, id string) (json.RawMessage, error) {
	doc, err := p.client.Get(ctx, id, nil)
	if arm.NotFound(err) {
		return nil, nil
	}
	return doc, err
}

// membership reads the machines, and decides which network interfaces join or
// leave pools.
func (p *Provider) membership(ctx context.Context, in Input, r *Result) (*membership, error) {
	wish, pools := wishOf(in, r)
	if len(wish.Join) == 0 && len(wish.Leave) == 0 {
		return &membership{Membership: &machines.Membership{}, next: p.lookAgain()}, nil
	}
	snapshot, unread := p.snapshot(ctx, machines.Scope{Nodes: in.Observed.Nodes, NotBefore: p.notBefore(in.Batch), Pools: pools})
	switch {
	case snapshot == nil && (ctx.Err() != nil || len(wish.Leave) > 0):
		return nil, unread // what goes needs to know who is there
	case snapshot == nil:
		return &membership{Membership: &machines.Membership{}, unread: unread, pools: wish.Join, next: p.lookAgain(allMachines)}, nil
	}
	wish.Nodes, wish.Excluded = split(in.Settings, in)
	m, err := snapshot.Decide(wish)
	if err != nil {
		return nil, err
	}
	for _, n := range m.Notices {
		klog.FromContext(ctx).Info("Node is left out of a pool", "node", n.Node, "reason", n.Message)
	}
	if unread != nil {
		m.Waiting = append(m.Waiting, allMachines)
	}
	return &membership{Membership: m, old: unread != nil, pools: wish.Join, next: p.lookAgain(m.Waiting...)}, nil
}

// wishOf are the pools that network interfaces join and leave, and the ids of
// all pools that are looked at. Where pools list addresses, machines matter only
// while an interface still names one.
func wishOf(in Input, r *Result) (wish machines.Wish, pools []string) {
	wish.ResourceGroup = in.Settings.ResourceGroup
	for i := range r.Pools {
		pool := &r.Pools[i]
		stale := pool.Members == ByAddress && namedByInterfaces(in.Observed, pool)
		if pool.Preconfigured || (pool.Members == ByAddress && !stale) || (in.Leftovers && !pool.Gone) {
			continue
		}
		pools = append(pools, pool.ID)
		m := machines.Pool{ID: pool.ID, Family: pool.Family, Serves: append(r.servedBy(pool.LoadBalancer), pool.Kept...)}
		switch {
		case pool.Gone || stale:
			wish.Leave = append(wish.Leave, m)
		case len(m.Serves) > 0 || pool.Used:
			if pool.Step.Kind != "" {
				m.Needs = append(m.Needs, pool.Step)
			}
			wish.Join = append(wish.Join, m)
		}
	}
	return wish, pools
}

// notBefore is how old the snapshot of machines may be.
func (p *Provider) notBefore(batch provider.Batch) time.Time {
	for i := range batch.Items {
		switch batch.Items[i].Cause {
		case provider.Nodes, provider.Drift, provider.Repair, provider.Config:
			return p.clock.Now()
		case provider.Freed, provider.Resync, provider.Edit:
		}
	}
	return p.clock.Now().Add(-machinesAge)
}

// allMachines stands for the machines that could not be read, among those that
// are waited for.
const allMachines = "all"

// snapshot reads the machines, and tells why they cannot be read. What was known
// of them before counts then, nil when nothing was: load balancers and security
// groups are written all the same.
func (p *Provider) snapshot(ctx context.Context, scope machines.Scope) (*machines.Snapshot, error) {
	snap, err := p.machines.Observe(ctx, scope)
	if err == nil {
		return snap, nil
	}
	before, beforeErr := p.machines.Newest(ctx, scope)
	if beforeErr != nil || ctx.Err() != nil {
		return nil, err
	}
	klog.FromContext(ctx).Info("The machines cannot be read, and what was known of them before counts", "err", err)
	return before, err
}

// split parts the nodes of the cluster into those that may serve, and those
// that must not.
func split(s *Settings, in Input) (serve, excluded []*v1.Node) {
	may := map[string]bool{}
	for _, n := range in.Batch.Nodes {
		// The peer keeps machines of other resource groups out, too.
		if (s.KeepControlPlane || !controlPlane(n)) && !machines.InOtherGroup(n, s.ResourceGroup) {
			may[n.Name] = true
		}
	}
	for _, n := range in.Observed.Nodes {
		if may[n.Name] {
			serve = append(serve, n)
		} else {
			excluded = append(excluded, n)
		}
	}
	return serve, excluded
}

// namedByInterfaces reports whether the pool has members without an address of
// their own.
func namedByInterfaces(o *Observed, pool *Pool) bool {
	for _, doc := range o.LoadBalancers {
		if !names.Same(idOf(doc), pool.LoadBalancer) {
			continue
		}
		b, err := loadBalancer(doc)
		if err != nil {
			return false // what cannot be read was refused before
		}
		p, ok := b.pools.get(names.Last(pool.ID))
		if !ok {
			return false
		}
		for _, m := range p.Properties.Addresses {
			if !parseAddr(m.Properties.IPAddress).IsValid() {
				return true
			}
		}
	}
	return false
}
