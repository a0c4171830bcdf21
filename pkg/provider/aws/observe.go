// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/routes"
)

// Observe makes the reads of a pass: lists of all there is, side by side, and
// then what is particular to the batch. When only the nodes changed, what the
// provider remembers is enough.
func (p *Provider) Observe(ctx context.Context, batch provider.Batch) (provider.Pass, error) {
	s, err := p.settings(ctx, toServe)
	if err != nil {
		return nil, err
	}
	services, err := provider.LoadBalancers(p.services)
	if err != nil {
		return nil, err
	}
	observed, ok := p.recall(s, batch, services)
	if !ok {
		if observed, err = p.read(ctx, s, batch, services); err != nil {
			return nil, err
		}
	}
	again, err := p.lookAtNodes(ctx, s, observed, batch)
	if err != nil {
		return nil, err
	}
	if p.slices != nil {
		if observed.Slices, err = p.endpoints(); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	unlisted := p.creations.unlisted(observed, p.clock.Now())
	p.mu.Unlock()
	waits := unlisted.waits(batch)
	observed.Unlisted = unlisted.hosts()
	batch.Items = slices.DeleteFunc(slices.Clone(batch.Items), func(it provider.Item) bool { return waits[it.Key] != nil })
	batch.Before = nil // it is done with
	in := Input{Settings: s, Observed: observed, Batch: batch}
	result, err := p.compute(ctx, in)
	if err != nil {
		return nil, err
	}
	maps.Copy(result.Refused, waits)
	if result.HeadNeeded && slices.ContainsFunc(batch.Items, asksAnew) {
		p.changed.Ask()
	}
	out := newPass(p, in, result)
	out.next = again
	return out, nil
}

// asksAnew reports whether a Service is looked at for itself: not as all are.
func asksAnew(it provider.Item) bool {
	return it.Cause != provider.Config && it.Cause != provider.Drift
}

func asksForRepair(b provider.Batch) bool {
	return slices.ContainsFunc(b.Items, func(it provider.Item) bool { return it.Cause == provider.Repair })
}

// endpoints are the EndpointSlices of all Services.
func (p *Provider) endpoints() (map[plan.Key][]*discoveryv1.EndpointSlice, error) {
	out := map[plan.Key][]*discoveryv1.EndpointSlice{}
	all, err := p.slices.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list EndpointSlices: %w", err)
	}
	for _, s := range all {
		key := plan.Key{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
		out[key] = append(out[key], s)
	}
	return out, nil
}

// recall is what the provider knows from the last passes, when that is enough
// for the batch: it is about nodes or endpoints alone, and all its load balancers
// are known. A new configuration makes it forget.
func (p *Provider) recall(s *Settings, batch provider.Batch, services []*v1.Service) (*Observed, bool) {
	for i := range batch.Items {
		it := &batch.Items[i]
		if moved := it.Cause == provider.Nodes || it.Cause == provider.Config; !moved || it.Want == provider.Remove {
			return nil, false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory == nil {
		return nil, false
	}
	o := p.memory.Clone()
	o.Services, o.Fresh = services, nil
	return o, o.Knows(ReadsOf(s, o, batch.Items))
}

// read reads what the batch needs, and remembers it.
func (p *Provider) read(ctx context.Context, s *Settings, batch provider.Batch, services []*v1.Service) (*Observed, error) {
	p.mu.Lock()
	p.learned, p.reading = nil, true
	forgotten := p.forgotten
	var old *Observed
	if p.memory != nil {
		old = p.memory.Clone() // private steps go on learning into the memory
	}
	p.mu.Unlock()
	o, err := p.begin(ctx, s, batch, old)
	if err == nil {
		o.Services = services
		all := ReadsOf(s, o, batch.Items)
		err = p.details(ctx, s, o, all.minus(o.Fresh))
		o.Fresh = &all
		// Tags may tell of a load balancer that no name did, and of certificates.
		if more := ReadsOf(s, o, batch.Items); err == nil && more.beyond(&all) {
			err = p.details(ctx, s, o, more.minus(&all))
			o.Fresh = &more
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if err != nil {
		return nil, err
	}
	// What private steps of earlier passes wrote meanwhile is newer than what
	// was read.
	p.deletions.apply(o)
	for _, l := range p.learned {
		o.Learn(l.call, l.answer)
	}
	if p.forgotten == forgotten {
		p.memory = o
	}
	return o.Clone(), nil
}

// begin is what lists tell. What the same pass has read a moment ago is not read
// again: who came meanwhile has nothing yet, or what is new of him is read next.
func (p *Provider) begin(ctx context.Context, s *Settings, batch provider.Batch, old *Observed) (*Observed, error) {
	if before, ok := batch.Before.(*pass); ok && old != nil && before.in.Observed.Fresh != nil {
		return old.fork(), nil
	}
	o, err := p.lists(ctx, s)
	if err != nil {
		return nil, err
	}
	o.keepDetails(old)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deletions.apply(o)
	return o, nil
}

func (p *Provider) lists(ctx context.Context, s *Settings) (*Observed, error) {
	o := NewObserved()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		o.Networks, err = listNetworks(ctx, p.client)
		return err
	})
	g.Go(func() (err error) {
		o.TargetGroups, err = listTargetGroups(ctx, p.client)
		return err
	})
	g.Go(func() (err error) {
		o.Classics, err = listClassics(ctx, p.client)
		return err
	})
	g.Go(func() (err error) {
		o.Groups, err = listGroups(ctx, p.client, inVPC(s.VPC))
		return err
	})
	g.Go(func() (err error) {
		o.Subnets, err = listSubnets(ctx, p.client, s.VPC)
		return err
	})
	return o, g.Wait()
}

// details reads what lists do not tell, side by side, into o.
func (p *Provider) details(ctx context.Context, s *Settings, o *Observed, r Reads) error {
	d := &detailReader{provider: p, observed: o, gone: map[string]bool{}}
	var gctx context.Context
	d.group, gctx = errgroup.WithContext(ctx)
	d.group.SetLimit(readsAtOnce)
	for _, arn := range r.Networks {
		d.network(gctx, arn, &r)
	}
	for _, arn := range r.Targets {
		d.targets(gctx, arn)
	}
	for _, arn := range r.GroupAttributes {
		d.groupAttributes(gctx, arn)
	}
	for chunk := range slices.Chunk(r.Tags, tagsPerCall) {
		d.group.Go(func() error { return d.readTags(gctx, chunk) })
	}
	d.classics(gctx, r)
	for _, id := range r.VPCs {
		d.one(id, func() (err error) {
			o.VPC, err = readVPC(gctx, p.client, id)
			return err
		})
	}
	if r.Discovery {
		d.group.Go(func() (err error) {
			o.RouteTables, err = routes.List(gctx, p.client, s.VPC)
			return err
		})
		d.group.Go(func() (err error) {
			o.ZoneTypes, err = p.machines.ZoneTypes(gctx, zoneNames(o.Subnets))
			return err
		})
	}
	if err := d.group.Wait(); err != nil {
		return err
	}
	return d.drop(ctx)
}

// readsAtOnce is how many reads of a pass are under way at once. The client
// keeps to AWS's limits by itself.
const readsAtOnce = 64

// detailReader fills in what is particular. Each read has an object of its own.
type detailReader struct {
	provider *Provider
	observed *Observed
	group    *errgroup.Group
	mu       sync.Mutex      // guards tags, which several reads may bring for one object, and what follows
	gone     map[string]bool // what went meanwhile
}

func (d *detailReader) network(ctx context.Context, arn string, r *Reads) {
	lb := d.observed.Networks[arn]
	d.one(arn, func() (err error) {
		if lb.Listeners, err = listListeners(ctx, d.provider.client, arn); err != nil {
			return err
		}
		if slices.Contains(r.Certificates, arn) {
			if lb.Certificates, err = readCertificates(ctx, d.provider.client, lb.Listeners); err != nil {
				return err
			}
		}
		if slices.Contains(r.Listeners, arn) {
			lb.ListenerAttributes, err = readListenerAttributes(ctx, d.provider.client, lb.Listeners)
		}
		return err
	})
	d.one(arn, func() (err error) {
		lb.Attributes, err = readAttributes(ctx, d.provider.client, arn)
		return err
	})
}

func (d *detailReader) targets(ctx context.Context, arn string) {
	g := d.observed.TargetGroups[arn]
	d.one(arn, func() (err error) {
		g.Targets, err = readTargets(ctx, d.provider.client, arn)
		g.TargetsRead = err == nil
		return err
	})
}

func (d *detailReader) groupAttributes(ctx context.Context, arn string) {
	g := d.observed.TargetGroups[arn]
	d.one(arn, func() (err error) {
		g.Attributes, err = readGroupAttributes(ctx, d.provider.client, arn)
		return err
	})
}

func (d *detailReader) classics(ctx context.Context, r Reads) {
	o := d.observed
	for _, name := range r.Classics {
		d.one(name, func() (err error) {
			o.Classics[name].Attributes, err = readClassicAttributes(ctx, d.provider.client, name)
			return err
		})
	}
	for chunk := range slices.Chunk(r.ClassicTags, tagsPerCall) {
		d.group.Go(func() error {
			return d.many(chunk, func(chunk []string) error {
				tags, err := readClassicTags(ctx, d.provider.client, chunk)
				if err != nil {
					return err
				}
				d.mu.Lock()
				defer d.mu.Unlock()
				for name, t := range tags {
					o.Classics[name].Tags = t
				}
				return nil
			})
		})
	}
}

// zoneNames are the names of the zones where the subnets are.
func zoneNames(subnets []ec2types.Subnet) []string {
	out := make([]string, len(subnets))
	for i := range subnets {
		out[i] = awssdk.ToString(subnets[i].AvailabilityZone)
	}
	return out
}

// learned is a call and its answer.
type learned struct {
	call   Call
	answer any
}

// call makes a call. What it has deleted is gone, whatever lists show. What is to
// be taken away and is not there is done too, but lists may know better, and so
// may who made it a moment ago.
func (p *Provider) call(ctx context.Context, c Call) (any, error) {
	p.mu.Lock()
	p.deletions.begin(c)
	p.mu.Unlock()
	answer, err := send(ctx, p.client, c)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deletions.end(c, err, p.clock.Now())
	if takesAway(c) && api.NotFound(err) {
		if err = p.creations.notYet(c, err); err != nil {
			p.forgetHeld()
		}
		return answer, err
	}
	return answer, p.overtaken(c, err)
}

// remember notes what a call of a pass changed that was made for some Services.
func (p *Provider) remember(c Call, answer any, serves []plan.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.creations.learn(c, answer, serves, p.clock.Now())
	if p.reading {
		p.learned = append(p.learned, learned{c, answer})
	}
	if p.memory != nil {
		p.memory.Learn(c, answer)
	}
}

// forget makes the next pass read all.
func (p *Provider) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetHeld()
}

// forgetHeld is forget with mu held.
func (p *Provider) forgetHeld() {
	p.memory = nil
	p.forgotten++
}
