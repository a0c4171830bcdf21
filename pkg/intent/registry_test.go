// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

func TestTheFirstKeyThatIsPresentCounts(t *testing.T) {
	const ours, newer, older = "fairlead.dev/address-pool", "metallb.io/address-pool", "metallb.universe.tf/address-pool"
	tests := map[string]struct {
		annotations          []string
		pool, source, reason string
	}{
		"ours before MetalLB's":             {[]string{ours, "a", newer, "b", older, "b"}, "a", ours, "ConflictingAnnotations"},
		"MetalLB's new before its old":      {[]string{newer, "b", older, "c"}, "b", newer, "ConflictingAnnotations"},
		"the old one alone":                 {[]string{older, "c"}, "c", older, "DeprecatedAnnotation"},
		"equal ones need no warning":        {[]string{ours, "a", newer, "a"}, "a", ours, ""},
		"an empty first one hides the rest": {[]string{newer, "", older, "c"}, "", "", "ConflictingAnnotations"},
		"none":                              {nil, "", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in, problems := intent.New(annotated(tt.annotations...), intent.Metal, intent.Annotations())
			source := strings.TrimPrefix(in.Options.Source(intent.KeyPool), "annotation ")
			if in.Pool != tt.pool || source != tt.source {
				t.Errorf("pool %q of %q, want %q of %q", in.Pool, source, tt.pool, tt.source)
			}
			var reason string
			if len(problems) > 0 {
				reason = problems[0].Reason
			}
			if reason != tt.reason {
				t.Errorf("first reason %q, want %q", reason, tt.reason)
			}
			if err := intent.Refusal(problems); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestOptionsAreTypedAndDefaulted(t *testing.T) {
	in, problems := intent.New(annotated(
		"test.io/bool", "TRUE",
		"test.io/lenient-bool", "yes",
		"test.io/enum", "https",
		"test.io/clearable", "",
		"test.io/text", "",
		"test.io/v4s", "192.0.2.1  192.0.2.2",
		"test.io/ranges", "10.1.2.3/8,::/0",
		"test.io/names", "a, b",
		"test.io/pairs", "a=1, b=2=3,a=4",
		"test.io/port-443-off", "true",
	), "any", everyKind(t))
	if len(problems) != 1 || problems[0].Severity != intent.Warn ||
		problems[0].Sentence != `annotation test.io/lenient-bool is "yes", but must be true or false; it counts as "false"` {
		t.Errorf("problems: %v", problems)
	}
	o := in.Options
	check := func(name string, got any, ok bool, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || ok != (want != nil) {
			t.Errorf("%s: ok %t, -want +got:\n%s", name, ok, diff)
		}
	}
	got := func(v any, ok bool) any {
		if !ok {
			return nil
		}
		return v
	}
	b, ok := o.Bool("test.io/bool")
	check("bool", got(b, ok), ok, true)
	b, ok = o.Bool("test.io/lenient-bool")
	check("tolerated", got(b, ok), ok, false)
	b, ok = o.Bool("test.io/port-443-off")
	check("pattern", got(b, ok), ok, true)
	b, ok = o.Bool("test.io/port-80-off")
	check("pattern not written", got(b, ok), ok, nil)
	n, ok := o.Int("test.io/int")
	check("default", got(n, ok), ok, 4)
	n, ok = o.Int("test.io/bool")
	check("another type", got(n, ok), ok, nil)
	s, ok := o.Text("test.io/enum")
	check("enum", got(s, ok), ok, "HTTPS")
	s, ok = o.Text("test.io/clearable")
	check("empty value", got(s, ok), ok, "")
	s, ok = o.Text("test.io/text")
	check("empty is unset", got(s, ok), ok, nil)
	as, ok := o.Addresses("test.io/v4s")
	check("addresses", got(as, ok), ok, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")})
	ps, ok := o.Prefixes("test.io/ranges")
	check("ranges", got(ps, ok), ok, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")})
	ts, ok := o.Texts("test.io/names")
	check("names", got(ts, ok), ok, []string{"a", "b"})
	ts, ok = o.Texts("test.io/ranges")
	check("a list of another type", got(ts, ok), ok, nil)
	kv, ok := o.Pairs("test.io/pairs")
	check("pairs", got(kv, ok), ok, map[string]string{"a": "4", "b": "2=3"})
}

func TestOptionsAreEqualWhateverKeyTheyWereWrittenUnder(t *testing.T) {
	reg := intent.Annotations()
	a, _ := intent.New(annotated("fairlead.dev/load-balancer-ips", " 192.0.2.1"), intent.Metal, reg)
	b, _ := intent.New(annotated("metallb.io/loadBalancerIPs", "192.0.2.1"), intent.Metal, reg)
	c, _ := intent.New(annotated("metallb.io/loadBalancerIPs", "192.0.2.2"), intent.Metal, reg)
	if !a.Options.Equal(b.Options) || a.Options.Equal(c.Options) || a.Options.Equal(intent.Options{}) {
		t.Error("options do not compare by value")
	}
}

func TestAnnotationsWithoutEffectOnAProvider(t *testing.T) {
	svc := annotated("fairlead.dev/address-pool", "gold", "metallb.io/allow-shared-ip", "x", "metallb.io/misspelt", "x")
	_, problems := intent.New(svc, "elsewhere", intent.Annotations())
	if len(problems) != 1 || problems[0].Sentence != `annotation fairlead.dev/address-pool is "gold", but has no effect with provider elsewhere; remove it` {
		t.Errorf("problems: %v", problems)
	}
}

func TestSourceRangesByAnnotationCountWhereTheSpecHasNone(t *testing.T) {
	svc := annotated(intent.KeySourceRanges, "10.0.0.0/8, 192.0.2.7/24")
	in, problems := intent.New(svc, "elsewhere", intent.Annotations())
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	if len(problems) > 0 || len(in.SourceRanges) != 2 || in.SourceRanges[0] != want[0] || in.SourceRanges[1] != want[1] {
		t.Errorf("got %v, want %v; problems %v", in.SourceRanges, want, problems)
	}
	svc.Spec.LoadBalancerSourceRanges = []string{"010.1.0.0/16"}
	in, _ = intent.New(svc, "elsewhere", intent.Annotations())
	if len(in.SourceRanges) != 1 || in.SourceRanges[0] != netip.MustParsePrefix("10.1.0.0/16") {
		t.Errorf("got %v, want that of the spec, as the API reads it", in.SourceRanges)
	}
}

func TestFamiliesOfOldObjectsFollowTheClusterIP(t *testing.T) {
	for clusterIP, want := range map[string]intent.Family{"10.0.0.1": intent.V4, "fd00::1": intent.V6, "": intent.V4} {
		svc := service(func(svc *v1.Service) { svc.Spec.IPFamilies, svc.Spec.ClusterIP = nil, clusterIP })
		in, _ := intent.New(svc, intent.Metal, intent.Annotations())
		if len(in.Families) != 1 || in.Families[0] != want || in.FamilyPolicy != intent.SingleStack {
			t.Errorf("cluster IP %q: families %v, policy %d", clusterIP, in.Families, in.FamilyPolicy)
		}
	}
}

func TestLoadBalancerIPAsksForAnAddress(t *testing.T) {
	svc := service(func(svc *v1.Service) { svc.Spec.LoadBalancerIP = "::ffff:192.0.2.1" })
	in, problems := intent.New(svc, intent.Metal, intent.Annotations())
	if len(problems) > 0 || len(in.Addresses) != 1 || in.Addresses[0] != netip.MustParseAddr("192.0.2.1") || in.AddressSource != "spec.loadBalancerIP" {
		t.Errorf("addresses %v by %q, problems %v", in.Addresses, in.AddressSource, problems)
	}
	svc.Annotations[intent.KeyAddresses] = "192.0.2.1,2001:db8::1"
	in, problems = intent.New(svc, intent.Metal, intent.Annotations())
	if len(problems) > 0 || len(in.Addresses) != 2 {
		t.Errorf("an annotation that agrees: addresses %v, problems %v", in.Addresses, problems)
	}
}

func TestWantsFollowsTypeAndClass(t *testing.T) {
	class := func(name string) *v1.Service {
		return service(func(svc *v1.Service) { svc.Spec.LoadBalancerClass = &name })
	}
	metal := intent.ClassOf(intent.Metal)
	tests := map[string]struct {
		svc     *v1.Service
		classes []string
		want    bool
	}{
		"unclassed, and we are the default":     {service(nil), []string{"", metal}, true},
		"unclassed, and we are not the default": {service(nil), []string{metal}, false},
		"our class":                             {class("fairlead.dev/metal"), []string{metal}, true},
		"a foreign class":                       {class("example.com/x"), []string{"", metal}, false},
		"another type": {
			service(func(svc *v1.Service) { svc.Spec.Type = v1.ServiceTypeClusterIP }), []string{"", metal}, false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := intent.Wants(tt.svc, tt.classes...); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestRefusalJoinsWhatRefusesOnOneLine(t *testing.T) {
	svc := annotated("fairlead.dev/load-balancer-ips", "x\ny", "fairlead.dev/adress-pool", "p", "metallb.universe.tf/address-pool", "p")
	_, problems := intent.New(svc, intent.Metal, intent.Annotations())
	err := intent.Refusal(problems)
	const want = `annotation fairlead.dev/adress-pool is not known; did you mean fairlead.dev/address-pool?; also ` +
		`annotation fairlead.dev/load-balancer-ips is "x\ny", but must be at most one IPv4 and one IPv6 address, separated by a comma; write it like "192.0.2.10,2001:db8::10", or remove the annotation`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	refusal, ok := errors.AsType[*plan.Error](err)
	if !ok || refusal.Kind != plan.Invalid || refusal.Reason != intent.ReasonUnknownAnnotation {
		t.Errorf("refusal: %+v", refusal)
	}
	if p, ok := errors.AsType[intent.Problem](err); !ok || p.Field != "metadata.annotations[fairlead.dev/adress-pool]" {
		t.Errorf("problem: %+v", p)
	}
	if err := intent.Refusal(nil); err != nil {
		t.Errorf("refused for nothing: %v", err)
	}
}

func TestTheRegistryRefusesFaultyTables(t *testing.T) {
	tests := map[string][]intent.Annotation{
		"test.io/x stands in it twice":              {{Key: "test.io/x", Kind: intent.Bool{}}, {Key: "test.io/y", Kind: intent.Bool{}, Aliases: []intent.Alias{{Key: "test.io/x"}}}},
		`test.io/x must be true or false, and "4"`:  {{Key: "test.io/x", Kind: intent.Bool{}, Default: "4"}},
		`test.io/x-* has a star`:                    {{Key: "test.io/x-*", Kind: intent.Bool{}, Default: "true"}},
		"at most 2 characters, and \"long\" is not": {{Key: "test.io/x", Kind: intent.Text{Max: 2, Example: "long"}}},
	}
	for want, table := range tests {
		if _, err := intent.NewRegistry(nil, intent.Table{Annotations: table}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	tests := map[string]string{
		"address-pool-":   "address-pool",
		"adress-pool":     "address-pool",
		"address-poool":   "address-pool",
		"addresspool":     "address-pool",
		"addressPool":     "address-pool",
		"addres-spool":    "address-pool",
		"address-pols":    "",
		"adderss-pool":    "address-pool",
		"loadBalancerIPs": "load-balancer-ips",
		"loadBalancerIP":  "load-balancer-ips",
		"pool":            "",
	}
	reg := intent.Annotations()
	for key, want := range tests {
		_, problems := intent.New(annotated("fairlead.dev/"+key, "x"), intent.Metal, reg)
		if len(problems) != 1 {
			t.Fatalf("%s: %v", key, problems)
		}
		_, rest, found := strings.Cut(problems[0].Sentence, "did you mean fairlead.dev/")
		if got := strings.TrimSuffix(rest, "?"); found != (want != "") || got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}
