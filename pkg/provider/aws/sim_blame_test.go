// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestWhatAWSRefusesIsSaidByItsAnnotation has Services with values that only AWS
// can judge: the sentence names annotation, value and cure, and another Service
// is served in the same pass.
func TestWhatAWSRefusesIsSaidByItsAnnotation(t *testing.T) {
	refusing := func(action, code, message string) func(awssim.Call) *awssim.Fault {
		return func(c awssim.Call) *awssim.Fault {
			if c.Action != action {
				return nil
			}
			return &awssim.Fault{When: awssim.Before, Status: http.StatusBadRequest, Code: code, Message: message}
		}
	}
	const attributes = "; correct the key or the value as AWS lists them, or take it away"
	for name, tt := range map[string]struct {
		change []func(*v1.Service)
		fault  func(awssim.Call) *awssim.Fault
		want   string // after the step; annotations by their suffixes
	}{
		"a certificate that is not there": {
			change: []func(*v1.Service){with("ssl-cert", theCertificate+"9")},
			want:   `annotation ssl-cert is "` + shortened(theCertificate+"9") + `", but AWS refuses it: CertificateNotFound: Certificate '` + theCertificate + `9' not found; write the ARN of a certificate that is there, of this account and region`,
		},
		"one of a classic load balancer": {
			change: []func(*v1.Service){classic, with("ssl-cert", theCertificate+"9")},
			want:   `annotation ssl-cert is "` + shortened(theCertificate+"9") + `", but AWS refuses it: CertificateNotFound: Certificate '` + theCertificate + `9' not found; write the ARN of a certificate that is there, of this account and region`,
		},
		"a policy that is not there": {
			change: []func(*v1.Service){with("ssl-cert", theCertificate, "ssl-negotiation-policy", "Best")},
			want:   `annotation ssl-negotiation-policy is "Best", but AWS refuses it: SSLPolicyNotFound: The security policy 'Best' does not exist; write the name of a policy that Elastic Load Balancing has`,
		},
		"an elastic IP that is not there, where nobody may look": {
			change: []func(*v1.Service){with("subnets", "public-us-east-1a", "eip-allocations", "eipalloc-1")},
			fault: func(c awssim.Call) *awssim.Fault {
				if c.Action != "DescribeAddresses" {
					return nil
				}
				return awssim.Denied(c)
			},
			want: `annotation eip-allocations is "eipalloc-1", but AWS refuses it: AllocationIdNotFound: The allocation IDs 'eipalloc-1' do not exist; write the ids of elastic IPs of this account and region that nothing else uses`,
		},
		"an attribute that is none": {
			change: []func(*v1.Service){external, with("attributes", "foo.bar=1")},
			want:   `annotation attributes is "foo.bar=1", but AWS refuses it: ` + `ValidationError: Load balancer attribute key 'foo.bar' is not recognized` + attributes,
		},
		"one of a port's target group": {
			change: []func(*v1.Service){external, with("target-group-attributes.80", "foo.bar=1")},
			want:   `annotation target-group-attributes.80 is "foo.bar=1", but AWS refuses it: ` + `ValidationError: Target group attribute key 'foo.bar' is not recognized` + attributes,
		},
		"one of a listener": {
			change: []func(*v1.Service){external, with("listener-attributes.TCP-80", "foo.bar=1")},
			want:   `annotation listener-attributes.TCP-80 is "foo.bar=1", but AWS refuses it: ` + `ValidationError: Listener attribute key 'foo.bar' is not recognized` + attributes,
		},
		"a bucket that AWS may not write to": {
			change: []func(*v1.Service){with("access-log-enabled", "true", "access-log-s3-bucket-name", "eu-logs", "access-log-s3-bucket-prefix", "web")},
			fault:  refusing("ModifyLoadBalancerAttributes", "InvalidConfigurationRequest", "Access Denied for bucket: eu-logs. Please check S3bucket permission"),
			want:   `annotation access-log-s3-bucket-name is "eu-logs", but AWS refuses it: InvalidConfigurationRequest: Access Denied for bucket: eu-logs. Please check S3bucket permission; name a bucket of this region, and let Elastic Load Balancing write to it`,
		},
		"a range at the nodes": {
			change: []func(*v1.Service){sourceRanges("192.0.2.0/24")},
			fault:  refusing("AuthorizeSecurityGroupIngress", "InvalidParameterValue", "CIDR block 192.0.2.0/24 is malformed"),
			want:   `spec.loadBalancerSourceRanges is "192.0.2.0/24", but AWS refuses it: InvalidParameterValue: CIDR block 192.0.2.0/24 is malformed; write ranges that EC2 takes`,
		},
		"a range by annotation": {
			change: []func(*v1.Service){func(svc *v1.Service) { svc.Annotations[v1.AnnotationLoadBalancerSourceRangesKey] = "192.0.2.0/24" }},
			fault:  refusing("AuthorizeSecurityGroupIngress", "InvalidParameterValue", "CIDR block 192.0.2.0/24 is malformed"),
			want:   `annotation service.beta.kubernetes.io/load-balancer-source-ranges is "192.0.2.0/24", but AWS refuses it: InvalidParameterValue: CIDR block 192.0.2.0/24 is malformed; write ranges that EC2 takes`,
		},
		"a range beside prefix lists": {
			change: []func(*v1.Service){external, with("security-group-prefix-lists", "pl-1"), sourceRanges("192.0.2.0/24")},
			fault:  refusing("AuthorizeSecurityGroupIngress", "InvalidParameterValue", "CIDR block 10.0.0.0/8 is malformed"),
			want:   `refused: InvalidParameterValue: CIDR block 10.0.0.0/8 is malformed`,
		},
		"a prefix list that is not there": {
			change: []func(*v1.Service){external, with("security-group-prefix-lists", "pl-1")},
			fault:  refusing("AuthorizeSecurityGroupIngress", "InvalidPrefixListID.NotFound", "The prefix list ID 'pl-1' does not exist"),
			want:   `annotation security-group-prefix-lists is "pl-1", but AWS refuses it: InvalidPrefixListID.NotFound: The prefix list ID 'pl-1' does not exist; write the ids of prefix lists of this account and region`,
		},
		"an account without load balancers": {
			change: []func(*v1.Service){with("subnets", "public-us-east-1a", "additional-resource-tags", "team=account")},
			fault:  refusing("CreateLoadBalancer", "OperationNotPermitted", "This AWS account currently does not support creating load balancers"),
			want:   `refused: OperationNotPermitted: This AWS account currently does not support creating load balancers`,
		},
		"words without a value": {
			change: []func(*v1.Service){with("healthcheck-healthy-threshold", "7", "healthcheck-port", "81")},
			fault:  refusing("CreateTargetGroup", "ValidationError", "Something of 7 is not supported."),
			want:   `refused: ValidationError: Something of 7 is not supported`,
		},
		"a word that a tag has": {
			change: []func(*v1.Service){with("additional-resource-tags", "team=target,vpc-1=x")},
			fault:  refusing("CreateTargetGroup", "ValidationError", "The VPC 'vpc-1' of the target group does not exist"),
			want:   `refused: ValidationError: The VPC 'vpc-1' of the target group does not exist`,
		},
		"what is no annotation's": {
			fault: refusing("CreateTargetGroup", "ValidationError", "Something is not supported."),
			want:  `refused: ValidationError: Something is not supported`,
		},
		"a subnet that nobody named": {
			change: []func(*v1.Service){with("additional-resource-tags", "team=web")},
			fault:  refusing("CreateLoadBalancer", "InvalidSubnet", "VPC has no internet gateway"),
			want:   `refused: InvalidSubnet: VPC has no internet gateway`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{Certificates: []string{theCertificate}})
			s := newSite(t)
			bad := s.service("bad", tt.change...)
			l.add(t, bad)
			if tt.fault != nil {
				l.cloud.SetFault(tt.fault)
			}
			d, _, err := l.pass(t, provider.Serve, provider.Edit, bad)
			if err == nil || len(d.Refused) > 0 {
				t.Fatalf("AWS does not refuse it: %v", d.Refused)
			}
			first, _, _ := strings.Cut(err.Error(), "\n") // what needs the step fails, too
			if got := strings.ReplaceAll(first, annotation, ""); !strings.HasSuffix(got, ": "+tt.want) {
				t.Errorf("got  %s\nwant ...: %s", got, tt.want)
			}
			if kind := plan.KindOf(err); kind != plan.Invalid {
				t.Errorf("kind %d", kind)
			}
			if tt.fault != nil {
				return
			}
			good := s.service("good")
			l.add(t, good)
			_, status, _ := l.pass(t, provider.Serve, provider.Edit, bad, good)
			if len(status[keyOf(good)].Ingress) != 1 {
				t.Error("another Service is not served")
			}
		})
	}
}

