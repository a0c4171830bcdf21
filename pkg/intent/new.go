// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilnet "k8s.io/utils/net"

	"github.com/fairlead/fairlead/pkg/plan"
)

// maxPort is the highest port (RFC 9293 section 3.1).
const maxPort = 65535

// ClassOf is the loadBalancerClass of a provider.
func ClassOf(provider string) string { return ownPrefix + provider }

// Class is the loadBalancerClass of the Service; empty for an unclassed one.
func Class(svc *v1.Service) string {
	if svc.Spec.LoadBalancerClass == nil {
		return ""
	}
	return *svc.Spec.LoadBalancerClass
}

// Wants reports whether the Service asks for a load balancer of one of the
// classes, of which "" is that of the unclassed Services.
func Wants(svc *v1.Service, classes ...string) bool {
	return svc.Spec.Type == v1.ServiceTypeLoadBalancer && slices.Contains(classes, Class(svc))
}

// New is what the Service asks of the provider, and all that is wrong with it:
// what refuses it first, then by field. The intent is whole only when no
// problem refuses the Service, see [Refusal]. New never changes svc; the
// intent shares its maps.
func New(svc *v1.Service, provider string, reg *Registry) (Intent, []Problem) {
	annotations, form := svc.Annotations, AWSForm(0)
	if provider == AWS {
		form = AWSFormOf(svc)
		annotations = awsRead(annotations, form)
	}
	options, problems := reg.read(annotations, dialect(svc, provider))
	in := Intent{
		Key:          plan.Key{Namespace: svc.Namespace, Name: svc.Name},
		UID:          svc.UID,
		Labels:       labels.Set(svc.Labels),
		Selector:     labels.Set(svc.Spec.Selector),
		Families:     families(svc),
		FamilyPolicy: familyPolicy(svc),
		Traffic:      Cluster,
		AWS:          form,
		Options:      options,
	}
	if svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal {
		in.Traffic = Local
		in.HealthCheckNodePort = port(svc.Spec.HealthCheckNodePort)
	}
	in.AffinityTimeout = affinity(svc)
	in.Pool, _ = options.Text(KeyPool)
	in.SharingKey, _ = options.Text(KeySharing)

	var found []Problem
	in.Ports, found = ports(svc)
	problems = append(problems, found...)
	in.SourceRanges, found = sourceRanges(svc, options)
	problems = append(problems, found...)
	switch provider {
	case Azure:
		problems = append(problems, azureAddresses(svc, &in)...)
	case AWS:
		problems = append(awsTold(problems, form), awsProblems(svc, &in, reg)...)
		nameAsWritten(problems, svc.Annotations, annotations)
	default:
		in.Addresses, in.AddressSource, found = addresses(svc, options)
		problems = append(problems, found...)
		problems = append(problems, checkFamilies(in)...)
	}
	problems = withoutMeanings(problems)
	sortProblems(problems)
	return in, problems
}

// families are spec.ipFamilies. Objects from before that field follow their
// cluster IP.
func families(svc *v1.Service) []Family {
	var out []Family
	for _, f := range svc.Spec.IPFamilies {
		switch f {
		case v1.IPv4Protocol:
			out = append(out, V4)
		case v1.IPv6Protocol:
			out = append(out, V6)
		case v1.IPFamilyUnknown:
		}
	}
	if len(out) > 0 {
		return out
	}
	if a, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil {
		return []Family{FamilyOf(a.Unmap())}
	}
	return []Family{V4}
}

func familyPolicy(svc *v1.Service) FamilyPolicy {
	if svc.Spec.IPFamilyPolicy == nil {
		return SingleStack
	}
	switch *svc.Spec.IPFamilyPolicy {
	case v1.IPFamilyPolicyPreferDualStack:
		return PreferDualStack
	case v1.IPFamilyPolicyRequireDualStack:
		return RequireDualStack
	case v1.IPFamilyPolicySingleStack:
	}
	return SingleStack
}

// affinity is how long clients stay with an endpoint; 0 without affinity.
func affinity(svc *v1.Service) time.Duration {
	if svc.Spec.SessionAffinity != v1.ServiceAffinityClientIP {
		return 0
	}
	seconds := v1.DefaultClientIPServiceAffinitySeconds
	if c := svc.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		seconds = *c.ClientIP.TimeoutSeconds
	}
	return time.Duration(seconds) * time.Second
}

// port is a port number of the API, which allows 0 to 65535 alone.
func port(n int32) uint16 {
	if n < 0 || n > maxPort {
		return 0
	}
	return uint16(n)
}

