// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
)

// Options are what the configuration says about routes.
type Options struct {
	TableID  string // of the route table
	Location string // where the table is made when it is not there
	// Tags are put on the table; nil: its tags are not ours, as in a resource
	// group that is not the cluster's.
	Tags map[string]string
	// SystemTags are the prefixes of tags that others put on the table. When
	// there are any, tags that match none, and are not in Tags, are taken away.
	SystemTags []string
}

// maxAge is how old the table may be that is listed: the peer's default of
// routeTableCacheTTLInSeconds.
const maxAge = 120 * time.Second

// Routes keeps the routes to nodes. Run must run, else changes wait.
type Routes struct {
	client  *arm.Client
	clock   clock.PassiveClock
	options Options
	site    site
	nodes   corelisters.NodeLister
	asks    chan ask

	mu     sync.Mutex
	newest table
	read   time.Time // when newest was true; zero: never, or it must be read again
	writes int       // how often the table was written or found to be another
}

var _ cloudprovider.Routes = (*Routes)(nil)

// ask is an operation that somebody waits for.
type ask struct {
	operation
	done chan<- error // has room for the answer
}

// New returns routes of a table that was not read yet. The lister tells which
// nodes Azure does not run.
func New(client *arm.Client, nodes corelisters.NodeLister, c clock.PassiveClock, o Options) *Routes {
	return &Routes{
		client: client, clock: c, options: o, nodes: nodes, asks: make(chan ask),
		site: site{location: o.Location, tags: o.Tags, system: o.SystemTags},
	}
}

// Run writes what is asked for until the context ends: the first change at
// once, and all that come while it is written in the next write.
func (r *Routes) Run(ctx context.Context) {
	var pending []ask
	var running chan struct{}
	for {
		if running == nil && len(pending) > 0 {
			batch := pending
			pending, running = nil, make(chan struct{})
			go func(done chan struct{}) {
				defer close(done)
				r.write(ctx, batch)
			}(running)
		}
		select {
		case a := <-r.asks:
			pending = append(pending, a)
		case <-running:
			running = nil
		case <-ctx.Done():
			if running != nil {
				<-running
			}
			for _, a := range pending {
				a.done <- errStopped
			}
			return
		}
	}
}

