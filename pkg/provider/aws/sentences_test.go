// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// badValue are values of an annotation of which each is told in one sentence, on
// each form of load balancers.
type badValue struct {
	suffix string
	values []string
	with   []string // other annotations, for them to count
	// byAWS: AWS alone can know, on the forms where it counts.
	byAWS bool
}

func badValues() []badValue {
	tls := []string{"ssl-cert", theCertificate}
	logs := []string{"access-log-enabled", "true", "access-log-s3-bucket-name", "logs"}
	return []badValue{
		{suffix: "internal", values: []string{"no", "0x"}},
		{suffix: "scheme", values: []string{"public", "Internal", "internal "}},
		{suffix: "nlb-target-type", values: []string{"pod", "IP"}},
		{suffix: "name", values: []string{"-a", "internal-x", "a_b", strings.Repeat("a", 33)}},
		{suffix: "ip-address-type", values: []string{"ipv6", "DUALSTACK"}},
		{suffix: "additional-resource-tags", values: []string{"aws:x=1", "=x", "a=1,a=2", "k=a&b", manyTags(49), manyTags(60), "kubernetes.io/service-name=x"}},
		{suffix: "subnets", values: []string{"", " ", ",", "nosuch", "subnet-1", "public-us-east-1a,public-us-east-1a"}},
		{suffix: "eip-allocations", values: []string{"192.0.2.1", "web"}},
		{suffix: "private-ipv4-addresses", values: []string{"web", "2001:db8::1"}},
		{suffix: "ipv6-addresses", values: []string{"10.0.0.1", "web", "2001:db8::1"}},
		{suffix: "target-node-labels", values: []string{"pool in (a,b)", "!a", "a!=b", "-a=1", "=x", "a=b c", "pool=no"}},
		{suffix: "attributes", values: []string{"foo", "=x", "deletion_protection.enabled=maybe", "deletion_protection.enabled="}},
		{suffix: "attributes", values: []string{"foo=1", "foo.bar=1"}, byAWS: true},
		{suffix: "cross-zone-load-balancing-enabled", values: []string{"yes", "2"}},
		{suffix: "access-log-enabled", values: []string{"yes", "true"}},
		{suffix: "access-log-s3-bucket-name", values: []string{"s3://x", "A/b"}, with: logs[:2]},
		{suffix: "access-log-s3-bucket-prefix", values: []string{strings.Repeat("x", 1025)}, with: logs},
		{suffix: "access-log-emit-interval", values: []string{"10", "x"}, with: logs},
		{suffix: "connection-draining-enabled", values: []string{"yes"}},
		{suffix: "connection-draining-timeout", values: []string{"0", "3601", "60s"}},
		{suffix: "connection-idle-timeout", values: []string{"0", "4001", "60s"}},
		{suffix: "security-groups", values: []string{"web", "sg-nothere", "sg-1 sg-2", ",", " "}},
		{suffix: "extra-security-groups", values: []string{"web", "sg-nothere", ",", "a,,b"}},
		{suffix: "manage-backend-security-group-rules", values: []string{"yes"}},
		{suffix: "disable-nlb-sg", values: []string{"yes"}},
		{suffix: "security-group-prefix-lists", values: []string{"office", "pl-zz"}},
		{suffix: "inbound-sg-rules-on-private-link-traffic", values: []string{"true", "ON"}},
		{suffix: "enable-icmp-for-path-mtu-discovery", values: []string{"true", "off"}},
		{suffix: "ssl-cert", values: []string{"web", "a,b"}},
		{suffix: "ssl-cert", values: []string{theCertificate + "0"}, byAWS: true},
		{suffix: "ssl-ports", values: []string{"https", "8080, 9090"}},
		{suffix: "ssl-ports", values: []string{"https", "80, 443", "*,80"}, with: tls},
		{suffix: "ssl-negotiation-policy", values: []string{"TLS13"}},
		{suffix: "ssl-negotiation-policy", values: []string{"x y"}, with: tls},
		{suffix: "ssl-negotiation-policy", values: []string{"TLS13"}, with: tls, byAWS: true},
		{suffix: "alpn-policy", values: []string{"h2", "HTTP2Only"}},
		{suffix: "alpn-policy", values: []string{"h2", "http2only"}, with: tls},
		{suffix: "backend-protocol", values: []string{"grpc", "SSL", "ssl", "https"}},
		{suffix: "backend-protocol", values: []string{"grpc", "SSL"}, with: tls},
		{suffix: "proxy-protocol", values: []string{"true", "80"}},
		{suffix: "proxy-protocol-per-target-group", values: []string{"http", "81", "80,,81"}},
		{suffix: "target-group-attributes", values: []string{"preserve_client_ip.enabled", "=", "preserve_client_ip.enabled=maybe", "proxy_protocol_v2.enabled=true,proxy_protocol_v2.enabled=false", "preserve_client_ip.enabled=true;proxy_protocol_v2.enabled=true"}},
		{suffix: "target-group-attributes", values: []string{"foo=1"}, byAWS: true},
		{suffix: "target-group-attributes.80", values: []string{"stickiness", "stickiness.enabled=maybe"}},
		{suffix: "target-group-attributes.81", values: []string{"stickiness.enabled=true", "x"}},
		{suffix: "listener-attributes.TCP-80", values: []string{"x", "tcp.idle_timeout.seconds=1"}},
		{suffix: "listener-attributes.TCP-80", values: []string{"foo=1"}, byAWS: true},
		{suffix: "listener-attributes.TCP-81", values: []string{"tcp.idle_timeout.seconds=100"}},
		{suffix: "listener-attributes.UDP-80", values: []string{"tcp.idle_timeout.seconds=100"}},
		{suffix: "listener-attributes.TCP_UDP-80", values: []string{"tcp.idle_timeout.seconds=100"}},
		{suffix: "enable-tcp-udp-listener", values: []string{"yes"}},
		{suffix: "multi-cluster-target-group", values: []string{"yes"}},
		{suffix: "healthcheck-protocol", values: []string{"UDP", "gRPC"}},
		{suffix: "healthcheck-port", values: []string{"web", "0", "70000"}},
		{suffix: "healthcheck-path", values: []string{"/healthz"}},
		{suffix: "healthcheck-path", values: []string{"healthz", "http://x/"}, with: []string{"healthcheck-protocol", "HTTP"}},
		{suffix: "healthcheck-interval", values: []string{"4", "301", "10s", "5"}},
		{suffix: "healthcheck-timeout", values: []string{"1", "61", "121", "x"}},
		{suffix: "healthcheck-healthy-threshold", values: []string{"1", "11", "x"}},
		{suffix: "healthcheck-unhealthy-threshold", values: []string{"1", "11", "x"}},
		{suffix: "healthcheck-success-codes", values: []string{"200-399"}},
		{suffix: "healthcheck-success-codes", values: []string{"abc", "100", "399-200", "200,399-201"}, with: []string{"healthcheck-protocol", "HTTP"}},
		{suffix: "quic-enabled-ports", values: []string{"443", "x"}},
		{suffix: "enable-prefix-for-ipv6-source-nat", values: []string{"on"}},
		{suffix: "source-nat-ipv6-prefixes", values: []string{"x"}},
		{suffix: "minimum-load-balancer-capacity", values: []string{"5"}},
	}
}

