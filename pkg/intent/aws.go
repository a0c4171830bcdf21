// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// AWS is the provider of AWS, as in --cloud-provider.
const AWS = "aws"

// AWSControllerClass is the loadBalancerClass of the AWS Load Balancer
// Controller.
const AWSControllerClass = "service.k8s.aws/nlb"

const (
	// awsPrefix is that of the annotations of cloud-provider-aws and of the AWS
	// Load Balancer Controller.
	awsPrefix = "service.beta.kubernetes.io/aws-load-balancer-"
	// awsOtherPrefix is another that the Load Balancer Controller reads.
	awsOtherPrefix = "service.kubernetes.io/aws-load-balancer-"
	// awsOtherRanges is what it reads where there is no KeySourceRanges.
	awsOtherRanges = "service.kubernetes.io/load-balancer-source-ranges"
	// awsStart and awsOtherStart begin keys whose prefix is misspelt: nobody has
	// others that begin so.
	awsStart      = "service.beta.kubernetes.io/aws-"
	awsOtherStart = "service.kubernetes.io/aws-"
)

// AWSForm is the kind of load balancer that a Service asks of AWS, and whose
// rules its annotations follow. The zero value is none.
type AWSForm uint8

// The forms.
const (
	// AWSClassic is a classic load balancer, as cloud-provider-aws makes it.
	AWSClassic AWSForm = iota + 1
	// AWSNetwork is a network load balancer as cloud-provider-aws makes it.
	AWSNetwork
	// AWSExternal is a network load balancer as the AWS Load Balancer
	// Controller makes it.
	AWSExternal
)

// The values of KeyAWSType.
const (
	AWSTypeNetwork  = "nlb"      // as cloud-provider-aws
	AWSTypeExternal = "external" // as the AWS Load Balancer Controller
	awsTypeIP       = "nlb-ip"
)

// AWSTypeIsClassic is what the provider says of a type that nobody knows where it
// does not refuse it, after key and value.
const AWSTypeIsClassic = ", but must be exactly one of " + AWSTypeNetwork + ", " + AWSTypeExternal + ", " + awsTypeIP + "; it counts as not set"

// AWSFormOf is the form that the Service's class and type annotation ask for.
// As cloud-provider-aws has it, a type that nobody knows is the classic one.
func AWSFormOf(svc *v1.Service) AWSForm {
	if Class(svc) == AWSControllerClass {
		return AWSExternal
	}
	kind, ok := svc.Annotations[KeyAWSType]
	if !ok {
		kind = svc.Annotations[awsOtherPrefix+"type"]
		if kind == AWSTypeNetwork {
			return AWSClassic // cloud-provider-aws does not read this key
		}
	}
	switch kind {
	case AWSTypeNetwork:
		return AWSNetwork
	case AWSTypeExternal, awsTypeIP:
		return AWSExternal
	}
	return AWSClassic
}

// AWSNameOf is the name that the Service of the external form gives its load
// balancer, as it stands; empty when it gives none.
func AWSNameOf(svc *v1.Service) string {
	if AWSFormOf(svc) != AWSExternal {
		return ""
	}
	name, _ := AWSWritten(svc, KeyAWSName)
	return strings.TrimSpace(name)
}

// String is the form as the reference page names it.
func (f AWSForm) String() string {
	switch f {
	case AWSClassic:
		return awsClassic
	case AWSNetwork:
		return awsNetwork
	case AWSExternal:
		return awsExternal
	}
	return "no form"
}

// In the registry, each form of AWS stands for a provider: the same
// annotations have other rules in each.
const (
	awsClassic  = "aws-classic"
	awsNetwork  = "aws-nlb"
	awsExternal = "aws-external"
)

func awsForms() []string { return []string{awsClassic, awsNetwork, awsExternal} }

// dialect is the provider as the registry knows it.
func dialect(svc *v1.Service, provider string) string {
	if provider == AWS {
		return AWSFormOf(svc).String()
	}
	return provider
}