// do asks for an operation and waits until it is done.
func (r *Routes) do(ctx context.Context, op operation) error {
	done := make(chan error, 1)
	select {
	case r.asks <- ask{op, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write does a batch, and tells each who asked what became of it.
func (r *Routes) write(ctx context.Context, batch []ask) {
	ops := make([]operation, len(batch))
	for i, a := range batch {
		ops[i] = a.operation
	}
	begun := r.clock.Now()
	refused, err := r.put(ctx, ops)
	for i, a := range batch {
		if err != nil {
			a.done <- err
		} else {
			a.done <- refused[i]
		}
	}
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Wrote", "target", r.options.TableID, "changes", len(ops), "took", r.clock.Since(begun))
	}
}

// maxTries is how often a batch is written when others write the table too.
const maxTries = 4

// put writes the table as the operations want it, from the newest that is
// known: should it be another by now, it is read again.
func (r *Routes) put(ctx context.Context, ops []operation) (refused []error, err error) {
	t, err := r.table(ctx)
	for try := 1; err == nil; try++ {
		out, applyErr := t.apply(ops, r.site)
		if applyErr != nil || out.body == nil {
			return out.refused, applyErr
		}
		answer, putErr := r.send(ctx, t, out.body)
		if putErr == nil {
			return out.refused, r.keep(answer)
		}
		r.forget()
		if plan.KindOf(putErr) != plan.Conflict || try == maxTries {
			return nil, putErr
		}
		t, err = r.table(ctx)
	}
	return nil, err
}

// send writes the table. One that is not known must not be there.
func (r *Routes) send(ctx context.Context, t table, body json.RawMessage) (json.RawMessage, error) {
	if t.doc == nil {
		return r.client.Create(ctx, r.options.TableID, body)
	}
	return r.client.Put(ctx, r.options.TableID, body, t.etag)
}

// table is the newest that is known, read if it is too old.
func (r *Routes) table(ctx context.Context) (table, error) {
	t, fresh, writes := r.known()
	if fresh {
		return t, nil
	}
	begun := r.clock.Now()
	doc, err := r.client.Get(ctx, r.options.TableID, nil)
	t = table{}
	switch {
	case arm.NotFound(err):
		begun = time.Time{} // not kept: a table that is made by then must not be overwritten
	case err != nil:
		return table{}, err
	default:
		if t, err = parseTable(doc); err != nil {
			return table{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writes == writes {
		r.newest, r.read = t, begun
	}
	return t, nil
}

func (r *Routes) known() (t table, fresh bool, writes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh = !r.read.IsZero() && r.clock.Since(r.read) < maxAge
	return r.newest, fresh, r.writes
}

// keep keeps what a write answered.
func (r *Routes) keep(doc json.RawMessage) error {
	t, err := parseTable(doc)
	if err != nil {
		r.forget()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest, r.read = t, r.clock.Now()
	r.writes++
	return nil
}

func (r *Routes) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = time.Time{}
	r.writes++
}

// ListRoutes lists the routes that are to nodes, and those of the nodes that
// Azure does not run, as if they were there: their networks see to them.
// Routes of others are left out.
func (r *Routes) ListRoutes(ctx context.Context, _ string) ([]*cloudprovider.Route, error) {
	t, err := r.table(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := r.nodes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	if _, changed := r.site.wantTags(t.tags); changed && t.doc != nil {
		if err := r.do(ctx, operation{verb: retag}); err != nil {
			klog.FromContext(ctx).Error(err, "Tags of the route table are not written", "target", r.options.TableID)
		}
	}
	known := map[string]string{}
	for _, n := range nodes {
		known[strings.ToLower(n.Name)] = n.Name
	}
	var out []*cloudprovider.Route
	for _, x := range t.routes {
		if node, ok := nodeOf(x, known); ok {
			out = append(out, &cloudprovider.Route{Name: x.name, TargetNode: types.NodeName(node), DestinationCIDR: x.cidr})
		}
	}
	for _, n := range nodes {
		if !machines.Unmanaged(n) {
			continue
		}
		for _, cidr := range n.Spec.PodCIDRs {
			out = append(out, &cloudprovider.Route{Name: n.Name, TargetNode: types.NodeName(n.Name), DestinationCIDR: cidr})
		}
	}
	return out, nil
}

// CreateRoute adds a node's route and returns when the table has it. The error
// says that it has not.
func (r *Routes) CreateRoute(ctx context.Context, _, _ string, x *cloudprovider.Route) error {
	if r.unmanaged(x.TargetNode) {
		return nil
	}
	cidr, err := netip.ParsePrefix(x.DestinationCIDR)
	if err != nil {
		return fmt.Errorf("node %s: prefix %q is no CIDR: %w", x.TargetNode, x.DestinationCIDR, err)
	}
	hop, err := r.hop(x, cidr)
	if err != nil {
		return err
	}
	return r.do(ctx, operation{verb: create, node: string(x.TargetNode), cidr: x.DestinationCIDR, hop: hop})
}

// hop is the node's first internal address of the prefix's family.
func (r *Routes) hop(x *cloudprovider.Route, cidr netip.Prefix) (netip.Addr, error) {
	list := x.TargetNodeAddresses
	if len(list) == 0 {
		n, err := r.nodes.Get(string(x.TargetNode))
		if err != nil {
			return netip.Addr{}, err
		}
		list = n.Status.Addresses
	}
	for _, a := range list {
		if a.Type != v1.NodeInternalIP {
			continue
		}
		ip, err := netip.ParseAddr(a.Address)
		if err == nil && ip.Unmap().Is4() == cidr.Addr().Is4() {
			return ip.Unmap(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("node %s: status.addresses has no InternalIP of the family of %s, which its route would lead to", x.TargetNode, cidr)
}

// DeleteRoute takes a node's route out and returns when the table has it no
// more.
func (r *Routes) DeleteRoute(ctx context.Context, _ string, x *cloudprovider.Route) error {
	if r.unmanaged(x.TargetNode) {
		return nil
	}
	return r.do(ctx, operation{verb: remove, node: string(x.TargetNode), cidr: x.DestinationCIDR, name: x.Name})
}

// unmanaged reports whether Azure does not run the node. One that is not there
// any more is taken as run by Azure: its route may be in the table.
func (r *Routes) unmanaged(name types.NodeName) bool {
	n, err := r.nodes.Get(string(name))
	return err == nil && machines.Unmanaged(n)
}
