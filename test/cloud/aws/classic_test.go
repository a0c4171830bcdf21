// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/7342f8ec"

// forward is a listener from one TCP port to another.
func forward(from, to int32) types.Listener {
	return types.Listener{
		LoadBalancerPort: from, InstancePort: &to, Protocol: aws.String("tcp"), InstanceProtocol: aws.String("tcp"),
	}
}

// classicInput is a create in the public subnets.
func (r *rig) classicInput(name string) *elb.CreateLoadBalancerInput {
	return &elb.CreateLoadBalancerInput{
		LoadBalancerName: &name, Listeners: []types.Listener{forward(80, 30080)}, Subnets: r.site.Public,
	}
}

// classic is a classic load balancer as it is described.
func (r *rig) classic(name string) types.LoadBalancerDescription {
	r.t.Helper()
	return must(r.elb.DescribeLoadBalancers(r.t.Context(), &elb.DescribeLoadBalancersInput{
		LoadBalancerNames: []string{name},
	}))(r.t).LoadBalancerDescriptions[0]
}

func TestAClassicLoadBalancerComesAndGoes(t *testing.T) {
	r := newRig(t, awssim.Options{Timing: awssim.Timing{Linger: time.Minute}}, awssim.SiteOptions{})
	g := r.group("lb")
	in := r.classicInput("web")
	in.SecurityGroups = []string{g}
	for range 2 {
		must(r.elb.CreateLoadBalancer(t.Context(), in))(t)
	}
	b := r.classic("web")
	if *b.HealthCheck.Target != "TCP:30080" || *b.HealthCheck.Interval != 30 || *b.HealthCheck.HealthyThreshold != 10 ||
		*b.ListenerDescriptions[0].Listener.Protocol != "TCP" || *b.Scheme != "internet-facing" || *b.VPCId != r.site.VPC ||
		!strings.HasPrefix(*b.DNSName, "web-") || !strings.HasSuffix(*b.DNSName, ".us-east-1.elb.amazonaws.com") ||
		len(b.AvailabilityZones) != 3 || *b.SourceSecurityGroup.GroupName != "lb" {
		t.Errorf("it is %+v", b)
	}
	in.Subnets = in.Subnets[1:]
	_, err := r.elb.CreateLoadBalancer(t.Context(), in)
	refused(t, err, "DuplicateLoadBalancerName")
	refused(t, r.deleteGroup(g), "DependencyViolation")
	for range 2 {
		must(r.elb.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerName: aws.String("web")}))(t)
	}
	_, err = r.elb.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{LoadBalancerNames: []string{"web"}})
	refused(t, err, "LoadBalancerNotFound")
	refused(t, r.deleteGroup(g), "DependencyViolation")
	r.cloud.Advance(time.Minute)
	if err := r.deleteGroup(g); err != nil {
		t.Error(err)
	}
}

func TestClassicTargetsAreAsHealthyAsTheRulesLet(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	must(r.elb.CreateLoadBalancer(t.Context(), r.classicInput("web")))(t)
	var instances []types.Instance
	for _, id := range r.nodes {
		instances = append(instances, types.Instance{InstanceId: &id})
	}
	register := func(instances ...types.Instance) error {
		_, err := r.elb.RegisterInstancesWithLoadBalancer(t.Context(), &elb.RegisterInstancesWithLoadBalancerInput{
			LoadBalancerName: aws.String("web"), Instances: instances,
		})
		return err
	}
	refused(t, register(instances[0], types.Instance{InstanceId: aws.String("i-0123")}), "InvalidInstance")
	for range 2 {
		if err := register(instances...); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.classic("web").Instances); n != 3 {
		t.Errorf("%d machines, want 3", n)
	}
	states := func() string {
		var all []string
		for _, s := range must(r.elb.DescribeInstanceHealth(t.Context(), &elb.DescribeInstanceHealthInput{LoadBalancerName: aws.String("web")}))(t).InstanceStates {
			all = append(all, *s.State)
		}
		slices.Sort(all)
		return fmt.Sprint(all)
	}
	if got := states(); got != "[OutOfService OutOfService OutOfService]" {
		t.Errorf("with no rule: %s", got)
	}
	if err := r.open(r.site.NodeGroup, 30080, 30080); err != nil {
		t.Fatal(err)
	}
	if err := r.cloud.SetPower(r.nodes[0], "stopped"); err != nil {
		t.Fatal(err)
	}
	if got := states(); got != "[InService InService OutOfService]" {
		t.Errorf("with a rule and one stopped: %s", got)
	}
	must(r.elb.DeregisterInstancesFromLoadBalancer(t.Context(), &elb.DeregisterInstancesFromLoadBalancerInput{
		LoadBalancerName: aws.String("web"), Instances: instances[:1],
	}))(t)
	if got := states(); got != "[InService InService]" {
		t.Errorf("when one left: %s", got)
	}
}