// whereNoEffect is how sentences name a provider on which an annotation has no
// effect.
func whereNoEffect(provider string) string {
	switch provider {
	case awsClassic:
		return "on a classic load balancer"
	case awsNetwork:
		return "on a load balancer of type nlb"
	case awsExternal:
		return "on a load balancer of type external"
	}
	return "with provider " + provider
}

// isMeant reports whether the key is written for the provider, so that its
// user should know when it has no effect.
func isMeant(key, provider string) bool {
	return strings.HasPrefix(key, ownPrefix) ||
		strings.HasPrefix(key, awsPrefix) && slices.Contains(awsForms(), provider)
}

// AWSWritten is what the user wrote in an annotation, under any of the keys that
// count for the Service's form, and false where it is not there.
func AWSWritten(svc *v1.Service, key string) (text string, ok bool) {
	text, ok = svc.Annotations[AWSKey(svc, key)]
	return text, ok
}

// awsOther is the other key of an annotation; itself where it has none.
func awsOther(key string) string {
	if key == KeySourceRanges {
		return awsOtherRanges
	}
	return strings.Replace(key, awsPrefix, awsOtherPrefix, 1)
}

// AWSSays is how sentences name an annotation and what is written in it, under
// the key that counts for the Service's form.
func AWSSays(svc *v1.Service, key string) string {
	text, _ := AWSWritten(svc, key)
	return annotationName(AWSKey(svc, key)) + isValue + quote(text)
}

// AWSKey is the key that the user wrote: the other one where that alone is there,
// and counts; or else the key itself.
func AWSKey(svc *v1.Service, key string) string {
	_, first := svc.Annotations[key]
	_, other := svc.Annotations[awsOther(key)]
	if other && !first && AWSFormOf(svc) == AWSExternal {
		return awsOther(key)
	}
	return key
}

