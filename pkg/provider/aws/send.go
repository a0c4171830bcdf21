// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// send makes a call, and returns what AWS answered. What is to be deleted and
// is not there is deleted.
func send(ctx context.Context, c *api.Client, call Call) (any, error) {
	switch in := call.(type) {
	case *elbv2.RegisterTargetsInput:
		return nil, register(ctx, c, in)
	case *elbv2.DeleteLoadBalancerInput, *elbv2.DeleteListenerInput, *elbv2.DeleteTargetGroupInput, *elbv2.DeregisterTargetsInput:
		return nil, gone(deleteNetwork(ctx, c, in))
	case *ec2.CreateSecurityGroupInput:
		return api.Call(ctx, c.EC2.CreateSecurityGroup, in)
	case *ec2.DeleteSecurityGroupInput:
		_, err := api.Call(ctx, c.EC2.DeleteSecurityGroup, in)
		return nil, gone(err)
	case *ec2.AuthorizeSecurityGroupIngressInput:
		_, err := api.Call(ctx, c.EC2.AuthorizeSecurityGroupIngress, in)
		return nil, err
	case *ec2.RevokeSecurityGroupIngressInput:
		_, err := api.Call(ctx, c.EC2.RevokeSecurityGroupIngress, in)
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

// gone takes what is not there for deleted.
func gone(err error) error {
	if api.NotFound(err) {
		return nil
	}
	return err
}

// steadyTargets is how many targets a call may have that AWS takes at all times.
// It names no limit, but at times refuses more, until there are less in a call:
// kubernetes/kubernetes#101592, kubernetes-sigs/aws-load-balancer-controller#1342.
const steadyTargets = 200

// tooLarge reports whether a call was refused that fewer targets may be let in
// with.
func tooLarge(err error, targets int) bool {
	if targets <= steadyTargets || api.Code(err) == "" {
		return false
	}
	kind := plan.KindOf(err)
	return kind == plan.Transient || kind == plan.Throttled || api.Code(err) == "ValidationError"
}

// register registers targets. AWS refuses all when it refuses one, such as an
// instance that it is just ending: then halves are tried until the others are
// in. It fails when none is.
func register(ctx context.Context, c *api.Client, in *elbv2.RegisterTargetsInput) error {
	_, err := api.Call(ctx, c.ELBv2.RegisterTargets, in)
	switch {
	case api.Code(err) == "InvalidTarget" && len(in.Targets) > 1:
		return registerHalves(ctx, c, in, err)
	case tooLarge(err, len(in.Targets)):
		for chunk := range slices.Chunk(in.Targets, steadyTargets) {
			part := *in
			part.Targets = chunk
			if err := register(ctx, c, &part); err != nil {
				return err
			}
		}
		return nil
	}
	return err
}

// registerHalves registers all targets but those that AWS refuses. refusal is
// what it said of all.
func registerHalves(ctx context.Context, c *api.Client, in *elbv2.RegisterTargetsInput, refusal error) error {
	mid := len(in.Targets) / 2 //nolint:mnd // halves
	var errs int
	for _, half := range [][]elbv2types.TargetDescription{in.Targets[:mid], in.Targets[mid:]} {
		part := *in
		part.Targets = slices.Clone(half)
		err := register(ctx, c, &part)
		switch {
		case err == nil:
		case api.Code(err) == "InvalidTarget":
			errs++
			klog.FromContext(ctx).Error(err, "Targets are left out", "targets", targetNames(targetsIn(half)))
		default:
			return err
		}
	}
	if errs > 1 {
		return refusal
	}
	return nil
}

// deregister deregisters targets.
func deregister(ctx context.Context, c *api.Client, in *elbv2.DeregisterTargetsInput) error {
	_, err := api.Call(ctx, c.ELBv2.DeregisterTargets, in)
	if !tooLarge(err, len(in.Targets)) {
		return err
	}
	for chunk := range slices.Chunk(in.Targets, steadyTargets) {
		part := *in
		part.Targets = chunk
		if _, err := api.Call(ctx, c.ELBv2.DeregisterTargets, &part); err != nil {
			return err
		}
	}
	return nil
}

func targetsIn(list []elbv2types.TargetDescription) []Target {
	out := make([]Target, len(list))
	for i := range list {
		out[i] = targetOf(list[i])
	}
	return out
}
