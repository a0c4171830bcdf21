// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/smithy-go"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

type script = map[string][]http.HandlerFunc

func TestCallsWithoutAnswerAreSentAgainWhereThatIsSafe(t *testing.T) {
	ok := func(w http.ResponseWriter, r *http.Request) { says(r.PostFormValue("Action"), "")(w, r) }
	tests := map[string]struct {
		action string
		call   func(context.Context, *api.Client) error
		steps  []http.HandlerFunc
		sent   int
		kind   plan.Kind // 0: it succeeds
	}{
		"a read, twice lost": {"DescribeSubnets", describeSubnets, []http.HandlerFunc{hangUp, ec2Error(500, "InternalError", "x"), ok}, 3, 0},
		"a read, always lost": {
			"DescribeSubnets", describeSubnets, []http.HandlerFunc{hangUp}, 3, plan.Transient,
		},
		"a create that a name makes safe": {"CreateLoadBalancer", createBalancer, []http.HandlerFunc{hangUp, ok}, 2, 0},
		"a create that is not safe":       {"CreateSecurityGroup", createGroup, []http.HandlerFunc{hangUp, ok}, 1, plan.Transient},
		"what was refused is not":         {"CreateLoadBalancer", createBalancer, []http.HandlerFunc{elbError(400, "ValidationError", "no"), ok}, 1, plan.Invalid},
		"what came too fast, though it is not safe": {
			"CreateSecurityGroup", createGroup, []http.HandlerFunc{ec2Error(503, "RequestLimitExceeded", "slow"), ok}, 2, 0,
		},
		"an answer that is cut off": {"DescribeSubnets", describeSubnets, []http.HandlerFunc{cutOff, ok}, 2, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, script{tt.action: tt.steps})
			err := tt.call(t.Context(), client(t, s))
			if got := len(s.of(tt.action)); got != tt.sent {
				t.Errorf("sent %d times, want %d", got, tt.sent)
			}
			if (err == nil) != (tt.kind == 0) || err != nil && plan.KindOf(err) != tt.kind {
				t.Errorf("got %v, want kind %s", err, tt.kind)
			}
		})
	}
}

// cutOff begins an answer and does not end it.
func cutOff(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	says("DescribeSubnets", "")(w, r)
	panic(http.ErrAbortHandler)
}

func describeSubnets(ctx context.Context, c *api.Client) error {
	_, err := api.Call(ctx, c.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-1"}})
	return err
}

func createGroup(ctx context.Context, c *api.Client) error {
	_, err := api.Call(ctx, c.EC2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("k8s-elb-a1"), Description: aws.String("x"),
	})
	return err
}

func letIn(ctx context.Context, c *api.Client) error {
	_, err := api.Call(ctx, c.EC2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.String("sg-1")})
	return err
}

func createBalancer(ctx context.Context, c *api.Client) error {
	_, err := api.Call(ctx, c.ELBv2.CreateLoadBalancer, &elbv2.CreateLoadBalancerInput{Name: aws.String("a1")})
	return err
}

func TestThrottledCallsWaitForTheirTurn(t *testing.T) {
	s := serve(t, script{"CreateLoadBalancer": {elbError(400, "Throttling", "Rate exceeded")}})
	alone(t)
	limits := api.PublishedLimits()
	limits.BalancerWrite = api.Bucket{Size: 1000, Refill: 1000}
	setup := quick()
	setup.Limits = &limits
	c, err := api.New(t.Context(), config(s), setup)
	if err != nil {
		t.Fatal(err)
	}
	err = createBalancer(t.Context(), c)
	contains(t, err, "create load balancer a1: throttled: AWS takes no more such calls of this account for now (Throttling)")
	e, ok := errors.AsType[*plan.Error](err)
	if !ok || e.Kind != plan.Throttled || e.RetryAfter < time.Second || len(s.of("CreateLoadBalancer")) != 6 {
		t.Errorf("got %+v after %d calls", e, len(s.of("CreateLoadBalancer")))
	}
}

