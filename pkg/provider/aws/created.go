// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// creations are what this process has made a moment ago: lists may not show it
// yet, and AWS may not know it when it is to be deleted. A Service that is removed
// meanwhile takes it along. For one that is served lists alone count, as what they
// do not show may have been deleted by hand.
type creations struct {
	by map[string]creation // by ARN, by id, or by the name of a classic load balancer
	// unlisted are those that no list has shown yet, as calls since then left them.
	unlisted *Observed
}

type creation struct {
	done   time.Time // when AWS answered
	serves []plan.Key
}

func newCreations() creations {
	return creations{by: map[string]creation{}, unlisted: NewObserved()}
}

// learn notes a call that AWS took, which was made for some Services.
func (m *creations) learn(c Call, answer any, serves []plan.Key, now time.Time) {
	id := m.unlisted.Learn(c, answer)
	if in, ok := c.(*elb.CreateLoadBalancerInput); ok {
		id = awssdk.ToString(in.LoadBalancerName)
	}
	if m.unlisted.has(id) {
		m.by[id] = creation{now, serves}
	}
	delete(m.by, removedBy(c))
}

// listed forgets what lists show, and what is too old to be waited for.
func (m *creations) listed(o *Observed, now time.Time) {
	for id, x := range m.by {
		old := now.Sub(x.done) > longestLate
		if old {
			delete(m.by, id)
		}
		if old || o.has(id) {
			m.unlisted.drop(id)
		}
	}
}

// apply adds to what was read what the Services have that are removed. All of it
// is known, and AWS might not know it when asked.
func (m *creations) apply(o *Observed, batch provider.Batch) {
	removed := map[plan.Key]bool{}
	for i := range batch.Items {
		removed[batch.Items[i].Key] = batch.Items[i].Want == provider.Remove
	}
	var ids []string
	for id, x := range m.by {
		if m.unlisted.has(id) && slices.ContainsFunc(x.serves, func(key plan.Key) bool { return removed[key] }) {
			m.unlisted.copyTo(o, id)
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	fresh := Reads{}
	if o.Fresh != nil {
		fresh = *o.Fresh
	}
	for _, list := range fresh.lists() {
		*list = slices.Compact(slices.Sorted(slices.Values(slices.Concat(*list, ids))))
	}
	o.Fresh = &fresh
}

// notYet turns AWS's answer that it does not know what is to be taken away into an
// error, once, when that was made a moment ago. The next try goes by what lists
// show then.
func (m *creations) notYet(c Call, err error) error {
	id := removedBy(c)
	if _, ok := m.by[id]; !ok {
		return nil
	}
	delete(m.by, id)
	m.unlisted.drop(id)
	return &plan.Error{Kind: plan.Transient, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("AWS does not see everywhere yet what was made a moment ago: %w", err)}
}

// removedBy is the ARN, the id, or the name of a classic load balancer that the
// call deletes; empty for other calls.
func removedBy(c Call) string {
	if in, ok := c.(*elb.DeleteLoadBalancerInput); ok {
		return awssdk.ToString(in.LoadBalancerName)
	}
	return deletedBy(c)
}

// has reports whether the object is known.
func (o *Observed) has(id string) bool {
	return o.Networks[id] != nil || o.TargetGroups[id] != nil || o.Classics[id] != nil || o.Groups[id] != nil
}

// drop forgets the object.
func (o *Observed) drop(id string) {
	delete(o.Networks, id)
	delete(o.TargetGroups, id)
	delete(o.Classics, id)
	delete(o.Groups, id)
}

// copyTo makes another observation know the object, too.
func (o *Observed) copyTo(to *Observed, id string) {
	if lb, ok := o.Networks[id]; ok {
		to.Networks[id] = new(*lb)
	}
	if g, ok := o.TargetGroups[id]; ok {
		to.TargetGroups[id] = new(*g)
	}
	if c, ok := o.Classics[id]; ok {
		to.Classics[id] = new(*c)
	}
	if g, ok := o.Groups[id]; ok {
		to.Groups[id] = new(*g)
	}
}
