// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

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

// sources are the annotations whose values only AWS can judge, and tells apart.
func sources() []source {
	const attributes = "correct the key or the value as AWS lists them, or take it away"
	const health = "correct it, or remove the annotation"
	return []source{
		{intent.KeyAWSCertificates, []string{"CertificateNotFound", "UnsupportedCertificate", "TooManyCertificates"}, "write the ARN of a certificate that is there, of this account and region"},
		{intent.KeyAWSTLSPolicy, []string{"SSLPolicyNotFound"}, "write the name of a policy that Elastic Load Balancing has"},
		{intent.KeyAWSALPNPolicy, []string{"ALPNPolicyNotSupported"}, health},
		{intent.KeyAWSElasticIPs, []string{"AllocationIdNotFound", "InvalidAllocationID.NotFound", "ResourceInUse"}, cureElasticIP},
		{intent.KeyAWSPrivateIPv4s, nil, curePrivate},
		{intent.KeyAWSIPv6s, nil, curePrivate},
		{intent.KeyAWSSubnets, []string{"SubnetNotFound", "InvalidSubnetID.NotFound", "InvalidSubnet", "AvailabilityZoneNotSupported"}, "name other subnets, or make room in them"},
		{intent.KeyAWSSecurityGroups, []string{"InvalidSecurityGroup", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"}, "write the ids of security groups of the VPC"},
		{intent.KeyAWSExtraSecurityGroups, []string{"InvalidSecurityGroup", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"}, "write the ids of security groups of the VPC"},
		{intent.KeyAWSPrefixLists, []string{"InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound", "InvalidPrefixListId.Malformed"}, "write the ids of prefix lists of this account and region"},
		{intent.KeySourceRanges, nil, "write ranges that EC2 takes"},
		{intent.KeyAWSName, []string{"DuplicateLoadBalancerName"}, "choose another name"},
		{intent.KeyAWSTags, []string{"TooManyTags"}, "correct the tag, or take it away"},
		{intent.KeyAWSAccessLogBucket, []string{"S3BucketNotFound"}, "name a bucket of this region, and let Elastic Load Balancing write to it"},
		{intent.KeyAWSAccessLogPrefix, nil, "correct it, or remove the annotation"},
		{intent.KeyAWSAttributes, nil, attributes},
		{intent.KeyAWSTargetGroupAttributes, nil, attributes},
		{intent.KeyAWSTargetGroupAttributes + ".*", nil, attributes},
		{intent.KeyAWSListenerAttributes, nil, attributes},
		{intent.KeyAWSHealthPath, nil, health},
		{intent.KeyAWSHealthCodes, nil, health},
	}
}

// keysIn are the annotations whose values are in a call for the target.
func keysIn(c Call, target plan.ID) []string {
	addresses := []string{intent.KeyAWSSubnets, intent.KeyAWSElasticIPs, intent.KeyAWSPrivateIPv4s, intent.KeyAWSIPv6s}
	switch c.(type) {
	case *elbv2.CreateLoadBalancerInput:
		return append(addresses, intent.KeyAWSSecurityGroups, intent.KeyAWSName, intent.KeyAWSTags)
	case *elbv2.SetSubnetsInput:
		return addresses
	case *elbv2.SetSecurityGroupsInput, *elb.ApplySecurityGroupsToLoadBalancerInput:
		return []string{intent.KeyAWSSecurityGroups, intent.KeyAWSExtraSecurityGroups}
	case *elbv2.CreateListenerInput, *elbv2.ModifyListenerInput:
		return []string{intent.KeyAWSCertificates, intent.KeyAWSTLSPolicy, intent.KeyAWSALPNPolicy, intent.KeyAWSTags}
	case *elbv2.AddListenerCertificatesInput, *elb.SetLoadBalancerListenerSSLCertificateInput, *elb.CreateLoadBalancerListenersInput:
		return []string{intent.KeyAWSCertificates}
	case *elbv2.CreateTargetGroupInput, *elbv2.ModifyTargetGroupInput, *elb.ConfigureHealthCheckInput:
		return []string{intent.KeyAWSHealthPath, intent.KeyAWSHealthCodes, intent.KeyAWSTags}
	case *elbv2.ModifyLoadBalancerAttributesInput, *elb.ModifyLoadBalancerAttributesInput:
		return []string{intent.KeyAWSAttributes, intent.KeyAWSAccessLogBucket, intent.KeyAWSAccessLogPrefix}
	case *elbv2.ModifyTargetGroupAttributesInput:
		return []string{intent.KeyAWSTargetGroupAttributes, intent.KeyAWSTargetGroupAttributes + ".*"}
	case *elbv2.ModifyListenerAttributesInput:
		return []string{intent.KeyAWSListenerAttributes}
	case *elbv2.AddTagsInput, *elb.AddTagsInput, *ec2.CreateSecurityGroupInput:
		return []string{intent.KeyAWSTags}
	case *ec2.AuthorizeSecurityGroupIngressInput:
		if target.Kind != kindGroupRules { // the nodes' groups let no prefix lists in
			return []string{intent.KeySourceRanges}
		}
		return []string{intent.KeyAWSPrefixLists, intent.KeySourceRanges}
	case *elb.CreateLoadBalancerInput:
		return []string{intent.KeyAWSSubnets, intent.KeyAWSCertificates, intent.KeyAWSSecurityGroups, intent.KeyAWSExtraSecurityGroups, intent.KeyAWSTags}
	case *elb.AttachLoadBalancerToSubnetsInput:
		return []string{intent.KeyAWSSubnets}
	case *elb.CreateLoadBalancerPolicyInput:
		return []string{intent.KeyAWSTLSPolicy}
	}
	return nil
}

// said is an annotation of a Service that a call takes a value from.
type said struct {
	source
	text     string // as written
	of, says string // how sentences name it, and with its value
}

// byAnnotation says AWS's refusal of a call by the annotations that the refused
// value comes from: those that the code is of, else those of which AWS names a
// word. The error is as it was where neither proves it. Of several Services that
// the step serves it must be one's alone; no value is told then but what AWS
// says, as one may not know the others' annotations.
func (p *pass) byAnnotation(err error, c Call, st *plan.Step, without map[plan.Key]bool) error {
	e, ok := errors.AsType[*plan.Error](err)
	if code := api.Code(err); !ok || code == "" || e.Kind == plan.Throttled || e.Reason == ReasonChangedMeanwhile {
		return err
	}
	serves := slices.DeleteFunc(slices.Clone(st.Serves), func(key plan.Key) bool { return without[key] })
	var owner plan.Key
	var found []said
	for _, key := range serves {
		list := blamed(err, e.Kind, p.saidIn(c, st, key))
		if len(list) > 0 && len(found) > 0 {
			return err
		}
		if len(list) > 0 {
			owner, found = key, list
		}
	}
	if len(found) == 0 {
		return err
	}
	texts := make([]string, len(found))
	for i, s := range found {
		texts[i] = s.says
		if len(serves) > 1 {
			texts[i] = s.of + " of Service " + owner.String()
		}
	}
	if found[0].isAddress() {
		own := *e
		own.Reason = ReasonAddressUnavailable
		err = &own
	}
	return api.Reworded(err, strings.Join(texts, ", and ")+", but AWS refuses it: "+api.Said(err)+"; "+found[0].cure)
}

// isAddress reports whether the annotation names addresses. What AWS refuses of
// these, and the look before did not show, another one took meanwhile.
func (s said) isAddress() bool {
	return slices.ContainsFunc(chosenAddresses(), func(c chosen) bool { return c.key == s.key })
}

// blamed are those of the annotations that the refusal is of.
func blamed(err error, kind plan.Kind, all []said) []said {
	found := where(all, func(s said) bool { return slices.Contains(s.codes, api.Code(err)) })
	if len(found) == 0 && kind == plan.Invalid {
		words, quoted := wordsOf(api.Message(err)), quotedIn(api.Message(err))
		found = where(all, func(s said) bool { return s.isNamed(words, quoted) })
	}
	return found
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

// saidIn are the annotations of a Service of the step that have values in the
// call, and its source ranges in either place.
func (p *pass) saidIn(c Call, st *plan.Step, owner plan.Key) []said {
	it, ok := p.items[owner]
	if !ok || it.Want != provider.Serve {
		return nil
	}
	inCall := keysIn(c, st.Target)
	var out []said
	for _, s := range sources() {
		if !slices.Contains(inCall, s.key) {
			continue
		}
		if ranges := it.Service.Spec.LoadBalancerSourceRanges; s.key == intent.KeySourceRanges && len(ranges) > 0 {
			const field = "spec.loadBalancerSourceRanges"
			text := strings.Join(ranges, ",")
			out = append(out, said{s, text, field, fmt.Sprintf("%s is %q", field, text)})
			continue
		}
		keys := []string{s.key}
		if prefix, star := strings.CutSuffix(s.key, "*"); star {
			keys = intent.AWSKeysLike(it.Service, prefix)
		}
		for _, key := range keys {
			if text := written(it.Service, key); text != "" {
				out = append(out, said{s, text, "annotation " + key, intent.AWSSays(it.Service, key)})
			}
		}
	}
	return out
}

// isNamed reports whether one of the words is of the value, or what AWS quotes is
// an item of it. Tags hold any words.
func (s said) isNamed(words, quoted map[string]bool) bool {
	return s.key != intent.KeyAWSTags && slices.ContainsFunc(strings.FieldsFunc(s.text, func(r rune) bool { return r == ',' || r == '=' }), func(item string) bool {
		item = strings.ToLower(strings.TrimSpace(item))
		return quoted[item] && !isPlain(item) || isDistinct(item) && words[item]
	})
}

// isPlain reports whether the values of many annotations may be the item.
func isPlain(item string) bool {
	_, err := strconv.ParseFloat(item, 64)
	return err == nil || slices.Contains([]string{"true", "false", "on", "off"}, item)
}

// isDistinct reports whether a word stands in no message by chance, as plain
// words and numbers do: it has more than letters, and more than digits.
func isDistinct(word string) bool {
	const least = 3
	return len(word) >= least && strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) &&
		strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsDigit(r) })
}

// quotedIn is what stands between quotes in a message, in lower case.
func quotedIn(message string) map[string]bool {
	out := map[string]bool{}
	for _, parts := range inQuotes.FindAllStringSubmatch(message, -1) {
		out[strings.ToLower(parts[1])] = true
	}
	return out
}

var inQuotes = regexp.MustCompile(`['"]([^'"]+)['"]`)

// wordsOf are the words of a message, in lower case, without what is written
// around them.
func wordsOf(message string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsFuncSeq(strings.ToLower(message), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`'"[](),`, r) }) {
		out[strings.Trim(word, ".:;")] = true
	}
	return out
}
