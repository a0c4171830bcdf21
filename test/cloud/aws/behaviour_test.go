// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

func TestReadsLagBehindWrites(t *testing.T) {
	r := newRig(t, awssim.Options{Lag: awssim.Lag{EC2: time.Minute, ELB: time.Minute}}, awssim.SiteOptions{})
	machines := func() int {
		return len(must(r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{}))(t).Reservations)
	}
	if n := len(must(r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{}))(t).Subnets); n != 6 || machines() != 0 {
		t.Errorf("at first there are %d subnets and %d machines, want 6 and 0", n, machines())
	}
	r.cloud.Advance(time.Minute)
	if n := machines(); n != 3 {
		t.Errorf("after the lag there are %d machines, want 3", n)
	}
	g, lb := r.group("web"), r.balancer("web")
	look := func() (group, balancer error) {
		_, group = r.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{g}})
		_, balancer = r.elbv2.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"web"}})
		return group, balancer
	}
	group, balancer := look()
	refused(t, group, "InvalidGroup.NotFound")
	refused(t, balancer, "LoadBalancerNotFound")
	_, err := r.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d"), VpcId: &r.site.VPC})
	refused(t, err, "InvalidGroup.Duplicate")
	r.cloud.Advance(time.Minute)
	if group, balancer = look(); group != nil || balancer != nil {
		t.Errorf("after the lag: %v, %v", group, balancer)
	}
	if err := r.authorize(g, tcp(80, "10.0.0.0/8")); err != nil {
		t.Fatal(err)
	}
	if n := len(r.permissions(g)); n != 0 {
		t.Errorf("a new rule is seen at once: %d", n)
	}
	must(r.elbv2.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &lb}))(t)
	if _, balancer = look(); balancer != nil {
		t.Errorf("what is deleted is gone at once: %v", balancer)
	}
	r.cloud.Advance(time.Minute)
	_, balancer = look()
	refused(t, balancer, "LoadBalancerNotFound")
	if n := len(r.permissions(g)); n != 1 {
		t.Errorf("after the lag there are %d permissions, want 1", n)
	}
}

func TestCallsThatComeTooFastAreRefused(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	r.cloud.SetThrottle(awssim.Throttle{
		Reads: sim.Bucket{Size: 2, Refill: 1}, UnfilteredReads: sim.Bucket{Size: 1, Refill: 1},
		BalancerReads: sim.Bucket{Size: 1, Refill: 1},
	})
	one := func() error {
		_, err := r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: r.site.Public})
		return err
	}
	all := func() error {
		_, err := r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
		return err
	}
	balancers := func() error {
		_, err := r.elbv2.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{})
		return err
	}
	groups := func() error {
		_, err := r.elbv2.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{})
		return err
	}
	for _, call := range []func() error{one, one, all, balancers} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, one(), "RequestLimitExceeded")
	refused(t, all(), "RequestLimitExceeded")
	refused(t, balancers(), "Throttling")
	refused(t, groups(), "Throttling")
	n := r.cloud.Counts()
	if n.Refused["ec2.DescribeSubnets"] != 2 || sim.Total(n.Refused) != 4 || sim.Total(n.Failed) != 0 {
		t.Errorf("the counts are %+v", n)
	}
	r.cloud.Advance(time.Second)
	for _, call := range []func() error{one, all, balancers} {
		if err := call(); err != nil {
			t.Errorf("after a second: %v", err)
		}
	}
}

func TestFaultsStrikeBeforeOrAfterTheCommit(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(awssim.Call) *awssim.Fault
		done  bool
		code  string
	}{
		"cut before": {func(awssim.Call) *awssim.Fault { return awssim.Drop(awssim.Before) }, false, ""},
		"cut after":  {func(awssim.Call) *awssim.Fault { return awssim.Drop(awssim.After) }, true, ""},
		"refused":    {func(awssim.Call) *awssim.Fault { return awssim.Refuse(http.StatusInternalServerError, "InternalError") }, false, "InternalError"},
		"denied":     {awssim.Denied, false, "UnauthorizedOperation"},
		"throttled":  {awssim.Throttled, false, "RequestLimitExceeded"},
		"a lost answer": {func(awssim.Call) *awssim.Fault {
			return &awssim.Fault{When: awssim.After, Status: 503, Code: "Unavailable"}
		}, true, "Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
			r.cloud.SetFault(func(call awssim.Call) *awssim.Fault {
				if call.Write == 1 && call.API() == "ec2.CreateSecurityGroup" && call.Form.Get("GroupName") == "web" {
					return c.fault(call)
				}
				return nil
			})
			in := &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d"), VpcId: &r.site.VPC}
			_, err := r.ec2.CreateSecurityGroup(t.Context(), in)
			if c.code != "" {
				refused(t, err, c.code)
			} else if err == nil {
				t.Error("the call was answered")
			}
			_, err = r.ec2.CreateSecurityGroup(t.Context(), in)
			if c.done {
				refused(t, err, "InvalidGroup.Duplicate")
			} else if err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

func TestHooksRunAroundCommits(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	var mu sync.Mutex
	var seen []string
	r.cloud.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, map[sim.Moment]string{sim.BeforeCommit: "before ", sim.AfterCommit: "after "}[m]+call.API())
		if len(seen) == 2 {
			return sim.HangUp
		}
		return sim.Proceed
	})
	in := &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d"), VpcId: &r.site.VPC}
	if _, err := r.ec2.CreateSecurityGroup(t.Context(), in); err == nil {
		t.Error("the call was answered")
	}
	_, err := r.ec2.CreateSecurityGroup(t.Context(), in)
	refused(t, err, "InvalidGroup.Duplicate")
	want := "before ec2.CreateSecurityGroup,after ec2.CreateSecurityGroup,before ec2.CreateSecurityGroup"
	if got := strings.Join(seen, ","); got != want {
		t.Errorf("the hook saw %s", got)
	}
}

