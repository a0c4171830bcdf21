// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
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

// unlisted are instances of nodes, and security groups of instances, that AWS
// does not list: since when.
type unlisted map[string]time.Time

// note takes what is not listed now, and forgets what is. It tells when to look
// again; zero: nobody waits any more. lost is what was waited for in vain.
func (u *unlisted) note(now time.Time, ids []string) (again time.Duration, lost map[string]bool) {
	since := unlisted{}
	lost = map[string]bool{}
	for _, id := range ids {
		first, ok := (*u)[id]
		if !ok {
			first = now
		}
		since[id] = first
		age := now.Sub(first)
		if age >= longestListing {
			lost[id] = true
			continue
		}
		if wait := max(firstListing, age); again == 0 || wait < again {
			again = wait
		}
	}
	*u = since
	return again, lost
}

// unlistedGroups are the ids of security groups that instances of the VPC have,
// and that are not known.
func (o *Observed) unlistedGroups(vpc string) []string {
	out := map[string]bool{}
	for _, i := range o.Instances {
		for _, id := range o.unlistedAt(i, vpc) {
			out[id] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// unlistedAt are those of one instance. Groups of other VPCs are nobody's
// matter.
func (o *Observed) unlistedAt(i *Instance, vpc string) []string {
	if i.VPC != vpc {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(i.Groups), func(id string) bool { return o.Groups[id] != nil })
}

// findGroups reads the security groups of instances that are newer than what is
// remembered, and notes what AWS does not list of all that nodes need.
func (p *Provider) findGroups(ctx context.Context, s *Settings, o *Observed, nodes []string) (time.Duration, error) {
	if !s.NodeRules {
		return 0, nil
	}
	if ids := o.unlistedGroups(s.VPC); len(ids) > 0 {
		filters := append(inVPC(s.VPC), ec2types.Filter{Name: awssdk.String("group-id"), Values: ids[:min(len(ids), groupsPerFilter)]})
		found, err := listGroups(ctx, p.client, filters)
		if err != nil {
			return 0, err
		}
		p.mu.Lock()
		maps.Copy(o.Groups, found)
		if p.memory != nil {
			maps.Copy(p.memory.Groups, found)
		}
		p.mu.Unlock()
	}
	missing := o.unlistedGroups(s.VPC)
	for _, id := range nodes {
		if o.Instances[id] == nil {
			missing = append(missing, id)
		}
	}
	again, lost := p.unlisted.note(p.clock.Now(), missing)
	o.Lost = lost
	return again, nil
}

// hidden reports whether it is not known which security groups the instance
// has, or what these are.
func (t *turn) hidden(id string) bool {
	i := t.observed.Instances[id]
	return i == nil || len(t.observed.unlistedAt(i, t.settings.VPC)) > 0
}

// lostOf is what has to be told about those of the Service's instances for whose
// security groups nobody waits any more; empty for nothing.
func (t *turn) lostOf(a *ask) string {
	if a.external && !a.sharesGroup() {
		return "" // it needs no rules of ours
	}
	var out []string
	for _, id := range a.targets {
		i := t.observed.Instances[id]
		if t.observed.Lost[id] || (i != nil && slices.ContainsFunc(t.observed.unlistedAt(i, t.settings.VPC), func(id string) bool { return t.observed.Lost[id] })) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("EC2 has not listed what nodes have for %s: %s; no rule lets this load balancer in there; delete nodes that are gone, and see that instances are of this account and region",
		longestListing, strings.Join(few(out), ", "))
}

// few are the first of a list, and how many more there are.
func few(list []string) []string {
	const most = 3
	out := slices.Clone(list[:min(len(list), most)])
	if more := len(list) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return out
}
