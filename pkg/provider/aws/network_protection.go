// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// attrProtection is the attribute with which AWS does not delete a load balancer.
const attrProtection = "deletion_protection.enabled"

// deletion are the calls that delete a load balancer. Its protection goes first
// where an annotation says so, as nothing else reads that any more.
func (a *ask) deletion(lb *Network) []Call {
	out := []Call{&elbv2.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}}
	if !unprotects(a.item.Service) || lb.Attributes[attrProtection] == "false" {
		return out
	}
	return append([]Call{&elbv2.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: lb.LoadBalancerArn,
		Attributes:      []elbv2types.LoadBalancerAttribute{{Key: awssdk.String(attrProtection), Value: awssdk.String("false")}},
	}}, out...)
}

// unprotects reports whether an annotation switches the protection off.
func unprotects(svc *v1.Service) bool {
	if intent.AWSFormOf(svc) != intent.AWSExternal {
		return false
	}
	off := false
	for item := range strings.SplitSeq(written(svc, intent.KeyAWSAttributes), ",") {
		if key, value, _ := strings.Cut(item, "="); strings.TrimSpace(key) == attrProtection {
			off = strings.EqualFold(strings.TrimSpace(value), "false")
		}
	}
	return off
}

// protected says AWS's refusal to delete a load balancer by the attribute that is
// the cause. The code alone is that of other causes too.
func (p *pass) protected(err error, c Call, st *plan.Step) error {
	_, deletes := c.(*elbv2.DeleteLoadBalancerInput)
	if !deletes || api.Code(err) != "OperationNotPermitted" || !strings.Contains(strings.ToLower(api.Message(err)), "deletion protection") {
		return err
	}
	cure := "set that to false at AWS"
	for _, key := range st.Serves {
		if it := p.items[key]; it != nil && intent.AWSFormOf(it.Service) == intent.AWSExternal {
			cure = fmt.Sprintf("write %s=false in annotation %s, or %s", attrProtection, intent.KeyAWSAttributes, cure)
			break
		}
	}
	return api.Reworded(err, fmt.Sprintf("load balancer %s has deletion protection: AWS does not delete it while its attribute %s is true; %s", st.Target.Name, attrProtection, cure))
}
