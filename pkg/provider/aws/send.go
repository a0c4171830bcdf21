// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// send makes a call, and returns what AWS answered. The error is a *partError when
// the call was made but for some targets.
func send(ctx context.Context, c *api.Client, call Call) (any, error) {
	switch in := call.(type) {
	case *elbv2.RegisterTargetsInput:
		return nil, register(ctx, c, in)
	case *elbv2.DeleteLoadBalancerInput, *elbv2.DeleteListenerInput, *elbv2.DeleteTargetGroupInput, *elbv2.DeregisterTargetsInput:
		return nil, deleteNetwork(ctx, c, in)
	case *ec2.CreateSecurityGroupInput:
		return api.Call(ctx, c.EC2.CreateSecurityGroup, in)
	case *ec2.DeleteSecurityGroupInput:
		_, err := api.Call(ctx, c.EC2.DeleteSecurityGroup, in)
		return nil, err
	case *ec2.AuthorizeSecurityGroupIngressInput:
		_, err := api.Call(ctx, c.EC2.AuthorizeSecurityGroupIngress, in)
		return nil, err
	case *ec2.RevokeSecurityGroupIngressInput:
		_, err := api.Call(ctx, c.EC2.RevokeSecurityGroupIngress, in)
		return nil, err
	case *ec2.CreateTagsInput:
		_, err := api.Call(ctx, c.EC2.CreateTags, in)
		return nil, err
	case *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput:
		_, err := api.Call(ctx, c.EC2.UpdateSecurityGroupRuleDescriptionsIngress, in)
		return nil, err
	default:
		if answer, ok, err := sendClassic(ctx, c, in); ok {
			return answer, err
		}
		return sendNetwork(ctx, c, in)
	}
}

// sendNetwork makes the calls of network load balancers whose answers are
// learned.
func sendNetwork(ctx context.Context, c *api.Client, call Call) (any, error) {
	switch in := call.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return api.Call(ctx, c.ELBv2.CreateLoadBalancer, in)
	case *elbv2.CreateTargetGroupInput:
		return api.Call(ctx, c.ELBv2.CreateTargetGroup, in)
	case *elbv2.CreateListenerInput:
		return api.Call(ctx, c.ELBv2.CreateListener, in)
	case *elbv2.ModifyListenerInput:
		return api.Call(ctx, c.ELBv2.ModifyListener, in)
	case *elbv2.ModifyTargetGroupInput:
		return api.Call(ctx, c.ELBv2.ModifyTargetGroup, in)
	case *elbv2.SetSubnetsInput:
		return api.Call(ctx, c.ELBv2.SetSubnets, in)
	case *elbv2.SetIpAddressTypeInput:
		return api.Call(ctx, c.ELBv2.SetIpAddressType, in)
	case *elbv2.SetSecurityGroupsInput:
		return api.Call(ctx, c.ELBv2.SetSecurityGroups, in)
	case *elbv2.ModifyLoadBalancerAttributesInput:
		return api.Call(ctx, c.ELBv2.ModifyLoadBalancerAttributes, in)
	case *elbv2.ModifyTargetGroupAttributesInput:
		return api.Call(ctx, c.ELBv2.ModifyTargetGroupAttributes, in)
	case *elbv2.ModifyListenerAttributesInput:
		return api.Call(ctx, c.ELBv2.ModifyListenerAttributes, in)
	case *elbv2.AddListenerCertificatesInput:
		return api.Call(ctx, c.ELBv2.AddListenerCertificates, in)
	case *elbv2.RemoveListenerCertificatesInput:
		return api.Call(ctx, c.ELBv2.RemoveListenerCertificates, in)
	case *elbv2.RemoveTagsInput:
		return api.Call(ctx, c.ELBv2.RemoveTags, in)
	case *elbv2.AddTagsInput:
		return api.Call(ctx, c.ELBv2.AddTags, in)
	}
	return nil, &plan.Error{Kind: plan.Invalid, Reason: "UnknownCall", Err: fmt.Errorf("call %T is not known; report this", call)}
}

func deleteNetwork(ctx context.Context, c *api.Client, call Call) error {
	var err error
	switch in := call.(type) {
	case *elbv2.DeleteLoadBalancerInput:
		_, err = api.Call(ctx, c.ELBv2.DeleteLoadBalancer, in)
	case *elbv2.DeleteListenerInput:
		_, err = api.Call(ctx, c.ELBv2.DeleteListener, in)
	case *elbv2.DeleteTargetGroupInput:
		_, err = api.Call(ctx, c.ELBv2.DeleteTargetGroup, in)
	case *elbv2.DeregisterTargetsInput:
		err = deregister(ctx, c, in)
	}
	return err
}

// badTarget is the code for a target that cannot be registered.
const badTarget = "InvalidTarget"

// register registers targets, but for those that AWS refuses, such as an
// instance that it is just ending.
func register(ctx context.Context, c *api.Client, in *elbv2.RegisterTargetsInput) error {
	p, err := targetCall(func(part []elbv2types.TargetDescription) error {
		one := *in
		one.Targets = part
		_, err := api.Call(ctx, c.ELBv2.RegisterTargets, &one)
		return err
	}).all(in.Targets)
	if err != nil || len(p.refused) == 0 {
		return err
	}
	done := *in
	done.Targets = p.taken
	var refused []string
	for _, x := range p.refused {
		refused = append(refused, awssdk.ToString(x.Id))
	}
	slices.Sort(refused)
	return &partError{done: &done, refused: slices.Compact(refused), cause: p.cause}
}

// deregister deregisters targets. What AWS refuses is no target.
func deregister(ctx context.Context, c *api.Client, in *elbv2.DeregisterTargetsInput) error {
	_, err := targetCall(func(part []elbv2types.TargetDescription) error {
		one := *in
		one.Targets = part
		_, err := api.Call(ctx, c.ELBv2.DeregisterTargets, &one)
		return err
	}).all(in.Targets)
	return err
}

func targetCall(call func([]elbv2types.TargetDescription) error) partly[elbv2types.TargetDescription] {
	return partly[elbv2types.TargetDescription]{
		id: func(x elbv2types.TargetDescription) string { return awssdk.ToString(x.Id) }, code: badTarget, call: call,
	}
}
