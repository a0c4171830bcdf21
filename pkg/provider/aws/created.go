// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// longestUnlisted is how long lists may not show what was made. What they do not
// show by then was deleted by hand.
const longestUnlisted = 15 * time.Second

// creations are the calls by which this process made something lately, in their
// order: lists may not show it yet, and AWS may not know it when it is to be
// deleted.
type creations []creation

type creation struct {
	call   Call
	id     string // ARN, id, or name of a classic load balancer; of rules, that of their group
	host   string // of a load balancer, in DNS
	done   time.Time
	serves []plan.Key
}

// madeBy is what the call made, but for what goes with a load balancer.
func madeBy(c Call, answer any) (id, host string) {
	switch in := c.(type) {
	case *elbv2.CreateLoadBalancerInput:
		if out, ok := answer.(*elbv2.CreateLoadBalancerOutput); ok && len(out.LoadBalancers) > 0 {
			return awssdk.ToString(out.LoadBalancers[0].LoadBalancerArn), awssdk.ToString(out.LoadBalancers[0].DNSName)
		}
	case *elbv2.CreateTargetGroupInput:
		if out, ok := answer.(*elbv2.CreateTargetGroupOutput); ok && len(out.TargetGroups) > 0 {
			return awssdk.ToString(out.TargetGroups[0].TargetGroupArn), ""
		}
	case *elb.CreateLoadBalancerInput:
		if out, ok := answer.(*elb.CreateLoadBalancerOutput); ok {
			return awssdk.ToString(in.LoadBalancerName), awssdk.ToString(out.DNSName)
		}
	case *ec2.CreateSecurityGroupInput:
		if out, ok := answer.(*ec2.CreateSecurityGroupOutput); ok {
			return awssdk.ToString(out.GroupId), ""
		}
	case *ec2.AuthorizeSecurityGroupIngressInput:
		return awssdk.ToString(in.GroupId), ""
	}
	return "", ""
}

// learn notes a call that AWS took, which was made for some Services.
func (m *creations) learn(c Call, answer any, serves []plan.Key, now time.Time) {
	*m = slices.DeleteFunc(*m, func(x creation) bool { return x.goneBy(c) || now.Sub(x.done) > longestLate })
	if id, host := madeBy(c, answer); id != "" {
		*m = append(*m, creation{c, id, host, now, serves})
	}
}

// goneBy reports whether the call takes away what was made, or a part of it.
func (x *creation) goneBy(c Call) bool {
	revoke, ok := c.(*ec2.RevokeSecurityGroupIngressInput)
	if !ok {
		return x.id == removedBy(c)
	}
	if x.id != awssdk.ToString(revoke.GroupId) {
		return false
	}
	rules := x.rules()
	return len(rules.minus(rulesOf(revoke.IpPermissions))) < len(rules)
}

// rules are those that were made in a security group; none of anything else.
func (x *creation) rules() described {
	if in, ok := x.call.(*ec2.AuthorizeSecurityGroupIngressInput); ok {
		return rulesOf(in.IpPermissions)
	}
	return nil
}

// shown reports whether what was read has it, with what it belongs to.
func (x *creation) shown(o *Observed) bool {
	switch x.call.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return o.Networks[x.id] != nil
	case *elbv2.CreateTargetGroupInput:
		g := o.TargetGroups[x.id]
		return g != nil && !slices.ContainsFunc(g.LoadBalancerArns, func(lb string) bool { return o.Networks[lb] == nil })
	case *elb.CreateLoadBalancerInput:
		return o.Classics[x.id] != nil
	case *ec2.CreateSecurityGroupInput:
		return o.Groups[x.id] != nil
	}
	g := o.Groups[x.id] // nil: a group that nobody asks for
	return g == nil || len(x.rules().minus(rulesOf(g.IpPermissions))) == 0
}

// unlisted are those that were not among what was read, and may come yet.
func (m *creations) unlisted(o *Observed, now time.Time) creations {
	var out creations
	for _, x := range *m {
		if now.Sub(x.done) < longestUnlisted && !x.shown(o) {
			out = append(out, x)
		}
	}
	return out
}

// waits are the Services of the batch that are removed and have something that is
// not listed. Without it they would count as done, and leave it behind. For those
// that are served lists alone count: what they do not show may have been deleted by
// hand.
func (m *creations) waits(batch provider.Batch) map[plan.Key]error {
	out := map[plan.Key]error{}
	for i := range batch.Items {
		if batch.Items[i].Want != provider.Remove {
			continue
		}
		key := batch.Items[i].Key
		if at := slices.IndexFunc(*m, func(x creation) bool { return slices.Contains(x.serves, key) }); at >= 0 {
			out[key] = &plan.Error{Kind: plan.Transient, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("AWS does not list yet %s, or what belongs to it, which was made a moment ago; it is deleted when it is listed", (*m)[at].id)}
		}
	}
	return out
}

// hosts are the names in DNS, in lower case, of load balancers.
func (m *creations) hosts() map[string]bool {
	out := map[string]bool{}
	for _, x := range *m {
		if x.host != "" {
			out[strings.ToLower(x.host)] = true
		}
	}
	return out
}

// notYet turns AWS's answer that it does not know what is to be taken away into an
// error, once, when that was made a moment ago.
func (m *creations) notYet(c Call, err error) error {
	n := len(*m)
	*m = slices.DeleteFunc(*m, func(x creation) bool { return x.goneBy(c) })
	if len(*m) == n {
		return nil
	}
	return &plan.Error{Kind: plan.Transient, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("AWS does not see everywhere yet what was made a moment ago: %w", err)}
}
