// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

const (
	// firstListing is when instances of nodes that AWS does not list yet are asked
	// for again: the reader asks for one no sooner. It doubles with each look.
	firstListing = 10 * time.Second
	// longestListing is when nobody waits for them any more. AWS lists what is new
	// within seconds, seldom minutes.
	longestListing = 5 * time.Minute
	// groupsPerFilter is how many values a filter of EC2 takes.
	groupsPerFilter = 200
)

// newUnlisted looks for what AWS does not list yet, though nodes have it.
func newUnlisted() provider.Sought {
	return provider.Sought{First: firstListing, Longest: longestListing, Patience: longestListing}
}

// unlistedGroups are the ids of security groups that must be known to tell
// which guard instances of the VPC, and are not.
func (o *Observed) unlistedGroups(s *Settings) []string {
	out := map[string]bool{}
	for _, i := range o.Instances {
		for _, id := range o.unlistedAt(i, s) {
			out[id] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// unlistedAt are those of one instance. Where one of its groups is known to have
// the tag of the cluster, that one gets the rules whatever the others are.
// Groups of instances in other VPCs are nobody's matter.
func (o *Observed) unlistedAt(i *Instance, s *Settings) []string {
	if i.VPC != s.VPC || len(o.taggedGroups(i, s)) > 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(i.Groups), func(id string) bool { return o.Groups[id] != nil })
}

// taggedGroups are the security groups of an instance that are known to have
// the tag of the cluster.
func (o *Observed) taggedGroups(i *Instance, s *Settings) []string {
	return slices.DeleteFunc(slices.Clone(i.Groups), func(id string) bool {
		g := o.Groups[id]
		return g == nil || !s.Tags.Has(ec2Tags(g.Tags))
	})
}

// lookAtNodes fills in what AWS shows of the nodes, and tells when to look again.
// When it shows nothing, what was known of them counts: most of a pass does not
// depend on it.
func (p *Provider) lookAtNodes(ctx context.Context, s *Settings, o *Observed, batch provider.Batch) (time.Duration, error) {
	age := instancesAge
	if asksForRepair(batch) { // for a look at all, also at what hardly ever changes
		age = 0
	}
	var unread error
	o.Instances, unread = p.machines.of(ctx, batch.Nodes, p.clock.Now(), age)
	var asked []string
	if s.NodeRules {
		var err error
		asked, err = p.findGroups(ctx, s, o)
		unread = cmp.Or(unread, err)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	o.NodesUnread, o.Lost = unread, p.lost
	var hidden []string
	if unread != nil {
		klog.FromContext(ctx).Info("The instances of nodes cannot be read, and what was known of them before counts", "err", unread)
		hidden = []string{"nodes"}
	}
	again := p.unread.Note(p.clock.Now(), hidden, hidden).Again
	if unread == nil && s.NodeRules { // what nobody could look at is not missing
		again = p.noteUnlisted(ctx, s, o, instanceIDs(batch.Nodes), asked)
	}
	return sooner(again, p.lookForSleepers(o, batch.Nodes)), nil
}

// findGroups reads the security groups of instances that are newer than what is
// remembered, or belong to a VPC that shares them, and tells which it asked for.
func (p *Provider) findGroups(ctx context.Context, s *Settings, o *Observed) ([]string, error) {
	asked := slices.DeleteFunc(p.unlisted.Due(p.clock.Now(), o.unlistedGroups(s)), p.unfound.Is)
	asked = asked[:min(len(asked), groupsPerFilter)]
	if len(asked) == 0 {
		return nil, nil
	}
	found, err := listGroups(ctx, p.client, []ec2types.Filter{{Name: awssdk.String("group-id"), Values: asked}})
	if err != nil {
		return nil, err
	}
	for _, id := range asked {
		if found[id] == nil { // which nothing else notes while instances cannot be read
			p.unfound.Note(id)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(o.Groups, found)
	if p.memory != nil {
		maps.Copy(p.memory.Groups, found)
	}
	return asked, nil
}

// noteUnlisted notes what AWS does not list of all that nodes need, and tells when
// to look again.
func (p *Provider) noteUnlisted(ctx context.Context, s *Settings, o *Observed, nodes, asked []string) time.Duration {
	missing := o.unlistedGroups(s)
	for _, id := range nodes {
		if o.Instances[id] == nil {
			missing, asked = append(missing, id), append(asked, id)
		}
	}
	missed := p.unlisted.Note(p.clock.Now(), missing, asked)
	if len(missed.News) > 0 {
		klog.FromContext(ctx).Info("EC2 does not list what nodes have", "ids", missed.News, "waited", longestListing)
	}
	p.lost = missed.Lost
	o.Lost = missed.Lost
	return missed.Again
}

// lookForSleepers is when to look again at instances that do not run though
// their nodes are ready; zero: never. They may have been refused as targets, and
// nobody tells when AWS would take them.
func (p *Provider) lookForSleepers(o *Observed, nodes []*v1.Node) time.Duration {
	var ids []string
	for _, n := range nodes {
		id, _ := names.InstanceID(n.Spec.ProviderID)
		if i := o.Instances[id]; i != nil && i.sleeps() && !notReady(n) {
			ids = append(ids, id)
		}
	}
	return p.sleepers.Note(p.clock.Now(), ids, ids).Again
}

// sooner is the shorter of two waits, of which zero is none.
func sooner(x, y time.Duration) time.Duration {
	if x == 0 || y == 0 {
		return max(x, y)
	}
	return min(x, y)
}