func TestLatencyIsByAction(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	r.cloud.SetLatency(awssim.Latencies{Action: map[string]time.Duration{"elbv2.CreateLoadBalancer": 50 * time.Millisecond}})
	r.balancer("web")
	r.group("web")
	calls := r.cloud.Calls()
	if calls[0].Took < 50*time.Millisecond || calls[0].Status != http.StatusOK || calls[1].Took >= 50*time.Millisecond {
		t.Errorf("the calls took %s and %s", calls[0].Took, calls[1].Took)
	}
}

func TestWhatIsAppliedBehindIsNotCounted(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	lb := r.balancer("web")
	r.cloud.ResetCalls()
	if err := r.cloud.Apply("elbv2.DeleteLoadBalancer", url.Values{"LoadBalancerArn": {lb}}); err != nil {
		t.Fatal(err)
	}
	err := r.cloud.Apply("elbv2.DescribeLoadBalancers", url.Values{"Names.member.1": {"web"}})
	if err == nil || !strings.HasPrefix(err.Error(), "LoadBalancerNotFound: ") {
		t.Errorf("the load balancer is still there: %v", err)
	}
	if n := len(r.cloud.Calls()); n != 0 {
		t.Errorf("%d calls are counted", n)
	}
}

func TestRefusesWhatIsNotSignedForIt(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	c := config(r.url)
	c.Region = "eu-west-1"
	_, err := ec2.NewFromConfig(c).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	refused(t, err, "SignatureDoesNotMatch")
	c.Region, c.Credentials = awssim.DefaultRegion, aws.AnonymousCredentials{}
	_, err = ec2.NewFromConfig(c).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	refused(t, err, "MissingAuthenticationToken")
	_, err = r.ec2.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
	refused(t, err, "InvalidAction")
	_, err = r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{DryRun: aws.Bool(true)})
	refused(t, err, "DryRunOperation")
	_, err = r.ec2.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{CustomerOwnedIpv4Pool: aws.String("p")})
	refused(t, err, "UnknownParameter")
}

func TestIdentities(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	who := must(r.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t)
	if *who.Account != awssim.DefaultAccount {
		t.Errorf("the account is %s", *who.Account)
	}
	role := stscreds.NewAssumeRoleProvider(r.sts, "arn:aws:iam::123456789012:role/ccm", func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("outside")
	})
	c := config(r.url)
	c.Credentials = aws.NewCredentialsCache(role)
	must(ec2.NewFromConfig(c).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{}))(t)
	calls := r.cloud.Calls()
	assumed, used := calls[len(calls)-2], calls[len(calls)-1]
	if assumed.API() != "sts.AssumeRole" || assumed.Form.Get("ExternalId") != "outside" || !strings.HasPrefix(used.AccessKey, "ASIA") {
		t.Errorf("the last calls are %+v and %+v", assumed, used)
	}
	meta := imds.New(imds.Options{Endpoint: r.url})
	region := must(meta.GetRegion(t.Context(), &imds.GetRegionInput{}))(t)
	if region.Region != awssim.DefaultRegion {
		t.Errorf("the region is %s", region.Region)
	}
	node := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = meta })
	if got := must(node.Retrieve(t.Context()))(t); got.AccessKeyID != "ASIAMETADATA" {
		t.Errorf("the key is %s", got.AccessKeyID)
	}
}

func TestTheStandardConfigurationReachesIt(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", awssim.DefaultRegion)
	t.Setenv("AWS_ENDPOINT_URL", r.url)
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	c := must(awsconfig.LoadDefaultConfig(t.Context()))(t)
	must(elb.NewFromConfig(c).DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{}))(t)
}