func ports(svc *v1.Service) ([]Port, []Problem) {
	var out []Port
	var problems []Problem
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		field := fmt.Sprintf("spec.ports[%d]", i)
		proto, ok := protocol(p.Protocol)
		if !ok {
			problems = append(problems, invalidField(field+".protocol", string(p.Protocol), "TCP, UDP or SCTP"))
			continue
		}
		number := port(p.Port)
		if number == 0 {
			problems = append(problems, invalidField(field+".port", fmt.Sprint(p.Port), "a number from 1 to 65535"))
			continue
		}
		out = append(out, Port{
			Name: p.Name, Proto: proto, Port: number, NodePort: port(p.NodePort), AppProtocol: appProtocol(p),
		})
	}
	return out, problems
}

func protocol(p v1.Protocol) (Proto, bool) {
	switch p {
	case v1.ProtocolTCP, "":
		return TCP, true
	case v1.ProtocolUDP:
		return UDP, true
	case v1.ProtocolSCTP:
		return SCTP, true
	}
	return 0, false
}

func appProtocol(p *v1.ServicePort) string {
	if p.AppProtocol == nil {
		return ""
	}
	return *p.AppProtocol
}

// sourceRanges are those of the spec; the annotation counts when the spec has
// none, as in the upstream helper. Padding and leading zeros are allowed in
// the spec, as the API does.
func sourceRanges(svc *v1.Service, options Options) ([]netip.Prefix, []Problem) {
	if len(svc.Spec.LoadBalancerSourceRanges) == 0 {
		ranges, _ := options.Prefixes(KeySourceRanges)
		return ranges, nil
	}
	var out []netip.Prefix
	var problems []Problem
	for i, text := range svc.Spec.LoadBalancerSourceRanges {
		p, ok := sloppyPrefix(strings.TrimSpace(text))
		if !ok {
			field := fmt.Sprintf("spec.loadBalancerSourceRanges[%d]", i)
			problems = append(problems, invalidField(field, text, "an IP range such as 192.0.2.0/24"))
			continue
		}
		out = append(out, p)
	}
	return out, problems
}

// sloppyPrefix reads a range as the API and kube-proxy do.
func sloppyPrefix(text string) (netip.Prefix, bool) {
	_, n, err := utilnet.ParseCIDRSloppy(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	p := netip.PrefixFrom(a, bits)
	return p, ok && p.IsValid()
}

// addresses are those asked for, what asked for them as sentences name it, and
// whether both ways of asking agree.
func addresses(svc *v1.Service, options Options) ([]netip.Addr, string, []Problem) {
	wanted, _ := options.Addresses(KeyAddresses)
	source := options.Source(KeyAddresses)
	text := svc.Spec.LoadBalancerIP
	if strings.TrimSpace(text) == "" {
		return wanted, source, nil
	}
	const field = "spec.loadBalancerIP"
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil || a.Zone() != "" {
		return wanted, source, []Problem{invalidField(field, text, "an IP address such as 192.0.2.10")}
	}
	a = a.Unmap()
	if len(wanted) == 0 {
		return []netip.Addr{a}, field, nil
	}
	if slices.Contains(wanted, a) {
		return wanted, source, nil
	}
	asked := make([]string, len(wanted))
	for i, w := range wanted {
		asked[i] = w.String()
	}
	return wanted, source, []Problem{{
		Severity: Refuse,
		Reason:   ReasonConflictingAddresses,
		Field:    field,
		Value:    text,
		Sentence: fmt.Sprintf("%s is %s, but %s is %s; make them agree, or remove one of them",
			field, quote(text), source, quote(strings.Join(asked, ","))),
	}}
}

// checkFamilies refuses addresses of a family that the Service does not have,
// as MetalLB does.
func checkFamilies(in Intent) []Problem {
	var problems []Problem
	for _, a := range in.Addresses {
		if slices.Contains(in.Families, FamilyOf(a)) {
			continue
		}
		problems = append(problems, Problem{
			Severity: Refuse,
			Reason:   ReasonAddressFamilyMismatch,
			Field:    "spec.ipFamilies",
			Value:    a.String(),
			Sentence: fmt.Sprintf("%s asks for %s, but spec.ipFamilies is %s; "+
				"ask for an address of that family, or add %s to spec.ipFamilies",
				in.AddressSource, a, familyNames(in.Families), FamilyOf(a)),
		})
	}
	return problems
}

func familyNames(families []Family) string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.String()
	}
	return strings.Join(names, ",")
}

func invalidField(field, text, allowed string) Problem {
	return Problem{
		Severity: Refuse,
		Reason:   ReasonInvalidField,
		Field:    field,
		Value:    text,
		Sentence: fmt.Sprintf("%s is %s, but must be %s; correct it or remove it", field, quote(text), allowed),
	}
}
