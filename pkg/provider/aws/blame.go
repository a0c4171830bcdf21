// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// source is an annotation that AWS may refuse the value of.
type source struct {
	key string
	// codes are AWS's for this annotation alone: the error lists of the API
	// references of EC2 and Elastic Load Balancing.
	codes []string
	cure  string
}

// sources are the annotations whose values only AWS can judge.
func sources() []source {
	const attributes = "correct the key or the value as AWS lists them, or take it away"
	const health = "correct it, or remove the annotation"
	return []source{
		{intent.KeyAWSCertificates, []string{"CertificateNotFound", "UnsupportedCertificate", "TooManyCertificates"}, "write the ARN of a certificate that is there, of this account and region"},
		{intent.KeyAWSTLSPolicy, []string{"SSLPolicyNotFound"}, "write the name of a policy that Elastic Load Balancing has"},
		{intent.KeyAWSALPNPolicy, []string{"ALPNPolicyNotSupported"}, health},
		{intent.KeyAWSElasticIPs, []string{"AllocationIdNotFound", "InvalidAllocationID.NotFound", "ResourceInUse"}, "write the ids of elastic IPs of this account and region that nothing else uses"},
		{intent.KeyAWSPrivateIPv4s, nil, "write addresses of the subnets that are free"},
		{intent.KeyAWSIPv6s, nil, "write addresses of the subnets that are free"},
		{intent.KeyAWSSubnets, []string{"SubnetNotFound", "InvalidSubnetID.NotFound", "InvalidSubnet", "AvailabilityZoneNotSupported"}, "name other subnets, or make room in them"},
		{intent.KeyAWSSecurityGroups, []string{"InvalidSecurityGroup", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"}, "write the ids of security groups of the VPC"},
		{intent.KeyAWSExtraSecurityGroups, []string{"InvalidSecurityGroup", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"}, "write the ids of security groups of the VPC"},
		{intent.KeyAWSPrefixLists, []string{"InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound", "InvalidPrefixListId.Malformed"}, "write the ids of prefix lists of this account and region"},
		{intent.KeyAWSName, []string{"DuplicateLoadBalancerName"}, "choose another name"},
		{intent.KeyAWSIPAddressType, nil, "give the subnets IPv6 ranges, or remove the annotation"},
		{intent.KeyAWSTags, []string{"TooManyTags"}, "correct the tag, or take it away"},
		{intent.KeyAWSBackendProtocol, nil, health},
		{intent.KeyAWSAccessLogBucket, []string{"S3BucketNotFound"}, "name a bucket of this region, and let Elastic Load Balancing write to it"},
		{intent.KeyAWSAccessLogPrefix, nil, "correct it, or remove the annotation"},
		{intent.KeyAWSAttributes, nil, attributes},
		{intent.KeyAWSTargetGroupAttributes, nil, attributes},
		{intent.KeyAWSTargetGroupAttributes + ".*", nil, attributes},
		{listenerSettings, nil, attributes},
		{intent.KeyAWSHealthProtocol, nil, health},
		{intent.KeyAWSHealthPort, nil, health},
		{intent.KeyAWSHealthPath, nil, health},
		{intent.KeyAWSHealthInterval, nil, health},
		{intent.KeyAWSHealthTimeout, nil, health},
		{intent.KeyAWSHealthyThreshold, nil, health},
		{intent.KeyAWSUnhealthyThreshold, nil, health},
		{intent.KeyAWSHealthCodes, nil, health},
	}
}

// listenerSettings stands for the annotations of all listeners.
const listenerSettings = "service.beta.kubernetes.io/aws-load-balancer-listener-attributes.*"

// keysIn are the annotations whose values are in the call.
func keysIn(c Call) []string {
	addresses := []string{intent.KeyAWSSubnets, intent.KeyAWSElasticIPs, intent.KeyAWSPrivateIPv4s, intent.KeyAWSIPv6s}
	health := []string{
		intent.KeyAWSHealthProtocol, intent.KeyAWSHealthPort, intent.KeyAWSHealthPath, intent.KeyAWSHealthInterval,
		intent.KeyAWSHealthTimeout, intent.KeyAWSHealthyThreshold, intent.KeyAWSUnhealthyThreshold, intent.KeyAWSHealthCodes,
	}
	logs := []string{intent.KeyAWSAttributes, intent.KeyAWSAccessLogBucket, intent.KeyAWSAccessLogPrefix}
	switch c.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return append(addresses, intent.KeyAWSSecurityGroups, intent.KeyAWSName, intent.KeyAWSIPAddressType, intent.KeyAWSTags)
	case *elbv2.SetSubnetsInput:
		return addresses
	case *elbv2.SetIpAddressTypeInput:
		return []string{intent.KeyAWSIPAddressType}
	case *elbv2.SetSecurityGroupsInput, *elb.ApplySecurityGroupsToLoadBalancerInput:
		return []string{intent.KeyAWSSecurityGroups, intent.KeyAWSExtraSecurityGroups}
	case *elbv2.CreateListenerInput, *elbv2.ModifyListenerInput:
		return []string{intent.KeyAWSCertificates, intent.KeyAWSTLSPolicy, intent.KeyAWSALPNPolicy, intent.KeyAWSTags}
	case *elbv2.AddListenerCertificatesInput, *elb.SetLoadBalancerListenerSSLCertificateInput:
		return []string{intent.KeyAWSCertificates}
	case *elbv2.CreateTargetGroupInput, *elbv2.ModifyTargetGroupInput, *elb.ConfigureHealthCheckInput:
		return append(health, intent.KeyAWSTags)
	case *elbv2.ModifyLoadBalancerAttributesInput, *elb.ModifyLoadBalancerAttributesInput:
		return logs
	case *elbv2.ModifyTargetGroupAttributesInput:
		return []string{intent.KeyAWSTargetGroupAttributes, intent.KeyAWSTargetGroupAttributes + ".*"}
	case *elbv2.ModifyListenerAttributesInput:
		return []string{listenerSettings}
	case *elbv2.AddTagsInput, *elb.AddTagsInput, *ec2.CreateSecurityGroupInput:
		return []string{intent.KeyAWSTags}
	case *ec2.AuthorizeSecurityGroupIngressInput:
		return []string{intent.KeyAWSPrefixLists}
	case *elb.CreateLoadBalancerInput:
		return []string{intent.KeyAWSSubnets, intent.KeyAWSCertificates, intent.KeyAWSSecurityGroups, intent.KeyAWSExtraSecurityGroups, intent.KeyAWSBackendProtocol, intent.KeyAWSTags}
	case *elb.AttachLoadBalancerToSubnetsInput:
		return []string{intent.KeyAWSSubnets}
	case *elb.CreateLoadBalancerListenersInput:
		return []string{intent.KeyAWSCertificates, intent.KeyAWSBackendProtocol}
	case *elb.CreateLoadBalancerPolicyInput:
		return []string{intent.KeyAWSTLSPolicy}
	}
	return nil
}

// said is an annotation of a Service that a call takes a value from.
type said struct {
	source
	service *v1.Service
	text    string // as written
}

// byAnnotation says AWS's refusal of a call by the annotations that the refused
// value comes from: those that the code is of, else those of which AWS names a
// word. The error is as it was where no annotation is in the call, or where what
// AWS says is about something else.
func (p *pass) byAnnotation(err error, c Call, st *plan.Step) error {
	e, ok := errors.AsType[*plan.Error](err)
	if code := api.Code(err); !ok || code == "" || e.Kind == plan.Throttled || e.Reason == ReasonChangedMeanwhile {
		return err
	}
	all := p.saidIn(c, st)
	found, verdict := where(all, func(s said) bool { return slices.Contains(s.codes, api.Code(err)) }), ", but AWS refuses it: "
	ofOne := slices.ContainsFunc(sources(), func(s source) bool { return slices.Contains(s.codes, api.Code(err)) })
	if len(found) == 0 && !ofOne && e.Kind == plan.Invalid {
		words := wordsOf(api.Message(err))
		if found = where(all, func(s said) bool { return s.isNamed(words) }); len(found) == 0 {
			found = where(all, func(s said) bool { return s.key != intent.KeyAWSTags }) // their form is known to be good
			verdict = ", and AWS refuses what is asked for so: "
		}
	}
	if len(found) == 0 {
		return err
	}
	return api.Reworded(err, blamed(found, st)+verdict+api.Said(err)+"; "+found[0].cure)
}

// blamed are the annotations, and the Services of a step that serves several.
func blamed(found []said, st *plan.Step) string {
	texts := make([]string, len(found))
	for i, s := range found {
		texts[i] = intent.AWSSays(s.service, s.key)
		if len(st.Serves) > 1 {
			texts[i] = fmt.Sprintf("Service %s: %s", provider.KeyOf(s.service), texts[i])
		}
	}
	return strings.Join(texts, ", and ")
}

func where(list []said, fits func(said) bool) []said {
	var out []said
	for _, s := range list {
		if fits(s) {
			out = append(out, s)
		}
	}
	return out
}

// saidIn are the annotations of the step's Services that have values in the
// call.
func (p *pass) saidIn(c Call, st *plan.Step) []said {
	inCall := keysIn(c)
	var out []said
	for _, service := range st.Serves {
		it, ok := p.items[service]
		if !ok || it.Want != provider.Serve {
			continue
		}
		for _, s := range sources() {
			if !slices.Contains(inCall, s.key) {
				continue
			}
			keys := []string{s.key}
			if prefix, star := strings.CutSuffix(s.key, "*"); star {
				keys = intent.AWSKeysLike(it.Service, prefix)
			}
			for _, key := range keys {
				if text := written(it.Service, key); text != "" {
					one := s
					one.key = key
					out = append(out, said{one, it.Service, text})
				}
			}
		}
	}
	return out
}

// isNamed reports whether one of the words is of the value.
func (s said) isNamed(words map[string]bool) bool {
	const least = 3 // "on" and "5" are no names
	return slices.ContainsFunc(strings.FieldsFunc(s.text, func(r rune) bool { return r == ',' || r == '=' }), func(item string) bool {
		item = strings.TrimSpace(item)
		return len(item) >= least && item != "true" && item != "false" && words[strings.ToLower(item)]
	})
}

// wordsOf are the words of a message, in lower case, without what is written
// around them.
func wordsOf(message string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsFuncSeq(strings.ToLower(message), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`'"[](),`, r) }) {
		out[strings.Trim(word, ".:;")] = true
	}
	return out
}
