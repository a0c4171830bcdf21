// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// deletion are the calls that delete a load balancer. Its protection goes first
// where an annotation says so, as nothing else reads that any more.
func (a *ask) deletion(lb *Network) []Call {
	out := []Call{&elbv2.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}}
	if !intent.AWSUnprotects(a.item.Service) || lb.Attributes[intent.AWSProtection] == "false" {
		return out
	}
	return append([]Call{&elbv2.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: lb.LoadBalancerArn,
		Attributes:      []elbv2types.LoadBalancerAttribute{{Key: awssdk.String(intent.AWSProtection), Value: awssdk.String("false")}},
	}}, out...)
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
			cure = fmt.Sprintf("write %s=false in annotation %s, or %s", intent.AWSProtection, intent.KeyAWSAttributes, cure)
			break
		}
	}
	return api.Reworded(err, fmt.Sprintf("load balancer %s has deletion protection: AWS does not delete it while its attribute %s is true; %s", st.Target.Name, intent.AWSProtection, cure))
}