// shortened is a value as sentences show it.
func shortened(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// TestAStepOfSeveralServicesTellsNoAnnotations has Services of two namespaces
// whose rules at the nodes are one step: neither is told what the other says.
func TestAStepOfSeveralServicesTellsNoAnnotations(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	s := newSite(t)
	x, y := s.service("x", external, sourceRanges("192.0.2.0/24")), s.service("y", external, sourceRanges("198.51.100.0/24"))
	y.Namespace = "tenant"
	l.add(t, x)
	l.add(t, y)
	refused := 0
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "AuthorizeSecurityGroupIngress" {
			return nil
		}
		refused++
		return &awssim.Fault{When: awssim.Before, Status: http.StatusBadRequest, Code: "InvalidParameterValue", Message: "CIDR block 192.0.2.0/24 or 198.51.100.0/24 is malformed"}
	})
	_, _, err := l.pass(t, provider.Serve, provider.Edit, x, y)
	if err == nil || refused == 0 {
		t.Fatalf("%d calls refused: %v", refused, err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(line, "is \"192.0.2.0/24\"") && strings.Contains(line, "is \"198.51.100.0/24\"") || strings.Contains(line, "aws/nodeSecurityGroup ") && strings.Contains(line, "spec.loadBalancerSourceRanges") {
			t.Errorf("%s", line)
		}
	}
}

