// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
)

const (
	awsPrefix = "service.beta.kubernetes.io/aws-load-balancer-"
	awsOther  = "service.kubernetes.io/aws-load-balancer-"
)

// awsAnnotated is a Service with annotations by their suffixes.
func awsAnnotated(pairs ...string) *v1.Service {
	svc := annotated()
	svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol}
	for i := 0; i < len(pairs); i += 2 {
		key := pairs[i]
		if !strings.Contains(key, "/") {
			key = awsPrefix + key
		}
		svc.Annotations[key] = pairs[i+1]
	}
	return svc
}

func onAWS(svc *v1.Service) (intent.Intent, []string) {
	in, problems := intent.New(svc, intent.AWS, intent.Annotations())
	var sentences []string
	for _, p := range problems {
		word := map[intent.Severity]string{intent.Note: "note: ", intent.Warn: "warn: ", intent.Refuse: "refuse: "}[p.Severity]
		sentences = append(sentences, word+strings.ReplaceAll(p.Sentence, awsPrefix, ""))
	}
	return in, sentences
}

// judged is a Service, and what users are told of it.
type judged struct {
	svc  *v1.Service
	want []string
}

func judgeAWS(t *testing.T, tests map[string]judged) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got := onAWS(tt.svc)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAWSFormFollowsTypeAndClass(t *testing.T) {
	tests := map[string]struct {
		class       string
		annotations []string
		want        intent.AWSForm
	}{
		"nothing is classic":              {"", nil, intent.AWSClassic},
		"nlb":                             {"", []string{"type", "nlb"}, intent.AWSNetwork},
		"another case is classic":         {"", []string{"type", "NLB"}, intent.AWSClassic},
		"external":                        {"", []string{"type", "external"}, intent.AWSExternal},
		"nlb-ip":                          {"", []string{"type", "nlb-ip"}, intent.AWSExternal},
		"the other prefix":                {"", []string{awsOther + "type", "external"}, intent.AWSExternal},
		"the first prefix counts":         {"", []string{"type", "nlb", awsOther + "type", "external"}, intent.AWSNetwork},
		"nlb is not read elsewhere":       {"", []string{awsOther + "type", "nlb"}, intent.AWSClassic},
		"the controller's class":          {"service.k8s.aws/nlb", []string{"type", "nlb"}, intent.AWSExternal},
		"our class says nothing":          {"fairlead.dev/aws", nil, intent.AWSClassic},
		"our class and the type together": {"fairlead.dev/aws", []string{"type", "nlb"}, intent.AWSNetwork},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			svc := awsAnnotated(tt.annotations...)
			if tt.class != "" {
				svc.Spec.LoadBalancerClass = &tt.class
			}
			in, _ := onAWS(svc)
			if got := intent.AWSFormOf(svc); got != tt.want || in.AWS != tt.want {
				t.Errorf("got %s, of the intent %s, want %s", got, in.AWS, tt.want)
			}
		})
	}
}

