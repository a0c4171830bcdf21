// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// service is a dual-stack Service with one port, changed by edit.
func service(edit func(*v1.Service)) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: map[string]string{}},
		Spec: v1.ServiceSpec{
			Type:       v1.ServiceTypeLoadBalancer,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol},
			Ports:      []v1.ServicePort{{Name: "http", Protocol: v1.ProtocolTCP, Port: 80, NodePort: 30080}},
		},
	}
	if edit != nil {
		edit(svc)
	}
	return svc
}

func annotated(pairs ...string) *v1.Service {
	return service(func(svc *v1.Service) {
		for i := 0; i < len(pairs); i += 2 {
			svc.Annotations[pairs[i]] = pairs[i+1]
		}
	})
}

func TestNewCarriesTheWholeSpec(t *testing.T) {
	svc := service(func(svc *v1.Service) {
		svc.UID = "u1"
		svc.Labels = map[string]string{"tier": "front"}
		svc.Annotations["fairlead.dev/load-balancer-ips"] = "192.0.2.1, 2001:db8::1"
		svc.Annotations["metallb.io/address-pool"] = "public"
		svc.Annotations["metallb.io/allow-shared-ip"] = "team web"
		svc.Annotations["metallb.io/ip-allocated-from-pool"] = "old"
		svc.Annotations["example.com/other"] = "x"
		svc.Spec.Selector = map[string]string{"app": "web"}
		svc.Spec.IPFamilyPolicy = new(v1.IPFamilyPolicyRequireDualStack)
		svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
		svc.Spec.HealthCheckNodePort = 31000
		svc.Spec.SessionAffinity = v1.ServiceAffinityClientIP
		svc.Spec.LoadBalancerSourceRanges = []string{" 10.1.2.3/8", "2001:db8::/32"}
		svc.Spec.Ports = append(svc.Spec.Ports,
			v1.ServicePort{Name: "dns", Protocol: v1.ProtocolUDP, Port: 53, AppProtocol: new("dns")},
			v1.ServicePort{Name: "sig", Protocol: v1.ProtocolSCTP, Port: 80})
	})
	before := svc.DeepCopy()
	got, problems := intent.New(svc, intent.Metal, intent.Annotations())
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if diff := cmp.Diff(before, svc); diff != "" {
		t.Errorf("the Service was changed:\n%s", diff)
	}
	want := intent.Intent{
		Key:          plan.Key{Namespace: "shop", Name: "web"},
		UID:          "u1",
		Labels:       labels.Set{"tier": "front"},
		Selector:     labels.Set{"app": "web"},
		Families:     []intent.Family{intent.V4, intent.V6},
		FamilyPolicy: intent.RequireDualStack,
		Ports: []intent.Port{
			{Name: "http", Proto: intent.TCP, Port: 80, NodePort: 30080},
			{Name: "dns", Proto: intent.UDP, Port: 53, AppProtocol: "dns"},
			{Name: "sig", Proto: intent.SCTP, Port: 80},
		},
		Traffic:             intent.Local,
		HealthCheckNodePort: 31000,
		AffinityTimeout:     3 * time.Hour,
		SourceRanges:        []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		Addresses:           []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		AddressSource:       "annotation fairlead.dev/load-balancer-ips",
		Pool:                "public",
		SharingKey:          "team web",
		Options:             got.Options,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	tests := map[string]struct {
		svc  *v1.Service
		want []string // severity, reason, sentence
	}{
		"an address that does not parse": {
			annotated("metallb.io/loadBalancerIPs", "192.0.2.300"),
			[]string{`refuse InvalidAnnotation annotation metallb.io/loadBalancerIPs is "192.0.2.300", but must be at most one IPv4 and one IPv6 address, separated by a comma; write it like "192.0.2.10,2001:db8::10", or remove the annotation`},
		},
		"two addresses of one family": {
			annotated("fairlead.dev/load-balancer-ips", "192.0.2.1,192.0.2.2"),
			[]string{`refuse InvalidAnnotation annotation fairlead.dev/load-balancer-ips is "192.0.2.1,192.0.2.2", but must be at most one IPv4 and one IPv6 address, separated by a comma; write it like "192.0.2.10,2001:db8::10", or remove the annotation`},
		},
		"a misspelt key of ours": {
			annotated("fairlead.dev/adress-pool", "public"),
			[]string{`refuse UnknownAnnotation annotation fairlead.dev/adress-pool is not known; did you mean fairlead.dev/address-pool?`},
		},
		"a key of ours like nothing known": {
			annotated("fairlead.dev/color", "red"),
			[]string{`refuse UnknownAnnotation annotation fairlead.dev/color is not known; remove it, or use one of fairlead.dev/address-pool, fairlead.dev/allow-shared-ip, fairlead.dev/load-balancer-ips, fairlead.dev/repair`},
		},
		"a misspelt key that MetalLB passes over": {
			annotated("metallb.io/load-balancer-ips", "192.0.2.1"),
			[]string{`warn UnknownAnnotation annotation metallb.io/load-balancer-ips is not known; did you mean metallb.io/loadBalancerIPs?`},
		},
		"two keys of one annotation that differ": {
			annotated("fairlead.dev/address-pool", "gold", "metallb.io/address-pool", "silver"),
			[]string{`warn ConflictingAnnotations annotation fairlead.dev/address-pool is "gold" and annotation metallb.io/address-pool is "silver"; the first counts, remove the other`},
		},
		"MetalLB's old prefix": {
			annotated("metallb.universe.tf/address-pool", "public"),
			[]string{`note DeprecatedAnnotation annotation metallb.universe.tf/address-pool is deprecated; use metallb.io/address-pool`},
		},
		"source ranges that bare metal does not read": {
			annotated("service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8"),
			[]string{`warn IgnoredAnnotation annotation service.beta.kubernetes.io/load-balancer-source-ranges is "10.0.0.0/8", but has no effect with provider metal: kube-proxy admits clients by spec.loadBalancerSourceRanges alone; set that field instead`},
		},
		"loadBalancerIP and annotation that differ": {
			service(func(svc *v1.Service) {
				svc.Spec.LoadBalancerIP = "192.0.2.1"
				svc.Annotations["metallb.io/loadBalancerIPs"] = "192.0.2.2"
			}),
			[]string{`refuse ConflictingAddresses spec.loadBalancerIP is "192.0.2.1", but annotation metallb.io/loadBalancerIPs is "192.0.2.2"; make them agree, or remove one of them`},
		},
		"a loadBalancerIP that does not parse": {
			service(func(svc *v1.Service) { svc.Spec.LoadBalancerIP = "gold" }),
			[]string{`refuse InvalidField spec.loadBalancerIP is "gold", but must be an IP address such as 192.0.2.10; correct it or remove it`},
		},
		"an address of a family that the Service lacks": {
			service(func(svc *v1.Service) {
				svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol}
				svc.Annotations["fairlead.dev/load-balancer-ips"] = "2001:db8::1"
			}),
			[]string{`refuse AddressFamilyMismatch annotation fairlead.dev/load-balancer-ips asks for 2001:db8::1, but spec.ipFamilies is IPv4; ask for an address of that family, or add IPv6 to spec.ipFamilies`},
		},
		"a source range that does not parse": {
			service(func(svc *v1.Service) { svc.Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8", "10.0.0.0/33"} }),
			[]string{`refuse InvalidField spec.loadBalancerSourceRanges[1] is "10.0.0.0/33", but must be an IP range such as 192.0.2.0/24; correct it or remove it`},
		},
		"a protocol nobody knows": {
			service(func(svc *v1.Service) { svc.Spec.Ports[0].Protocol = "QUIC" }),
			[]string{`refuse InvalidField spec.ports[0].protocol is "QUIC", but must be TCP, UDP or SCTP; correct it or remove it`},
		},
		"several at once, what refuses first": {
			annotated("metallb.universe.tf/loadBalancerIPs", "x", "fairlead.dev/load_balancer_ip", "y"),
			[]string{
				`refuse UnknownAnnotation annotation fairlead.dev/load_balancer_ip is not known; did you mean fairlead.dev/load-balancer-ips?`,
				`refuse InvalidAnnotation annotation metallb.universe.tf/loadBalancerIPs is "x", but must be at most one IPv4 and one IPv6 address, separated by a comma; write it like "192.0.2.10,2001:db8::10", or remove the annotation`,
				`note DeprecatedAnnotation annotation metallb.universe.tf/loadBalancerIPs is deprecated; use metallb.io/loadBalancerIPs`,
			},
		},
		"nothing to say about annotations of others": {
			annotated("example.com/x", "y", "service.beta.kubernetes.io/azure-load-balancer-internal", "maybe"),
			nil,
		},
	}
	reg := intent.Annotations()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := intent.New(tt.svc, intent.Metal, reg)
			var got []string
			for _, p := range problems {
				got = append(got, strings.Join([]string{severity(p.Severity), p.Reason, p.Sentence}, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func severity(s intent.Severity) string {
	return map[intent.Severity]string{intent.Note: "note", intent.Warn: "warn", intent.Refuse: "refuse"}[s]
}

func TestSourceRangesOfWhiteSpaceAreNone(t *testing.T) {
	for _, provider := range []string{intent.AWS, intent.Azure} {
		for _, text := range []string{"", " ", "\t\n"} {
			in, problems := intent.New(annotated("service.beta.kubernetes.io/load-balancer-source-ranges", text), provider, intent.Annotations())
			if len(in.SourceRanges) > 0 || len(problems) > 0 {
				t.Errorf("%s, %q: %v, %v", provider, text, in.SourceRanges, problems)
			}
		}
	}
}
