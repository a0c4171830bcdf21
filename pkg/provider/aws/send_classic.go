// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// sendClassic makes a call of classic load balancers; false for any other.
func sendClassic(ctx context.Context, c *api.Client, call Call) (answer any, ok bool, err error) {
	switch in := call.(type) {
	case *elb.CreateLoadBalancerInput:
		answer, err = api.Call(ctx, c.ELB.CreateLoadBalancer, in)
		return answer, true, err
	case *elb.DeleteLoadBalancerInput:
		_, err = api.Call(ctx, c.ELB.DeleteLoadBalancer, in)
		return nil, true, err
	case *elb.RegisterInstancesWithLoadBalancerInput:
		return nil, true, registerClassic(ctx, c, in)
	case *elb.DeregisterInstancesFromLoadBalancerInput:
		return nil, true, deregisterClassic(ctx, c, in)
	}
	ok, err = sendClassicChange(ctx, c, call)
	return nil, ok, err
}

// sendClassicChange makes the calls whose answers tell nothing.
func sendClassicChange(ctx context.Context, c *api.Client, call Call) (ok bool, err error) {
	switch in := call.(type) {
	case *elb.ConfigureHealthCheckInput:
		_, err = api.Call(ctx, c.ELB.ConfigureHealthCheck, in)
	case *elb.ModifyLoadBalancerAttributesInput:
		_, err = api.Call(ctx, c.ELB.ModifyLoadBalancerAttributes, in)
	case *elb.ApplySecurityGroupsToLoadBalancerInput:
		_, err = api.Call(ctx, c.ELB.ApplySecurityGroupsToLoadBalancer, in)
	case *elb.AttachLoadBalancerToSubnetsInput:
		_, err = api.Call(ctx, c.ELB.AttachLoadBalancerToSubnets, in)
	case *elb.DetachLoadBalancerFromSubnetsInput:
		_, err = api.Call(ctx, c.ELB.DetachLoadBalancerFromSubnets, in)
	case *elb.AddTagsInput:
		_, err = api.Call(ctx, c.ELB.AddTags, in)
	case *elb.RemoveTagsInput:
		_, err = api.Call(ctx, c.ELB.RemoveTags, in)
	case *elb.CreateLoadBalancerListenersInput:
		_, err = api.Call(ctx, c.ELB.CreateLoadBalancerListeners, in)
	case *elb.DeleteLoadBalancerListenersInput:
		_, err = api.Call(ctx, c.ELB.DeleteLoadBalancerListeners, in)
	case *elb.SetLoadBalancerListenerSSLCertificateInput:
		_, err = api.Call(ctx, c.ELB.SetLoadBalancerListenerSSLCertificate, in)
	case *elb.CreateLoadBalancerPolicyInput:
		_, err = api.Call(ctx, c.ELB.CreateLoadBalancerPolicy, in)
		if api.Code(err) == "DuplicatePolicyName" {
			err = nil // its name says all that is in it
		}
	case *elb.SetLoadBalancerPoliciesOfListenerInput:
		_, err = api.Call(ctx, c.ELB.SetLoadBalancerPoliciesOfListener, in)
	case *elb.SetLoadBalancerPoliciesForBackendServerInput:
		_, err = api.Call(ctx, c.ELB.SetLoadBalancerPoliciesForBackendServer, in)
	default:
		return false, nil
	}
	return true, err
}

// badInstance is the code for an instance that cannot be registered, or that
// AWS does not know any more.
const badInstance = "InvalidInstance"

// registerClassic registers instances, but for those that AWS refuses.
func registerClassic(ctx context.Context, c *api.Client, in *elb.RegisterInstancesWithLoadBalancerInput) error {
	p, err := classicCall(func(part []elbtypes.Instance) error {
		one := *in
		one.Instances = part
		_, err := api.Call(ctx, c.ELB.RegisterInstancesWithLoadBalancer, &one)
		return err
	}).all(in.Instances)
	if err != nil || len(p.refused) == 0 {
		return err
	}
	done := *in
	done.Instances = p.taken
	ids := make([]string, len(p.refused))
	for i, x := range p.refused {
		ids[i] = classicID(x)
	}
	return &partError{done: &done, refused: ids, cause: p.cause}
}

// deregisterClassic deregisters instances. What AWS does not know is gone.
func deregisterClassic(ctx context.Context, c *api.Client, in *elb.DeregisterInstancesFromLoadBalancerInput) error {
	_, err := classicCall(func(part []elbtypes.Instance) error {
		one := *in
		one.Instances = part
		_, err := api.Call(ctx, c.ELB.DeregisterInstancesFromLoadBalancer, &one)
		return err
	}).all(in.Instances)
	return err
}

func classicID(x elbtypes.Instance) string { return awssdk.ToString(x.InstanceId) }

func classicCall(call func([]elbtypes.Instance) error) partly[elbtypes.Instance] {
	return partly[elbtypes.Instance]{id: classicID, code: badInstance, call: call}
}