func TestPartsOfAClassicLoadBalancer(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	web := aws.String("web")
	in := r.classicInput("web")
	in.Scheme, in.Subnets = aws.String("internal"), r.site.Private[:2]
	must(r.elb.CreateLoadBalancer(t.Context(), in))(t)
	must(r.elb.AttachLoadBalancerToSubnets(t.Context(), &elb.AttachLoadBalancerToSubnetsInput{LoadBalancerName: web, Subnets: r.site.Private[2:]}))(t)
	must(r.elb.DetachLoadBalancerFromSubnets(t.Context(), &elb.DetachLoadBalancerFromSubnetsInput{LoadBalancerName: web, Subnets: r.site.Private[:1]}))(t)
	g := r.group("new")
	must(r.elb.ApplySecurityGroupsToLoadBalancer(t.Context(), &elb.ApplySecurityGroupsToLoadBalancerInput{LoadBalancerName: web, SecurityGroups: []string{g}}))(t)
	tls := forward(443, 30443)
	tls.Protocol, tls.SSLCertificateId = aws.String("ssl"), aws.String(certificate)
	listeners := &elb.CreateLoadBalancerListenersInput{LoadBalancerName: web, Listeners: []types.Listener{tls, forward(80, 30080)}}
	for range 2 {
		must(r.elb.CreateLoadBalancerListeners(t.Context(), listeners))(t)
	}
	listeners.Listeners = []types.Listener{forward(443, 30443)}
	_, err := r.elb.CreateLoadBalancerListeners(t.Context(), listeners)
	refused(t, err, "DuplicateListener")
	must(r.elb.ConfigureHealthCheck(t.Context(), &elb.ConfigureHealthCheckInput{LoadBalancerName: web, HealthCheck: &types.HealthCheck{
		Target: aws.String("http:31000/healthz"), Interval: aws.Int32(10), Timeout: aws.Int32(5),
		HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(6),
	}}))(t)
	must(r.elb.SetLoadBalancerListenerSSLCertificate(t.Context(), &elb.SetLoadBalancerListenerSSLCertificateInput{
		LoadBalancerName: web, LoadBalancerPort: 443, SSLCertificateId: aws.String(certificate + "2"),
	}))(t)
	b := r.classic("web")
	if !strings.HasPrefix(*b.DNSName, "internal-web-") || len(b.Subnets) != 2 || b.SecurityGroups[0] != g ||
		*b.HealthCheck.Target != "HTTP:31000/healthz" || len(b.ListenerDescriptions) != 2 ||
		*b.ListenerDescriptions[1].Listener.SSLCertificateId != certificate+"2" ||
		b.ListenerDescriptions[1].PolicyNames[0] != "ELBSecurityPolicy-2016-08" {
		t.Errorf("it is %+v", b)
	}
	must(r.elb.DeleteLoadBalancerListeners(t.Context(), &elb.DeleteLoadBalancerListenersInput{LoadBalancerName: web, LoadBalancerPorts: []int32{443, 444}}))(t)
	if n := len(r.classic("web").ListenerDescriptions); n != 1 {
		t.Errorf("%d listeners, want 1", n)
	}
}