// AWSKeysLike are the keys of the Service's annotations that begin with the key,
// under either prefix where the Service's form has both, sorted.
func AWSKeysLike(svc *v1.Service, key string) []string {
	suffix, both := strings.CutPrefix(key, awsPrefix)
	both = both && AWSFormOf(svc) == AWSExternal
	var out []string
	for k := range svc.Annotations {
		if strings.HasPrefix(k, key) || (both && strings.HasPrefix(k, awsOtherPrefix+suffix)) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// AWSWritesAny reports whether an annotation begins with the key, under either
// prefix where the Service's form has both.
func AWSWritesAny(svc *v1.Service, key string) bool { return len(AWSKeysLike(svc, key)) > 0 }

// awsRead are the annotations that count for the form: cloud-provider-aws does
// not know the other prefix, and the Load Balancer Controller does not read
// whether a load balancer is internal where its scheme is said.
func awsRead(annotations map[string]string, form AWSForm) map[string]string {
	if form == AWSExternal {
		read := maps.Clone(annotations)
		for key, text := range annotations { // the keys of patterns have no aliases
			suffix, other := strings.CutPrefix(key, awsOtherPrefix)
			if _, has := annotations[awsPrefix+suffix]; other && !has && strings.Contains(suffix, "-attributes.") {
				read[awsPrefix+suffix] = text
			}
		}
		text, other := annotations[awsOtherRanges]
		if _, has := annotations[KeySourceRanges]; other && !has {
			read[KeySourceRanges] = text
		}
		if annotations[KeyAWSScheme] == "" && annotations[awsOtherPrefix+"scheme"] == "" {
			return read
		}
		for _, key := range awsInternalKeys() {
			delete(read, key)
		}
		return read
	}
	read := make(map[string]string, len(annotations))
	for key, text := range annotations {
		if !strings.HasPrefix(key, awsOtherPrefix) {
			read[key] = text
		}
	}
	return read
}

// nameAsWritten lets problems name the keys that the user wrote, where those that
// are read stand for them.
func nameAsWritten(problems []Problem, written, read map[string]string) {
	for i := range problems {
		p := &problems[i]
		for key := range read {
			if _, own := written[key]; own || p.Field != annotationField(key) {
				continue
			}
			p.Field = annotationField(awsOther(key))
			p.Sentence = strings.Replace(p.Sentence, annotationName(key), annotationName(awsOther(key)), 1)
			break
		}
	}
}

// awsInternalKeys are the keys of KeyAWSInternal.
func awsInternalKeys() []string { return []string{KeyAWSInternal, awsOtherPrefix + "internal"} }

// The annotations of AWS, each by its first key.
const (
	KeyAWSType                   = awsPrefix + "type"
	KeyAWSInternal               = awsPrefix + "internal"
	KeyAWSScheme                 = awsPrefix + "scheme"
	KeyAWSName                   = awsPrefix + "name"
	KeyAWSTargetType             = awsPrefix + "nlb-target-type"
	KeyAWSIPAddressType          = awsPrefix + "ip-address-type"
	KeyAWSSubnets                = awsPrefix + "subnets"
	KeyAWSElasticIPs             = awsPrefix + "eip-allocations"
	KeyAWSPrivateIPv4s           = awsPrefix + "private-ipv4-addresses"
	KeyAWSIPv6s                  = awsPrefix + "ipv6-addresses"
	KeyAWSTags                   = awsPrefix + "additional-resource-tags"
	KeyAWSNodeLabels             = awsPrefix + "target-node-labels"
	KeyAWSAttributes             = awsPrefix + "attributes"
	KeyAWSCrossZone              = awsPrefix + "cross-zone-load-balancing-enabled"
	KeyAWSAccessLog              = awsPrefix + "access-log-enabled"
	KeyAWSAccessLogInterval      = awsPrefix + "access-log-emit-interval"
	KeyAWSAccessLogBucket        = awsPrefix + "access-log-s3-bucket-name"
	KeyAWSAccessLogPrefix        = awsPrefix + "access-log-s3-bucket-prefix"
	KeyAWSDraining               = awsPrefix + "connection-draining-enabled"
	KeyAWSDrainingTimeout        = awsPrefix + "connection-draining-timeout"
	KeyAWSIdleTimeout            = awsPrefix + "connection-idle-timeout"
	KeyAWSSecurityGroups         = awsPrefix + "security-groups"
	KeyAWSExtraSecurityGroups    = awsPrefix + "extra-security-groups"
	KeyAWSManageBackendRules     = awsPrefix + "manage-backend-security-group-rules"
	KeyAWSNoSecurityGroup        = awsPrefix + "disable-nlb-sg"
	KeyAWSPrefixLists            = awsPrefix + "security-group-prefix-lists"
	KeyAWSPrivateLinkRules       = awsPrefix + "inbound-sg-rules-on-private-link-traffic"
	KeyAWSPathMTURule            = awsPrefix + "enable-icmp-for-path-mtu-discovery"
	KeyAWSCertificates           = awsPrefix + "ssl-cert"
	KeyAWSTLSPorts               = awsPrefix + "ssl-ports"
	KeyAWSTLSPolicy              = awsPrefix + "ssl-negotiation-policy"
	KeyAWSALPNPolicy             = awsPrefix + "alpn-policy"
	KeyAWSBackendProtocol        = awsPrefix + "backend-protocol"
	KeyAWSProxyProtocol          = awsPrefix + "proxy-protocol"
	KeyAWSProxyProtocolPorts     = awsPrefix + "proxy-protocol-per-target-group"
	KeyAWSTargetGroupAttributes  = awsPrefix + "target-group-attributes"
	KeyAWSHealthProtocol         = awsPrefix + "healthcheck-protocol"
	KeyAWSHealthPort             = awsPrefix + "healthcheck-port"
	KeyAWSHealthPath             = awsPrefix + "healthcheck-path"
	KeyAWSHealthInterval         = awsPrefix + "healthcheck-interval"
	KeyAWSHealthTimeout          = awsPrefix + "healthcheck-timeout"
	KeyAWSHealthyThreshold       = awsPrefix + "healthcheck-healthy-threshold"
	KeyAWSUnhealthyThreshold     = awsPrefix + "healthcheck-unhealthy-threshold"
	KeyAWSHealthCodes            = awsPrefix + "healthcheck-success-codes"
	KeyAWSTCPUDPListener         = awsPrefix + "enable-tcp-udp-listener"
	KeyAWSMultiCluster           = awsPrefix + "multi-cluster-target-group"
	KeyAWSSourceNATPrefix        = awsPrefix + "enable-prefix-for-ipv6-source-nat"
	KeyAWSSourceNATPrefixes      = awsPrefix + "source-nat-ipv6-prefixes"
	KeyAWSCapacity               = awsPrefix + "minimum-load-balancer-capacity"
	KeyAWSQUICPorts              = awsPrefix + "quic-enabled-ports"
	keyAWSActions                = "service.beta.kubernetes.io/actions.*"
	keyAWSListener               = awsPrefix + "listener-attributes."
	KeyAWSListenerAttributes     = keyAWSListener + "*"
	keyAWSBothAttributes         = keyAWSListener + "TCP_UDP-*"
	keyAWSPortsTargetGroup       = KeyAWSTargetGroupAttributes + ".*"
	awsTrafficPort               = "traffic-port"
	awsAllPorts                  = "*"
	awsPreserveClientIP          = "preserve_client_ip.enabled"
	awsProxyProtocolV2           = "proxy_protocol_v2.enabled"
	awsSecurityGroupID           = "sg-"
	awsReservedTags              = "aws:"
	awsReservedName              = "internal-"
	awsClassicHealthTimeout      = 5  // seconds; cloud-provider-aws' default
	awsClassicHealthTimeoutMax   = 60 // seconds; ELB, HealthCheck
	awsClassicHealthInterval     = 10 // seconds; cloud-provider-aws' default
	awsBackendSSL                = "ssl"
	awsHealthSSL                 = "SSL"
	awsInternalScheme            = "internal"
	awsTargetGroupAttributesText = awsPreserveClientIP + " and " + awsProxyProtocolV2
)

// AWSTargetGroupAttributesKey is the key of the attributes of the target group
// of one port.
func AWSTargetGroupAttributesKey(port uint16) string {
	return KeyAWSTargetGroupAttributes + "." + strconv.Itoa(int(port))
}

// AWSListenerAttributesKey is the key of the attributes of one listener, whose
// protocol is written as AWS does: TCP, UDP, TCP_UDP or TLS.
func AWSListenerAttributesKey(protocol string, port uint16) string {
	return keyAWSListener + protocol + "-" + strconv.Itoa(int(port))
}

// AWSTerminatesTLS reports whether clients of the port speak TLS to the load
// balancer: the annotations have a certificate, and mean this port.
func AWSTerminatesTLS(in Intent, p Port) bool {
	certificates, _ := in.Options.Texts(KeyAWSCertificates)
	if len(certificates) == 0 {
		return false
	}
	ports, ok := in.Options.Texts(KeyAWSTLSPorts)
	if !ok || len(ports) == 1 && ports[0] == awsAllPorts {
		return true
	}
	return AWSNames(ports, in.AWS, p)
}

// AWSNames reports whether one of the items of an annotation is the port, by
// number or name.
func AWSNames(items []string, form AWSForm, p Port) bool {
	name := p.Name
	if form == AWSClassic {
		name = strings.ToLower(name) // as cloud-provider-aws: of the port alone
	}
	return slices.ContainsFunc(items, func(item string) bool {
		if n, err := strconv.Atoi(item); err == nil {
			return n == int(p.Port)
		}
		return item == name
	})
}
