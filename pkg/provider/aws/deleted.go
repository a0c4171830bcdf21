// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// longestLate is how long AWS's lists may show what is deleted, and not show what
// is made. They do for seconds, and nobody says how long at most.
const longestLate = 5 * time.Minute

// deletions are the calls by which this process deletes objects, or has deleted
// them, in their order. Only what has an id that AWS never gives again is among
// them: whatever a list shows after the answer, it is gone.
type deletions []deletion

type deletion struct {
	id   string
	call Call
	done time.Time // when AWS answered; zero: it has not
}

// deletedBy is the id of what the call deletes; empty for other calls, and for
// what has no id of its own.
func deletedBy(c Call) string {
	switch in := c.(type) {
	case *elbv2.DeleteLoadBalancerInput:
		return awssdk.ToString(in.LoadBalancerArn)
	case *elbv2.DeleteListenerInput:
		return awssdk.ToString(in.ListenerArn)
	case *elbv2.DeleteTargetGroupInput:
		return awssdk.ToString(in.TargetGroupArn)
	case *ec2.DeleteSecurityGroupInput:
		return awssdk.ToString(in.GroupId)
	}
	return ""
}

// removedBy is deletedBy, and the name of the classic load balancer that the call
// deletes.
func removedBy(c Call) string {
	if in, ok := c.(*elb.DeleteLoadBalancerInput); ok {
		return awssdk.ToString(in.LoadBalancerName)
	}
	return deletedBy(c)
}

// takesAway reports whether a call deletes an object, or targets of one.
func takesAway(c Call) bool {
	switch c.(type) {
	case *elb.DeregisterInstancesFromLoadBalancerInput, *elbv2.DeregisterTargetsInput:
		return true
	}
	return removedBy(c) != ""
}

// begin notes that an object is being deleted.
func (d *deletions) begin(c Call) {
	if id := deletedBy(c); id != "" {
		*d = append(*d, deletion{id: id, call: c})
	}
}

// end notes what became of it, and forgets what no list shows any more. An object
// whose deletion failed may be there, and so may one that AWS says it does not
// know: AWS may not know yet what it has just made.
func (d *deletions) end(c Call, err error, now time.Time) {
	i := slices.IndexFunc(*d, func(x deletion) bool { return x.call == c })
	switch {
	case i < 0:
	case err != nil:
		*d = slices.Delete(*d, i, i+1)
	default:
		(*d)[i].done = now
	}
	*d = slices.DeleteFunc(*d, func(x deletion) bool { return !x.done.IsZero() && now.Sub(x.done) > longestLate })
}

// apply takes what is deleted out of what was read.
func (d *deletions) apply(o *Observed) {
	for _, x := range *d {
		if !x.done.IsZero() {
			o.Learn(x.call, nil)
		}
	}
}

// has reports whether one of the ids is deleted, or being deleted.
func (d *deletions) has(ids []string) bool {
	return slices.ContainsFunc(*d, func(x deletion) bool { return slices.Contains(ids, x.id) })
}

// groupsIn are the ids of the security groups that a call names.
func groupsIn(c Call) []string {
	switch in := c.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return in.SecurityGroups
	case *elbv2.SetSecurityGroupsInput:
		return in.SecurityGroups
	case *elb.CreateLoadBalancerInput:
		return in.SecurityGroups
	case *elb.ApplySecurityGroupsToLoadBalancerInput:
		return in.SecurityGroups
	case *ec2.AuthorizeSecurityGroupIngressInput:
		return append(sourceGroups(in.IpPermissions), awssdk.ToString(in.GroupId))
	case *ec2.RevokeSecurityGroupIngressInput:
		return append(sourceGroups(in.IpPermissions), awssdk.ToString(in.GroupId))
	}
	return nil
}

// sourceGroups are the ids of the security groups that rules let in.
func sourceGroups(list []ec2types.IpPermission) []string {
	var out []string
	for i := range list {
		for _, pair := range list[i].UserIdGroupPairs {
			out = append(out, awssdk.ToString(pair.GroupId))
		}
	}
	return out
}

// overtaken turns AWS's refusal of a security group into a conflict where a step
// of this process has deleted the group meanwhile: the next pass makes another. It
// is called with mu held.
func (p *Provider) overtaken(c Call, err error) error {
	switch api.Code(err) {
	case "InvalidGroup.NotFound", "InvalidSecurityGroup":
	default:
		return err
	}
	if !p.deletions.has(groupsIn(c)) {
		return err
	}
	return &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("a security group was deleted while this pass was to use it: %w", err)}
}