func TestPoliciesOfAClassicLoadBalancer(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	web := aws.String("web")
	in := r.classicInput("web")
	in.Listeners[0].Protocol, in.Listeners[0].SSLCertificateId = aws.String("SSL"), aws.String(certificate)
	must(r.elb.CreateLoadBalancer(t.Context(), in))(t)
	policy := func(name, kind, key, value string) error {
		_, err := r.elb.CreateLoadBalancerPolicy(t.Context(), &elb.CreateLoadBalancerPolicyInput{
			LoadBalancerName: web, PolicyName: &name, PolicyTypeName: &kind,
			PolicyAttributes: []types.PolicyAttribute{{AttributeName: &key, AttributeValue: &value}},
		})
		return err
	}
	if err := policy("proxy", "ProxyProtocolPolicyType", "ProxyProtocol", "true"); err != nil {
		t.Fatal(err)
	}
	refused(t, policy("proxy", "ProxyProtocolPolicyType", "ProxyProtocol", "true"), "DuplicatePolicyName")
	refused(t, policy("x", "NoSuchType", "ProxyProtocol", "true"), "PolicyTypeNotFound")
	if err := policy("tls", "SSLNegotiationPolicyType", "Reference-Security-Policy", "ELBSecurityPolicy-TLS-1-2-2017-01"); err != nil {
		t.Fatal(err)
	}
	backend := func(port int32, names ...string) error {
		_, err := r.elb.SetLoadBalancerPoliciesForBackendServer(t.Context(), &elb.SetLoadBalancerPoliciesForBackendServerInput{
			LoadBalancerName: web, InstancePort: &port, PolicyNames: names,
		})
		return err
	}
	err := backend(1, "proxy")
	refused(t, err, "InvalidConfigurationRequest")
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusConflict {
		t.Errorf("the status of %v is not 409", err)
	}
	refused(t, backend(30080, "none"), "PolicyNotFound")
	refused(t, backend(30080, "tls"), "InvalidConfigurationRequest")
	if err := backend(30080, "proxy"); err != nil {
		t.Fatal(err)
	}
	must(r.elb.SetLoadBalancerPoliciesOfListener(t.Context(), &elb.SetLoadBalancerPoliciesOfListenerInput{
		LoadBalancerName: web, LoadBalancerPort: 80, PolicyNames: []string{"tls"},
	}))(t)
	b := r.classic("web")
	if len(b.Policies.OtherPolicies) != 3 || b.BackendServerDescriptions[0].PolicyNames[0] != "proxy" ||
		!slices.Equal(b.ListenerDescriptions[0].PolicyNames, []string{"tls"}) {
		t.Errorf("it is %+v", b)
	}
	remove := func() error {
		_, err := r.elb.DeleteLoadBalancerPolicy(t.Context(), &elb.DeleteLoadBalancerPolicyInput{LoadBalancerName: web, PolicyName: aws.String("proxy")})
		return err
	}
	refused(t, remove(), "InvalidConfigurationRequest")
	if err := backend(30080, []string{}...); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	described := must(r.elb.DescribeLoadBalancerPolicies(t.Context(), &elb.DescribeLoadBalancerPoliciesInput{LoadBalancerName: web, PolicyNames: []string{"tls"}}))(t)
	if a := described.PolicyDescriptions[0].PolicyAttributeDescriptions[0]; *a.AttributeValue != "ELBSecurityPolicy-TLS-1-2-2017-01" {
		t.Errorf("the policy is %+v", described.PolicyDescriptions)
	}
}