// TestEachBadValueIsToldInOneSentence has every annotation with values that
// cannot be: the user gets one sentence, which names it, its value and what to
// do, and AWS refuses nothing that could have been known.
func TestEachBadValueIsToldInOneSentence(t *testing.T) {
	for _, form := range []string{"", "nlb", "external"} {
		t.Run(form, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{Certificates: []string{theCertificate}})
			s := newSite(t)
			for _, b := range badValues() {
				for _, value := range b.values {
					svc := s.service("web", with(b.with...), with("type", form, b.suffix, value))
					l.add(t, svc)
					told, refused := l.told(t, svc)
					if !isOneSentence(told, b.suffix, value) {
						t.Errorf("%s is %q with %q:\n%s", b.suffix, value, b.with, strings.Join(told, "\n"))
					}
					if refused && !b.byAWS {
						t.Errorf("%s is %q with %q: AWS refuses it", b.suffix, value, b.with)
					}
				}
			}
		})
	}
}

// told is what a pass tells of a Service, and whether AWS refused something.
func (l *live) told(t *testing.T, svc *v1.Service) (out []string, refused bool) {
	t.Helper()
	_, problems := intent.New(svc, intent.AWS, intent.Annotations())
	for _, p := range problems {
		out = append(out, p.Sentence)
	}
	if intent.Refusal(problems) != nil {
		return out, false
	}
	d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
	for _, n := range d.Notices[keyOf(svc)] {
		if n.Warning {
			out = append(out, n.Message)
		}
	}
	if err := d.Refused[keyOf(svc)]; err != nil {
		out = append(out, err.Error())
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n") // what needs the step fails, too
		out, refused = append(out, first), true
	}
	if !d.Plan.Empty() {
		l.must(t, -1, provider.Remove, provider.Edit, svc)
	}
	return out, refused
}

// isOneSentence reports whether one sentence names annotation, value and cure.
func isOneSentence(told []string, suffix, value string) bool {
	if len(told) != 1 {
		return false
	}
	cures := []string{"correct", "write", "remove", "name", "take", "raise", "lower", "set", "add", "it counts as", "choose", "label"}
	_, after, ok := strings.Cut(told[0], "annotation "+annotation+suffix)
	named := strings.HasPrefix(after, ` is "`+value[:min(len(value), 40)]) || slices.ContainsFunc(strings.Split(value, ","), func(item string) bool {
		return item != "" && strings.Contains(after, item)
	})
	return ok && named && slices.ContainsFunc(cures, func(word string) bool { return strings.Contains(after, word) })
}

// TestEachAnnotationHasBadValues: a new annotation is not forgotten above.
func TestEachAnnotationHasBadValues(t *testing.T) {
	have := map[string]bool{"type": true} // another type is a form
	for _, b := range badValues() {
		have[regexp.MustCompile(`\.(TCP_UDP|TCP|UDP)-\d+$|\.\d+$`).ReplaceAllString(b.suffix, "")] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `"+regexp.QuoteMeta(annotation)+"([a-z0-9-]+)").FindAllStringSubmatch(intent.Annotations().Page(), -1)
	if len(rows) < 50 {
		t.Fatalf("%d annotations", len(rows))
	}
	for _, row := range rows {
		if !have[row[1]] {
			t.Errorf("%s", row[1])
		}
	}
}