// Two passes may give one address to two Services, since neither sees yet what the
// other makes. The Service whom AWS refuses it is told so by the reason that the
// next pass has, too.
func TestAnAddressThatTwoPassesGive(t *testing.T) {
	for name, c := range map[string]struct {
		change func(eip string) func(*v1.Service)
		want   string
	}{
		"a private one": {
			func(string) func(*v1.Service) {
				return with("internal", "true", "subnets", "private-us-east-1a", "private-ipv4-addresses", "10.0.96.50")
			},
			`annotation private-ipv4-addresses is "10.0.96.50", but AWS refuses it: InvalidConfigurationRequest: The address '10.0.96.50' is already in use; write addresses of the subnets that are free`,
		},
		"an elastic one": {
			func(eip string) func(*v1.Service) {
				return with("subnets", "public-us-east-1a", "eip-allocations", eip)
			},
			`annotation eip-allocations is "EIP", but AWS refuses it: ResourceInUse: The allocation IDs 'EIP' are in use; write the ids of elastic IPs of this account and region that nothing else uses`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			s := newSite(t)
			eip := l.elasticIPs(t, 1)[0]
			first, second := s.service("first", c.change(eip)), s.service("second", c.change(eip))
			l.add(t, first)
			l.add(t, second)
			late, err := l.provider.Observe(t.Context(), provider.Batch{Group: "aws", Nodes: l.nodes, Items: []provider.Item{item(second, provider.Serve, provider.Edit)}})
			if err != nil {
				t.Fatal(err)
			}
			l.must(t, -1, provider.Serve, provider.Edit, first)
			steps := providertest.Decide(t, late).Plan.Steps
			i := slices.IndexFunc(steps, func(st plan.Step) bool { return st.Target.Kind == "aws/loadBalancer" })
			if i < 0 {
				t.Fatalf("no load balancer: %v", steps)
			}
			told, _ := errors.AsType[*plan.Error](late.Execute(t.Context(), steps[i], nil))
			if told == nil || told.Reason != aws.ReasonAddressUnavailable {
				t.Fatalf("AWS's refusal: %v", told)
			}
			if got, want := strings.ReplaceAll(told.Error(), annotation, ""), strings.ReplaceAll(c.want, "EIP", eip); !strings.HasSuffix(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := l.refusedFor(t, provider.Edit, second); !strings.Contains(got, "load balancer "+names.LoadBalancer(first.UID)+" has ") {
				t.Errorf("then %s", got)
			}
		})
	}
}