func TestAWSExternalTakesInternalAsItsControllerDoes(t *testing.T) {
	tests := map[string]struct {
		annotations []string
		want        intent.AWSScheme
		problems    []string
	}{
		"t":                       {[]string{"internal", "t"}, intent.AWSInternalYes, nil},
		"False":                   {[]string{"internal", "False"}, intent.AWSInternalNo, nil},
		"0":                       {[]string{"internal", "0"}, intent.AWSInternalNo, nil},
		"f by the other prefix":   {[]string{awsOther + "internal", "f"}, intent.AWSInternalNo, nil},
		"nothing":                 {nil, intent.AWSInternalUnset, nil},
		"neither yes nor no":      {[]string{"internal", "no"}, intent.AWSInternalUnset, []string{`refuse: annotation internal is "no", but must be true or false, or t, f, 1 or 0; write it like "true", or remove the annotation`}},
		"not read beside scheme":  {[]string{"internal", "no", "scheme", "internal"}, intent.AWSInternalYes, []string{`warn: annotation internal is "no", but annotation scheme is "internal", which counts; remove one of them`}},
		"the same as scheme says": {[]string{"internal", "0", "scheme", "internet-facing"}, intent.AWSInternalNo, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in, problems := onAWS(awsAnnotated(append([]string{"type", "external"}, tt.annotations...)...))
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got := intent.AWSInternal(in); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAWSTakesInternalAsThePeerDoes(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "false": false, "False": true, "0": true, "no": true, " ": true, "false ": true, "": false} {
		in, problems := onAWS(awsAnnotated("internal", text))
		got, _ := in.Options.Bool(intent.KeyAWSInternal)
		if got != want || (intent.AWSInternal(in) == intent.AWSInternalYes) != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
		warned := len(problems) == 1 && strings.HasPrefix(problems[0], "warn: ")
		if usual := text == "true" || text == "false" || text == ""; warned == usual || len(problems) > 1 {
			t.Errorf("%q: problems %q", text, problems)
		}
	}
	in, _ := onAWS(awsAnnotated("type", "external"))
	if got := intent.AWSInternal(in); got != intent.AWSInternalUnset {
		t.Errorf("external and silent: %d", got)
	}
}

// noLabel is what is said of something that cannot be a label of a node.
const noLabel = `can be no label of a node; write labels like "pool=web", separated by commas, of which a node must have all: there are no other expressions`

func TestAWSProblemsByForm(t *testing.T) {
	nlb := func(pairs ...string) *v1.Service { return awsOf("nlb", pairs...) }
	external := func(pairs ...string) *v1.Service { return awsOf("external", pairs...) }
	udp := func(svc *v1.Service) *v1.Service { svc.Spec.Ports[0].Protocol = v1.ProtocolUDP; return svc }
	tests := map[string]judged{
		"a type that nobody knows is the provider's": {awsAnnotated("type", "NLB"), nil},
		"the PROXY protocol on some ports":           {awsAnnotated("proxy-protocol", "80"), []string{`refuse: annotation proxy-protocol is "80", but must be exactly *; write it like "*", or remove the annotation`}},
		"the PROXY protocol of nlb":                  {nlb("proxy-protocol", "x"), []string{`warn: annotation proxy-protocol is "x", but has no effect on a load balancer of type nlb; remove it`}},
		"a switch as Go reads it":                    {awsAnnotated("cross-zone-load-balancing-enabled", "T"), nil},
		"a switch that Go does not read":             {awsAnnotated("access-log-enabled", "on"), []string{`refuse: annotation access-log-enabled is "on", but must be true or false, or t, f, 1 or 0; write it like "true", or remove the annotation`}},
		"what only classic ones have":                {external("connection-idle-timeout", "7"), []string{`warn: annotation connection-idle-timeout is "7", but has no effect on a load balancer of type external; remove it`}},
		"what only external ones have":               {nlb("scheme", "internal"), []string{`warn: annotation scheme is "internal", but has no effect on a load balancer of type nlb: only Services of type external have it; remove it`}},
		"the other prefix where it is not read":      {awsAnnotated(awsOther+"internal", "true"), []string{`warn: annotation service.kubernetes.io/aws-load-balancer-internal is "true", but has no effect on a classic load balancer; write it as internal`}},
		"a misspelt key":                             {awsAnnotated("intrenal", "true"), []string{`warn: annotation intrenal is not known; did you mean internal?`}},
		"more security groups for nlb":               {nlb("extra-security-groups", ""), []string{`refuse: annotation extra-security-groups is "", but a load balancer of type nlb has none; remove the annotation`}},
		"a security group by name":                   {awsAnnotated("security-groups", "sg-1, web"), []string{`refuse: annotation security-groups is "sg-1, web", but "web" is no id of a security group; write ids such as "sg-0a1b2c3d"`}},
		"a security group by name for external":      {external("security-groups", "sg-1, web"), nil},
		"an item that is empty":                      {awsAnnotated("security-groups", "sg-1,"), []string{`warn: annotation security-groups is "sg-1,", but must be 1 to 50 security groups, separated by commas, each text of at most 255 characters; it counts as those items that are allowed`}},
		"no subnets":                                 {nlb("subnets", ""), []string{`refuse: annotation subnets is "", but must name a subnet; write ids such as "subnet-0a1b2c3d", or remove the annotation`}},
		"elastic IPs that do not fit the subnets":    {nlb("subnets", "a,b", "eip-allocations", "eipalloc-1"), []string{`refuse: annotation eip-allocations is "eipalloc-1", but its number of items, 1, is not that of annotation subnets, 2; write one for each subnet`}},
		"elastic IPs of an internal one":             {nlb("internal", "true", "eip-allocations", "eipalloc-1"), []string{`refuse: annotation eip-allocations is "eipalloc-1", but an internal load balancer has no elastic IPs; remove it, or make the load balancer internet-facing`}},
		"private addresses of a public one":          {nlb("private-ipv4-addresses", "10.0.0.9"), []string{`refuse: annotation private-ipv4-addresses is "10.0.0.9", but private addresses are for internal load balancers; remove it, or use annotation eip-allocations`}},
		"two certificates for a classic one":         {awsAnnotated("ssl-cert", "arn:aws:acm:eu-west-1:111122223333:certificate/a,arn:aws:acm:eu-west-1:111122223333:certificate/b"), []string{`refuse: annotation ssl-cert is "arn:aws:acm:eu-west-1:111122223333:certificate/a,arn:aws:acm:eu-…", but a classic load balancer has one certificate; write one ARN, or make a Service of type nlb`}},
		"a backend protocol of TLS":                  {awsAnnotated("ssl-cert", "arn:aws:acm:eu-west-1:111122223333:certificate/a", "backend-protocol", "HTTP"), []string{`refuse: annotation backend-protocol is "HTTP", but must be one of http, https, ssl, tcp on a classic load balancer with a certificate; correct it, or remove the annotation`}},
		"what the Service has not":                   {external("listener-attributes.TCP-81", "a.b=1", "target-group-attributes.81", "a.b=1", "proxy-protocol-per-target-group", "81"), []string{`warn: annotation listener-attributes.TCP-81 is "a.b=1", but has no effect: the Service has no listener TCP-81; let the key end in TCP-80, or remove it`, `warn: annotation proxy-protocol-per-target-group is "81", but "81" is no port of the Service; write numbers of its ports, or remove it`, `warn: annotation target-group-attributes.81 is "a.b=1", but has no effect: the Service has no port 81; let the key end in 80, or remove it`}},
		"a backend protocol without TLS":             {awsAnnotated("backend-protocol", "https"), []string{`warn: annotation backend-protocol is "https", but has no effect without a certificate; remove it, or add annotation ssl-cert`}},
		"TLS at the nodes without a certificate":     {nlb("backend-protocol", "ssl"), []string{`warn: annotation backend-protocol is "ssl", but has no effect without a certificate; remove it, or add annotation ssl-cert`}},
		"settings of TLS without a certificate":      {external("ssl-ports", "81", "ssl-negotiation-policy", "a", "alpn-policy", "None"), []string{`warn: annotation alpn-policy is "None", but has no effect without a certificate; remove it, or add annotation ssl-cert`, `warn: annotation ssl-negotiation-policy is "a", but has no effect without a certificate; remove it, or add annotation ssl-cert`, `warn: annotation ssl-ports is "81", but has no effect without a certificate; remove it, or add annotation ssl-cert`}},
		"a backend protocol of nlb":                  {nlb("backend-protocol", "http"), []string{`warn: annotation backend-protocol is "http", but has no effect on a load balancer of type nlb, which knows ssl and tcp; remove it`}},
		"a port of TLS that is none":                 {awsAnnotated("ssl-cert", "arn:aws:acm:eu-west-1:111122223333:certificate/a", "ssl-ports", "80, 443"), []string{`warn: annotation ssl-ports is "80, 443", but " 443" is no port of the Service; remove that item, or write the number or name of a port as it is, without spaces`}},
		"ports of TLS that are none":                 {awsAnnotated("ssl-cert", "arn:aws:acm:eu-west-1:111122223333:certificate/a", "ssl-ports", "80,81,82,a"), []string{`warn: annotation ssl-ports is "80,81,82,a", but "81", "82" and "a" are no ports of the Service; remove those items, or write the number or name of a port as it is, without spaces`}},
		"one tag twice":                              {awsAnnotated("additional-resource-tags", "a=1,b=3,a=2"), []string{`warn: annotation additional-resource-tags is "a=1,b=3,a=2", but has "a" twice, of which the last counts, "2"; take the other away`}},
		"one tag twice, alike":                       {awsAnnotated("additional-resource-tags", "a=1,a=1"), nil},
		"a bare tag":                                 {nlb("additional-resource-tags", "a"), nil},
		"a bare tag for external":                    {external("additional-resource-tags", "b=1,a"), []string{`refuse: annotation additional-resource-tags is "b=1,a", but "a" is no key=value; correct it, or take it away`}},
		"a bare attribute of a port":                 {external("target-group-attributes.80", "stickiness"), []string{`refuse: annotation target-group-attributes.80 is "stickiness", but "stickiness" is no key=value; correct it, or take it away`}},
		"more tags than AWS allows":                  {awsAnnotated("additional-resource-tags", strings.TrimSuffix(strings.Repeat("a,", 60), ",")), nil},
		"labels of nodes":                            {nlb("target-node-labels", "pool=web, example.com/a=,b"), nil},
		"labels by an expression":                    {nlb("target-node-labels", "pool in (a,b)"), []string{`refuse: annotation target-node-labels is "pool in (a,b)", but "b)" ` + noLabel}},
		"labels that must not be there":              {awsAnnotated("target-node-labels", "!a"), []string{`refuse: annotation target-node-labels is "!a", but "!a" ` + noLabel}},
		"labels by another expression":               {external("target-node-labels", "a!=b"), []string{`refuse: annotation target-node-labels is "a!=b", but "a!=b" ` + noLabel}},
		"a label as selectors have it":               {nlb("target-node-labels", "pool==web"), []string{`warn: annotation target-node-labels is "pool==web", but pool==web has another = in it, and counts as "pool"; write it so`}},
		"a label as selectors have it, external":     {external("target-node-labels", "pool==web"), []string{`refuse: annotation target-node-labels is "pool==web", but "pool==web" ` + noLabel}},
		"a bare label for external":                  {external("target-node-labels", "pool"), []string{`refuse: annotation target-node-labels is "pool", but "pool" is no key=value; correct it, or take it away`}},
		"two faults of certificates":                 {awsAnnotated("ssl-cert", "a,b"), []string{`refuse: annotation ssl-cert is "a,b", but a classic load balancer has one certificate; write one ARN, or make a Service of type nlb`}},
		"a timeout that no classic one has":          {awsAnnotated("healthcheck-timeout", "61"), []string{`refuse: annotation healthcheck-timeout is "61", but must be a whole number from 2 to 60 (seconds); correct it, or remove the annotation`}},
		"empty items that are refused anyway":        {nlb("target-group-attributes", "a=1,,b=2"), []string{`refuse: annotation target-group-attributes is "a=1,,b=2", but must be key=value of preserve_client_ip.enabled and proxy_protocol_v2.enabled, separated by commas; correct it, or remove the annotation`}},
		"target groups of a classic one":             {awsAnnotated("target-group-attributes", ""), []string{`refuse: annotation target-group-attributes is "", but a classic load balancer has no target groups; remove the annotation`}},
		"an attribute that nlb does not take":        {nlb("target-group-attributes", "stickiness.enabled=true"), []string{`refuse: annotation target-group-attributes is "stickiness.enabled=true", but "stickiness.enabled" is not allowed on a load balancer of type nlb, only preserve_client_ip.enabled and proxy_protocol_v2.enabled; remove it`}},
		"a value that nlb does not take":             {nlb("target-group-attributes", "proxy_protocol_v2.enabled=on"), []string{`refuse: annotation target-group-attributes is "proxy_protocol_v2.enabled=on", but proxy_protocol_v2.enabled must be true or false; correct it, or remove it`}},
		"clients' addresses of UDP":                  {udp(nlb("target-group-attributes", "preserve_client_ip.enabled=false")), []string{`refuse: annotation target-group-attributes is "preserve_client_ip.enabled=false", but ports of UDP always preserve the addresses of clients; remove preserve_client_ip.enabled`}},
		"any attribute for external":                 {external("target-group-attributes", "stickiness.enabled=true"), nil},
		"a health check of SSL":                      {nlb("healthcheck-protocol", "ssl"), []string{`refuse: annotation healthcheck-protocol is "ssl", but must be one of TCP, HTTP, HTTPS; write it like "TCP", or remove the annotation`}},
		"a health check of SSL on a classic one":     {awsAnnotated("healthcheck-protocol", "ssl"), nil},
		"a health check's port by name":              {nlb("healthcheck-port", "http"), []string{`refuse: annotation healthcheck-port is "http", but must be traffic-port or a number from 1 to 65535; correct it, or remove the annotation`}},
		"a health check's port by name for external": {external("healthcheck-port", "http"), nil},
		"a timeout that nlb never sends":             {nlb("healthcheck-timeout", "1"), []string{`warn: annotation healthcheck-timeout is "1", but must be a whole number from 2 to 120 (seconds); it counts as not set`}},
		"a timeout above a classic one's interval":   {awsAnnotated("healthcheck-interval", "5"), []string{`refuse: annotation healthcheck-interval is "5", but the timeout of 5 seconds must be below the interval of 5; lower the timeout, or raise the interval`}},
		"what is not supported yet":                  {external("minimum-load-balancer-capacity", "CapacityUnits=9"), []string{`warn: annotation minimum-load-balancer-capacity is "CapacityUnits=9", but has no effect on a load balancer of type external: it is not supported yet; remove it`}},
		"QUIC":                                       {external("quic-enabled-ports", "443"), []string{`refuse: annotation quic-enabled-ports is "443", but QUIC is not supported yet; remove it, or leave the Service to the AWS Load Balancer Controller`}},
		"weights":                                    {external("service.beta.kubernetes.io/actions.TCP-80", "{}"), []string{`refuse: annotation service.beta.kubernetes.io/actions.TCP-80 is "{}", but forwarding with weights is not supported yet; remove it, or leave the Service to the AWS Load Balancer Controller`}},
		"a name that AWS reserves":                   {external("name", "internal-web"), []string{`refuse: annotation name is "internal-web", but must be letters, digits and dashes, with a letter or digit at both ends, and not begin with internal-; correct it, or remove the annotation`}},
		"two answers about the scheme":               {external("scheme", "internet-facing", "internal", "true"), []string{`warn: annotation internal is "true", but annotation scheme is "internet-facing", which counts; remove one of them`}},
	}
	judgeAWS(t, tests)
}

func TestAWSSpecThatCannotBeServed(t *testing.T) {
	svc := awsAnnotated("type", "nlb")
	svc.Spec.LoadBalancerIP, svc.Spec.SessionAffinity = "10.0.0.9", v1.ServiceAffinityClientIP
	_, got := onAWS(svc)
	want := []string{
		`refuse: spec.loadBalancerIP is "10.0.0.9", but must be empty; remove it, or use annotation eip-allocations or private-ipv4-addresses`,
		`refuse: spec.sessionAffinity is "ClientIP", but must be None: the load balancer spreads a client's connections over all nodes; set it to None`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAWSTerminatesTLSOnThePortsThatThePeerTakes(t *testing.T) {
	const cert = "arn:aws:acm:eu-west-1:111122223333:certificate/web"
	tests := map[string]struct {
		kind, ports, name string
		want              bool
	}{
		"all without the annotation":           {"", "", "https", true},
		"all":                                  {"nlb", "*", "https", true},
		"by number":                            {"nlb", "80,443", "https", true},
		"by name":                              {"nlb", "https", "https", true},
		"a space before it hides it":           {"nlb", "80, 443", "https", false},
		"external does not mind a space":       {"external", "80, 443", "https", true},
		"an upper-case item of a classic one":  {"", "HTTPS", "https", false},
		"an empty item is a port without name": {"", "80,", "", true},
		"another":                              {"external", "80", "https", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			svc := awsAnnotated("ssl-cert", cert, "type", tt.kind)
			if tt.ports != "" {
				svc.Annotations[intent.KeyAWSTLSPorts] = tt.ports
			}
			svc.Spec.Ports = []v1.ServicePort{{Name: tt.name, Port: 443}, {Name: "http", Port: 80}}
			in, _ := onAWS(svc)
			if got := intent.AWSTerminatesTLS(in, in.Ports[0]); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
	in, _ := onAWS(awsAnnotated())
	if intent.AWSTerminatesTLS(in, in.Ports[0]) {
		t.Error("TLS without a certificate")
	}
}

func TestAWSReadsTheOtherPrefixForExternal(t *testing.T) {
	in, problems := onAWS(awsAnnotated("type", "external", awsOther+"scheme", "internal", awsOther+"name", "a", "name", "b"))
	scheme, _ := in.Options.Text(intent.KeyAWSScheme)
	name, _ := in.Options.Text(intent.KeyAWSName)
	want := []string{`warn: annotation name is "b" and annotation service.kubernetes.io/aws-load-balancer-name is "a"; the first counts, remove the other`}
	if diff := cmp.Diff(want, problems); diff != "" || scheme != "internal" || name != "b" {
		t.Errorf("scheme %q, name %q, problems -want +got:\n%s", scheme, name, diff)
	}
}

func TestAWSAttributesOfPortsAndListeners(t *testing.T) {
	in, problems := onAWS(awsAnnotated("type", "external",
		"listener-attributes.TCP-80", "tcp.idle_timeout.seconds=400",
		"listener-attributes.TCP_UDP-53", "tcp.idle_timeout.seconds=60", // of no listener, with a Warning
		"target-group-attributes.80", "deregistration_delay.timeout_seconds=5",
		"additional-resource-tags", "team=web=front,bare=,"))
	listener, _ := in.Options.Pairs(intent.AWSListenerAttributesKey("TCP", 80))
	both, _ := in.Options.Pairs(intent.AWSListenerAttributesKey("TCP_UDP", 53))
	group, _ := in.Options.Pairs(intent.AWSTargetGroupAttributesKey(80))
	tags, _ := in.Options.Pairs(intent.KeyAWSTags)
	if len(problems) != 2 || !strings.HasPrefix(problems[0], "warn: annotation additional-resource-tags") || !strings.HasPrefix(problems[1], "warn: annotation listener-attributes.TCP_UDP-53") {
		t.Errorf("problems %q", problems)
	}
	want := []map[string]string{
		{"tcp.idle_timeout.seconds": "400"},
		{"tcp.idle_timeout.seconds": "60"},
		{"deregistration_delay.timeout_seconds": "5"},
		{"team": "web=front", "bare": ""},
	}
	if diff := cmp.Diff(want, []map[string]string{listener, both, group, tags}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What cloud-provider-aws alone would serve must not be kept from the API by
// the policy, nor what a newer Load Balancer Controller knows.
func TestPolicyAdmitsUnknownKeysOfAWS(t *testing.T) {
	j := newJudge(t, intent.Annotations().Policy())
	svc := awsAnnotated("type", "external", "brand-new", "x", "ssl-ports", "80, 443", "proxy-protocol", "80")
	got, cost := j.problems(t, svc, nil)
	want := []string{`annotation ` + awsPrefix + `proxy-protocol is "80", but must be exactly *; write it like "*", or remove the annotation`}
	if diff := cmp.Diff(want, got); diff != "" || cost > 500_000 {
		t.Errorf("cost %d, -want +got:\n%s", cost, diff)
	}
}

// The other prefix is the Load Balancer Controller's alone.
func TestAnnotationsCountUnderTheKeysOfTheForm(t *testing.T) {
	const other = "service.kubernetes.io/aws-load-balancer-"
	for name, tt := range map[string]struct {
		annotations map[string]string
		want        string
		there       bool
	}{
		"the first key":                      {map[string]string{intent.KeyAWSSubnets: "a"}, "a", true},
		"empty":                              {map[string]string{intent.KeyAWSSubnets: ""}, "", true},
		"both keys":                          {map[string]string{intent.KeyAWSSubnets: "a", other + "subnets": "b", intent.KeyAWSType: "external"}, "a", true},
		"the other key, external":            {map[string]string{other + "subnets": "b", intent.KeyAWSType: "external"}, "b", true},
		"the other key, external by its own": {map[string]string{other + "subnets": "b", other + "type": "external"}, "b", true},
		"the other key, nlb":                 {map[string]string{other + "subnets": "b", intent.KeyAWSType: "nlb"}, "", false},
		"none":                               {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &v1.Service{}
			svc.Annotations = tt.annotations
			if got, there := intent.AWSWritten(svc, intent.KeyAWSSubnets); got != tt.want || there != tt.there {
				t.Errorf("%q, %t; want %q, %t", got, there, tt.want, tt.there)
			}
		})
	}
}

// What the page says of annotations that nothing supports yet is what is done:
// where a value is only told, no value is refused, nor by the policy.
func TestThePageSaysHowUnsupportedAnnotationsAreTaken(t *testing.T) {
	long := strings.Repeat("x", 2000)
	cells := map[string]string{"warn": "| none | Warning event, whatever the value |", "refuse": "| none | with aws-external no value is allowed yet |"}
	page := intent.Annotations().Page()
	policy := newJudge(t, intent.Annotations().Policy())
	for suffix, want := range map[string]string{
		"minimum-load-balancer-capacity": "warn", "enable-prefix-for-ipv6-source-nat": "warn",
		"source-nat-ipv6-prefixes": "warn", "quic-enabled-ports": "refuse",
	} {
		svc := awsAnnotated("type", "external", suffix, long)
		_, problems := onAWS(svc)
		if len(problems) == 0 || !strings.HasPrefix(problems[0], want+": ") {
			t.Errorf("%s: got %q", suffix, problems)
		}
		_, row, _ := strings.Cut(page, "| `"+awsPrefix+suffix+"` ")
		row, _, _ = strings.Cut(row, "\n")
		if !strings.Contains(row, cells[want]) {
			t.Errorf("%s: the page says %q", suffix, row)
		}
		if sentences, _ := policy.problems(t, svc, nil); want == "warn" && len(sentences) > 0 {
			t.Errorf("%s: the policy says %q", suffix, sentences)
		}
	}
}
