// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
)

func azure(svc *v1.Service) (intent.Intent, []string) {
	in, problems := intent.New(svc, intent.Azure, intent.Annotations())
	sentences := make([]string, len(problems))
	for i, p := range problems {
		word := "note: "
		switch p.Severity {
		case intent.Warn:
			word = "warn: "
		case intent.Refuse:
			word = "refuse: "
		case intent.Note:
		}
		sentences[i] = word + strings.ReplaceAll(p.Sentence, "service.beta.kubernetes.io/", "")
	}
	return in, sentences
}

func TestAzureAnnotationsThatThePeerToleratesAreWarnings(t *testing.T) {
	tests := map[string]struct{ key, value, want string }{
		"a switch that is neither true nor false": {
			"service.beta.kubernetes.io/azure-load-balancer-disable-tcp-reset", "yes",
			`warn: annotation azure-load-balancer-disable-tcp-reset is "yes", but must be true or false; it counts as "false"`,
		},
		"a switch of a port": {
			"service.beta.kubernetes.io/port_80_no_lb_rule", "1",
			`warn: annotation port_80_no_lb_rule is "1", but must be true or false; it counts as "false"`,
		},
		"a protocol of probes": {
			"service.beta.kubernetes.io/azure-load-balancer-health-probe-protocol", "grpc",
			`warn: annotation azure-load-balancer-health-probe-protocol is "grpc", but must be one of Tcp, Http, Https; it counts as "Tcp"`,
		},
		"pairs of which one is none": {
			"service.beta.kubernetes.io/azure-pip-tags", "a=b,c",
			`warn: annotation azure-pip-tags is "a=b,c", but must be 1 to 50 key=value, separated by commas; it counts as those items that are allowed`,
		},
		"ranges of which one is none": {
			"service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8,x",
			`warn: annotation load-balancer-source-ranges is "10.0.0.0/8,x", but must be 1 to 500 IP ranges, separated by commas, each an IP range; it counts as those items that are allowed`,
		},
		"a misspelt key": {
			"service.beta.kubernetes.io/azure-load-balancer-internl", "true",
			"warn: annotation azure-load-balancer-internl is not known; did you mean azure-load-balancer-internal?",
		},
		"what only basic load balancers had": {
			"service.beta.kubernetes.io/azure-load-balancer-mode", "pool1",
			`warn: annotation azure-load-balancer-mode is "pool1", but has no effect with provider azure: a standard load balancer serves from all nodes; remove it`,
		},
		"a resource group that cannot be": {
			"service.beta.kubernetes.io/azure-load-balancer-resource-group", "a/b",
			`refuse: annotation azure-load-balancer-resource-group is "a/b", but must be a name of at most 90 letters, digits, dashes, underscores, brackets and dots, that does not end with a dot; write it like "network", or remove the annotation`,
		},
		"a subnet that cannot be": {
			"service.beta.kubernetes.io/azure-load-balancer-internal-subnet", "a/b",
			`refuse: annotation azure-load-balancer-internal-subnet is "a/b", but must be a name of at most 80 letters, digits, dashes, underscores and dots, that begins with a letter or digit and does not end with a dash or dot; write it like "apps", or remove the annotation`,
		},
		"a time that the peer refuses": {
			"service.beta.kubernetes.io/azure-load-balancer-tcp-idle-timeout", "3",
			`refuse: annotation azure-load-balancer-tcp-idle-timeout is "3", but must be a whole number from 4 to 100 (minutes); correct it, or remove the annotation`,
		},
		"an address that the peer refuses": {
			"service.beta.kubernetes.io/azure-load-balancer-ipv4", "2001:db8::1",
			`refuse: annotation azure-load-balancer-ipv4 is "2001:db8::1", but must be an IPv4 address; write it like "192.0.2.10", or remove the annotation`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got := azure(annotated(tt.key, tt.value))
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAzurePartsOfAListCount(t *testing.T) {
	in, _ := azure(annotated(
		"service.beta.kubernetes.io/azure-pip-ip-tags", "RoutingPreference=Internet, x, =y",
		"service.beta.kubernetes.io/azure-allowed-ip-ranges", "10.0.0.0/8, x ,192.0.2.0/24",
		"service.beta.kubernetes.io/azure-pip-tags", "a=b",
	))
	pairs, _ := in.Options.Pairs(intent.KeyAzureIPTags)
	if diff := cmp.Diff(map[string]string{"RoutingPreference": "Internet"}, pairs); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	ranges, _ := in.Options.Prefixes(intent.KeyAzureAllowedRanges)
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}; !slices.Equal(ranges, want) {
		t.Errorf("got %v, want %v", ranges, want)
	}
	if !in.Options.Partial(intent.KeyAzureAllowedRanges) || in.Options.Partial(intent.KeyAzureTags) {
		t.Error("the list with a bad item is partial, the other is not")
	}
}

func TestAzureAddressesOfEachFamily(t *testing.T) {
	const v4, v6 = "service.beta.kubernetes.io/azure-load-balancer-ipv4", "service.beta.kubernetes.io/azure-load-balancer-ipv6"
	dual := []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
	tests := map[string]struct {
		families    []v1.IPFamily
		annotations []string
		spec        string
		want        []string
		problems    []string
	}{
		"one of each":                {dual, []string{v4, "192.0.2.1", v6, "2001:db8::1"}, "", []string{"192.0.2.1", "2001:db8::1"}, nil},
		"the spec for one family":    {dual, []string{v6, "2001:db8::1"}, "192.0.2.1", []string{"2001:db8::1", "192.0.2.1"}, nil},
		"the annotation counts":      {dual, []string{v4, "192.0.2.1"}, "192.0.2.9", []string{"192.0.2.1"}, []string{"warn: spec.loadBalancerIP is 192.0.2.9, but annotation azure-load-balancer-ipv4 asks for 192.0.2.1, which counts; remove one of them"}},
		"of a family it has not":     {dual[:1], []string{v6, "2001:db8::1"}, "", nil, []string{"warn: annotation azure-load-balancer-ipv6 asks for 2001:db8::1, but spec.ipFamilies is IPv4; it has no effect, remove it or add IPv6 to spec.ipFamilies"}},
		"the spec is no address":     {dual[:1], nil, "here", nil, []string{`refuse: spec.loadBalancerIP is "here", but must be an IP address such as 192.0.2.10; correct it or remove it`}},
		"both ask for the same":      {dual[:1], []string{v4, "192.0.2.1"}, "192.0.2.1", []string{"192.0.2.1"}, nil},
		"the spec of another family": {dual[1:], nil, "192.0.2.1", nil, []string{"warn: spec.loadBalancerIP asks for 192.0.2.1, but spec.ipFamilies is IPv6; it has no effect, remove it or add IPv4 to spec.ipFamilies"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			svc := annotated(tt.annotations...)
			svc.Spec.IPFamilies, svc.Spec.LoadBalancerIP = tt.families, tt.spec
			in, problems := azure(svc)
			var got []string
			for _, a := range in.Addresses {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("addresses -want +got:\n%s", diff)
			}
			if len(problems) == 0 {
				problems = nil
			}
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Errorf("problems -want +got:\n%s", diff)
			}
		})
	}
}

func TestPolicyOfAllAnnotationsStaysWithinTheBudget(t *testing.T) {
	j := newJudge(t, intent.Annotations().Policy())
	svc := annotated()
	for _, port := range []string{"80", "443", "8080", "9090"} {
		svc.Annotations["service.beta.kubernetes.io/port_"+port+"_health-probe_interval"] = "x"
		svc.Annotations["service.beta.kubernetes.io/port_"+port+"_health-probe_request-path"] = strings.Repeat("a", 16_000)
	}
	svc.Annotations[intent.KeyAzureAllowedRanges] = strings.Repeat("10.0.0.0/8,", 1_400)
	svc.Annotations[intent.KeyAzurePLSVisibility] = strings.Repeat("* ", 8_000)
	svc.Annotations[intent.KeyAzureAdditionalIPs] = strings.Repeat("192.0.2.1,", 1_600)
	got, cost := j.problems(t, svc, nil)
	if diff := cmp.Diff(refused(svc, intent.Azure, intent.Annotations()), got); diff != "" {
		t.Errorf("-parser +policy:\n%s", diff)
	}
	if cost > 1_000_000 {
		t.Errorf("an expression costs %d, the API server allows 1,000,000", cost)
	}
}