func TestRefusalsSayWhatWhyAndCure(t *testing.T) {
	const user = "arn:aws:sts::111122223333:assumed-role/fairlead/i-1"
	tests := map[string]struct {
		action string
		call   func(context.Context, *api.Client) error
		answer http.HandlerFunc
		kind   plan.Kind
		reason string
		want   string
	}{
		"denied, and EC2 says all": {
			"CreateSecurityGroup", createGroup,
			ec2Error(403, "UnauthorizedOperation", "You are not authorized to perform this operation. User: "+user+
				" is not authorized to perform: ec2:CreateSecurityGroup on resource: arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1"+
				" because no identity-based policy allows the ec2:CreateSecurityGroup action. Encoded authorization failure message: aBcD"),
			plan.Denied, "AWSDenied",
			"create security group k8s-elb-a1: denied: " + user + " lacks ec2:CreateSecurityGroup on arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1," +
				" because no identity-based policy allows the ec2:CreateSecurityGroup action;" +
				" grant ec2:CreateSecurityGroup on arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1; docs/aws.md has the whole policy",
		},
		"denied, and EC2 says a code alone": {
			"CreateSecurityGroup", createGroup,
			ec2Error(403, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: aBcD"),
			plan.Denied, "AWSDenied",
			"create security group k8s-elb-a1: denied: the identity lacks ec2:CreateSecurityGroup; grant ec2:CreateSecurityGroup; docs/aws.md has the whole policy",
		},
		"denied by a deny": {
			"CreateLoadBalancer", createBalancer,
			elbError(403, "AccessDenied", "User: "+user+" is not authorized to perform: elasticloadbalancing:AddTags on resource: *"+
				" with an explicit deny because of an explicit deny in a service control policy"),
			plan.Denied, "AWSDenied",
			"create load balancer a1: denied: " + user + " lacks elasticloadbalancing:AddTags on *, because of an explicit deny in a service control policy;" +
				" take that deny away; docs/aws.md has the whole policy",
		},
		"credentials that ended": {
			"DescribeSubnets", describeSubnets, ec2Error(401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
			plan.Denied, "AWSCredentials",
			"describe subnets: the credentials are refused: AuthFailure: AWS was not able to validate the provided access credentials; correct the credentials, or the region",
		},
		"a quota": {
			"CreateLoadBalancer", createBalancer, elbError(400, "TooManyLoadBalancers", "The quota of 50 is reached."),
			plan.Exhausted, "AWSQuotaExceeded",
			"create load balancer a1: a quota is used up: TooManyLoadBalancers: The quota of 50 is reached; ask AWS for a higher quota, or free some",
		},
		"a name that is taken": {
			"CreateSecurityGroup", createGroup, ec2Error(400, "InvalidGroup.Duplicate", "The security group already exists"),
			plan.Conflict, "AWSConflict",
			"create security group k8s-elb-a1: conflict: InvalidGroup.Duplicate: The security group already exists",
		},
		"a group in use": {
			"DeleteSecurityGroup", deleteGroup, ec2Error(400, "DependencyViolation", "resource sg-1 has a dependent object"),
			plan.Transient, api.ReasonSecurityGroupInUse,
			"delete security group sg-1: still in use: DependencyViolation: resource sg-1 has a dependent object",
		},
		"what is gone": {
			"DeleteSecurityGroup", deleteGroup, ec2Error(400, "InvalidGroup.NotFound", "The security group does not exist"),
			plan.Conflict, "AWSNotFound",
			"delete security group sg-1: not found: InvalidGroup.NotFound: The security group does not exist",
		},
		"a group that the user wrote": {
			"AuthorizeSecurityGroupIngress", letIn, ec2Error(400, "InvalidGroup.NotFound", "The security group 'sg-2' does not exist"),
			plan.Invalid, "AWSRefused",
			"authorize security group ingress sg-1: refused: InvalidGroup.NotFound: The security group 'sg-2' does not exist; correct the id of the security group",
		},
		"an id that the user wrote": {
			"DescribeSubnets", describeSubnets, ec2Error(400, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
			plan.Invalid, "AWSRefused",
			"describe subnets: refused: InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist; correct the id, ARN or name",
		},
		"a subnet that is full": {
			"CreateLoadBalancer", createBalancer, elbError(400, "InvalidSubnet", "Not enough IP space available in subnet-1"),
			plan.Invalid, "AWSRefused",
			"create load balancer a1: refused: InvalidSubnet: Not enough IP space available in subnet-1",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := client(t, serve(t, script{tt.action: {tt.answer}}))
			err := tt.call(t.Context(), c)
			e, ok := errors.AsType[*plan.Error](err)
			if !ok || e.Kind != tt.kind || e.Reason != tt.reason || err.Error() != tt.want {
				t.Errorf("got  %+v\n%v\nwant %s %s\n%s", e, err, tt.kind, tt.reason, tt.want)
			}
			if _, ok := errors.AsType[smithy.APIError](err); !ok || api.Code(err) == "" {
				t.Error("the SDK's error is lost")
			}
		})
	}
}

func deleteGroup(ctx context.Context, c *api.Client) error {
	_, err := api.Call(ctx, c.EC2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: aws.String("sg-1")})
	return err
}

func TestSentencesNameTheObjectOfAnARN(t *testing.T) {
	s := serve(t, script{"DeleteTargetGroup": {elbError(400, "ResourceInUse", "in use")}, "DeleteLoadBalancerListeners": {elbError(400, "LoadBalancerNotFound", "no")}})
	c := client(t, s)
	_, err := api.Call(t.Context(), c.ELBv2.DeleteTargetGroup, &elbv2.DeleteTargetGroupInput{
		TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/k8s-shop-web-1/abc"),
	})
	contains(t, err, "delete target group targetgroup/k8s-shop-web-1/abc: still in use")
	_, err = api.Call(t.Context(), c.ELB.DeleteLoadBalancerListeners, &elb.DeleteLoadBalancerListenersInput{
		LoadBalancerName: aws.String("a1"), LoadBalancerPorts: []int32{80},
	})
	contains(t, err, "delete load balancer listeners a1: not found")
	if !api.NotFound(err) {
		t.Errorf("%v is not found", err)
	}
}

func TestACallEndsWithItsContextAndWithItsTime(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s := serve(t, script{"CreateSecurityGroup": {hang}})
	alone(t)
	setup := quick()
	setup.Times.Call = 50 * time.Millisecond
	c, err := api.New(t.Context(), config(s), setup)
	if err != nil {
		t.Fatal(err)
	}
	err = createGroup(t.Context(), c)
	contains(t, err, "create security group k8s-elb-a1: no answer in time")
	if plan.KindOf(err) != plan.Transient {
		t.Errorf("got %s", plan.KindOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := createGroup(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestInputThatLacksSomethingIsNotSent(t *testing.T) {
	s := serve(t, script{})
	c := client(t, s)
	_, err := api.Call(t.Context(), c.ELBv2.DeleteTargetGroup, &elbv2.DeleteTargetGroupInput{})
	if plan.KindOf(err) != plan.Invalid || len(s.of("DeleteTargetGroup")) > 0 {
		t.Errorf("got %v", err)
	}
}