func TestAttributesAndTagsOfAClassicLoadBalancer(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	web := aws.String("web")
	in := r.classicInput("web")
	in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}
	must(r.elb.CreateLoadBalancer(t.Context(), in))(t)
	must(r.elb.ModifyLoadBalancerAttributes(t.Context(), &elb.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: web, LoadBalancerAttributes: &types.LoadBalancerAttributes{
			AccessLog:              &types.AccessLog{Enabled: true, S3BucketName: aws.String("logs"), EmitInterval: aws.Int32(5)},
			ConnectionDraining:     &types.ConnectionDraining{Enabled: true, Timeout: aws.Int32(30)},
			ConnectionSettings:     &types.ConnectionSettings{IdleTimeout: aws.Int32(10)},
			CrossZoneLoadBalancing: &types.CrossZoneLoadBalancing{Enabled: true},
		},
	}))(t)
	got := must(r.elb.DescribeLoadBalancerAttributes(t.Context(), &elb.DescribeLoadBalancerAttributesInput{LoadBalancerName: web}))(t).LoadBalancerAttributes
	if !got.AccessLog.Enabled || *got.AccessLog.S3BucketName != "logs" || *got.ConnectionDraining.Timeout != 30 ||
		*got.ConnectionSettings.IdleTimeout != 10 || !got.CrossZoneLoadBalancing.Enabled || len(got.AdditionalAttributes) != 1 {
		t.Errorf("the attributes are %+v", got)
	}
	_, err := r.elb.ModifyLoadBalancerAttributes(t.Context(), &elb.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: web, LoadBalancerAttributes: &types.LoadBalancerAttributes{AccessLog: &types.AccessLog{Enabled: true}},
	})
	refused(t, err, "InvalidConfigurationRequest")
	must(r.elb.AddTags(t.Context(), &elb.AddTagsInput{
		LoadBalancerNames: []string{"web"}, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("")}},
	}))(t)
	must(r.elb.RemoveTags(t.Context(), &elb.RemoveTagsInput{LoadBalancerNames: []string{"web"}, Tags: []types.TagKeyOnly{{Key: aws.String("a")}}}))(t)
	tags := must(r.elb.DescribeTags(t.Context(), &elb.DescribeTagsInput{LoadBalancerNames: []string{"web"}}))(t).TagDescriptions[0].Tags
	if len(tags) != 1 || *tags[0].Key != "b" || *tags[0].Value != "" {
		t.Errorf("the tags are %+v", tags)
	}
}

func TestRefusesClassicLoadBalancersThatCannotBe(t *testing.T) {
	r := newRig(t, awssim.Options{Limits: awssim.Limits{ClassicLoadBalancers: 1}}, awssim.SiteOptions{})
	must(r.elb.CreateLoadBalancer(t.Context(), r.classicInput("first")))(t)
	for name, c := range map[string]struct {
		change func(*elb.CreateLoadBalancerInput)
		code   string
	}{
		"one too many":        {func(*elb.CreateLoadBalancerInput) {}, "TooManyLoadBalancers"},
		"no listener":         {func(in *elb.CreateLoadBalancerInput) { in.Listeners = []types.Listener{} }, "ValidationError"},
		"UDP":                 {func(in *elb.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("udp") }, "UnsupportedProtocol"},
		"mixed layers":        {func(in *elb.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("http") }, "InvalidConfigurationRequest"},
		"TLS with none":       {func(in *elb.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("ssl") }, "CertificateNotFound"},
		"another scheme":      {func(in *elb.CreateLoadBalancerInput) { in.Scheme = aws.String("public") }, "InvalidScheme"},
		"a subnet of no one":  {func(in *elb.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-0"} }, "SubnetNotFound"},
		"two of a zone":       {func(in *elb.CreateLoadBalancerInput) { in.Subnets = []string{r.site.Public[0], r.site.Private[0]} }, "InvalidConfigurationRequest"},
		"a group of no one":   {func(in *elb.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-0"} }, "InvalidSecurityGroup"},
		"a name of underline": {func(in *elb.CreateLoadBalancerInput) { in.LoadBalancerName = aws.String("a_b") }, "ValidationError"},
	} {
		t.Run(name, func(t *testing.T) {
			in := r.classicInput("second")
			c.change(in)
			_, err := r.elb.CreateLoadBalancer(t.Context(), in)
			refused(t, err, c.code)
		})
	}
	for name, target := range map[string]string{"no port": "TCP", "a path over TCP": "TCP:80/x", "no path": "HTTP:80", "a port too high": "TCP:70000"} {
		t.Run(name, func(t *testing.T) {
			_, err := r.elb.ConfigureHealthCheck(t.Context(), &elb.ConfigureHealthCheckInput{
				LoadBalancerName: aws.String("first"), HealthCheck: &types.HealthCheck{
					Target: &target, Interval: aws.Int32(10), Timeout: aws.Int32(5), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(2),
				},
			})
			refused(t, err, "ValidationError")
		})
	}
}
