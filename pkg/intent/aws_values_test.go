// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
)

// made is a Service that has a load balancer already.
func made(svc *v1.Service) *v1.Service {
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "web.elb.eu-west-1.amazonaws.com"}}
	return svc
}

func ofUDP(svc *v1.Service) *v1.Service { svc.Spec.Ports[0].Protocol = v1.ProtocolUDP; return svc }

// awsOf is a Service of the type; "" is classic.
func awsOf(kind string, pairs ...string) *v1.Service {
	if kind != "" {
		pairs = append([]string{"type", kind}, pairs...)
	}
	return awsAnnotated(pairs...)
}

func TestAWSValuesThatAWSWouldRefuse(t *testing.T) {
	const (
		noARN = `but "web" is no ARN of a certificate of ACM or IAM; write it like "arn:aws:acm:eu-west-1:111122223333:certificate/ID" or "arn:aws:iam::111122223333:server-certificate/NAME"`
		cert  = "arn:aws:acm:eu-west-1:111122223333:certificate/web"
	)
	long := strings.Repeat("k", 129)
	tests := map[string]judged{
		"a certificate by name on a classic one": {awsOf("", "ssl-cert", "web"), []string{`refuse: annotation ssl-cert is "web", ` + noARN}},
		"a certificate by name on nlb":           {awsOf("nlb", "ssl-cert", "web"), []string{`refuse: annotation ssl-cert is "web", ` + noARN}},
		"a second certificate by name":           {awsOf("external", "ssl-cert", "arn:aws:iam::111122223333:server-certificate/a, web"), []string{`refuse: annotation ssl-cert is "arn:aws:iam::111122223333:server-certificate/a, web", ` + noARN}},
		"an ARN of something else":               {awsOf("nlb", "ssl-cert", "arn:aws:s3:::web"), []string{`refuse: annotation ssl-cert is "arn:aws:s3:::web", ` + strings.ReplaceAll(noARN, `"web"`, `"arn:aws:s3:::web"`)}},
		"a policy of TLS with a space":           {awsOf("nlb", "ssl-cert", cert, "ssl-negotiation-policy", "TLS 1.3"), []string{`refuse: annotation ssl-negotiation-policy is "TLS 1.3", but must be the name of one policy of AWS, without spaces; write it like "ELBSecurityPolicy-TLS13-1-2-2021-06", or remove the annotation`}},
		"no port has TLS":                        {awsOf("", "ssl-cert", cert, "ssl-ports", "htps"), []string{`warn: annotation ssl-ports is "htps", but "htps" is no port of the Service, and no port at all is served with TLS; remove that item, or write the number or name of a port as it is, without spaces`}},

		"a tag of AWS":                 {awsOf("", "additional-resource-tags", "team=web,AWS:foo=1"), []string{`refuse: annotation additional-resource-tags is "team=web,AWS:foo=1", but tag "AWS:foo" begins with aws:, which AWS keeps for its own; name another, or take it away`}},
		"a long key":                   {awsOf("nlb", "additional-resource-tags", long+"=1"), []string{`refuse: annotation additional-resource-tags is "` + long[:64] + `…", but the key of tag "` + long[:64] + `…" has 129 characters, and at most 128 are allowed; name another, or take it away`}},
		"a long value":                 {awsOf("external", "additional-resource-tags", "k="+long+long), []string{`refuse: annotation additional-resource-tags is "k=` + long[:62] + `…", but the value of tag "k" has 258 characters, and at most 256 are allowed; name another, or take it away`}},
		"a character that is not one":  {awsOf("external", "additional-resource-tags", "k=a&b"), []string{`refuse: annotation additional-resource-tags is "k=a&b", but of the value of tag "k" only letters, digits, spaces and _ . : / = + - @ are allowed; name another, or take it away`}},
		"an elastic IP by its address": {awsOf("nlb", "eip-allocations", "192.0.2.1"), []string{`refuse: annotation eip-allocations is "192.0.2.1", but "192.0.2.1" is no allocation id of an elastic IP; write ids such as "eipalloc-0a1b2c3d"`}},
		"a prefix list by name":        {awsOf("external", "security-group-prefix-lists", "pl-1, office"), []string{`refuse: annotation security-group-prefix-lists is "pl-1, office", but "office" is no id of a prefix list; write ids such as "pl-0a1b2c3d"`}},

		"access logs without a bucket":      {awsOf("nlb", "access-log-enabled", "true"), []string{`refuse: annotation access-log-enabled is "true", but no bucket is named; name it in annotation access-log-s3-bucket-name, or write false here`}},
		"access logs to a URL":              {awsOf("", "access-log-enabled", "true", "access-log-s3-bucket-name", "s3://logs/web"), []string{`refuse: annotation access-log-s3-bucket-name is "s3://logs/web", but must be the name of a bucket alone: 3 to 63 lower case letters, digits, dots and dashes, without s3://, ARN or path; correct it, and write a path in annotation access-log-s3-bucket-prefix`}},
		"access logs by attribute alone":    {awsOf("external", "attributes", "access_logs.s3.enabled=true"), []string{`refuse: annotation attributes is "access_logs.s3.enabled=true", but access_logs.s3.enabled needs a bucket; add access_logs.s3.bucket=NAME`}},
		"an attribute of the load balancer": {awsOf("external", "attributes", "deletion_protection.enabled=on"), []string{`refuse: annotation attributes is "deletion_protection.enabled=on", but deletion_protection.enabled must be true or false, and is "on"; correct it, or remove it`}},
		"an attribute of target groups":     {awsOf("external", "target-group-attributes", "deregistration_delay.timeout_seconds=99999"), []string{`refuse: annotation target-group-attributes is "deregistration_delay.timeout_seconds=99999", but deregistration_delay.timeout_seconds must be a whole number from 0 to 3600 (seconds), and is "99999"; correct it, or remove it`}},
		"one of a port's target group":      {awsOf("external", awsPrefix+"target-group-attributes.80", "load_balancing.cross_zone.enabled=yes"), []string{`refuse: annotation target-group-attributes.80 is "load_balancing.cross_zone.enabled=yes", but load_balancing.cross_zone.enabled must be true or false, or use_load_balancer_configuration, and is "yes"; correct it, or remove it`}},
		"an attribute of a listener":        {awsOf("external", awsOther+"listener-attributes.TCP-80", "tcp.idle_timeout.seconds=1"), []string{`refuse: annotation ` + awsOther + `listener-attributes.TCP-80 is "tcp.idle_timeout.seconds=1", but tcp.idle_timeout.seconds must be a whole number from 60 to 6000 (seconds), and is "1"; correct it, or remove it`}},
		"an interval out of range":          {awsOf("nlb", "healthcheck-interval", "1000"), []string{`refuse: annotation healthcheck-interval is "1000", but must be a whole number from 5 to 300 (seconds); correct it, or remove the annotation`}},
	}
	judgeAWS(t, tests)
}

// TestAWSValuesThatAPeerServes: the peers serve these, and so do we.
func TestAWSValuesThatAPeerServes(t *testing.T) {
	tests := map[string]*v1.Service{
		"a certificate of ACM":                       awsOf("", "ssl-cert", "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b"),
		"a certificate of IAM with a path":           awsOf("nlb", "ssl-cert", "arn:aws-cn:iam::111122223333:server-certificate/team/web"),
		"a certificate in other letters":             awsOf("nlb", "ssl-cert", "ARN:aws:acm:eu-west-1:111122223333:certificate/0A1B"),
		"a certificate for no port of TCP":           ofUDP(awsOf("nlb", "ssl-cert", "web", "ssl-negotiation-policy", "a b")),
		"a bucket without logs":                      awsOf("nlb", "access-log-s3-bucket-name", "s3://logs"),
		"an old bucket":                              awsOf("", "access-log-enabled", "true", "access-log-s3-bucket-name", "My_Logs.eu"),
		"a bucket by attribute":                      awsOf("external", "access-log-enabled", "true", "attributes", "access_logs.s3.bucket=logs"),
		"a bucket that was set by hand":              made(awsOf("external", "attributes", "access_logs.s3.enabled=true")),
		"logs to a bucket that was set by hand":      made(awsOf("external", "access-log-enabled", "true")),
		"prefix lists beside given groups":           awsOf("external", "security-groups", "sg-1", "security-group-prefix-lists", "office"),
		"prefix lists without groups":                awsOf("external", "disable-nlb-sg", "true", "security-group-prefix-lists", "office"),
		"attributes that are not known here":         awsOf("external", "attributes", "foo.bar=1", "target-group-attributes", "foo.bar=1", awsPrefix+"listener-attributes.TCP-80", "foo.bar=1"),
		"a share that is off":                        awsOf("external", "target-group-attributes", "target_group_health.dns_failover.minimum_healthy_targets.percentage=off"),
		"the load balancer's own word":               awsOf("external", "target-group-attributes", "load_balancing.cross_zone.enabled=use_load_balancer_configuration"),
		"tags of all characters":                     awsOf("nlb", "additional-resource-tags", "cost center/é=a_.:/+-@ 1,empty="),
		"security groups that nlb does not read":     awsOf("nlb", "security-groups", "web"),
		"a policy that is not known here":            awsOf("nlb", "ssl-cert", "arn:aws:acm:eu-west-1:1:certificate/a", "ssl-negotiation-policy", "ELBSecurityPolicy-TLS14-2030-01"),
		"the load balancer's attributes, all usable": awsOf("external", "attributes", "dns_record.client_routing_policy=availability_zone_affinity,zonal_shift.config.enabled=TRUE"),
	}
	for name, svc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, got := onAWS(svc); len(got) > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestAWSValuesThatThePeerReadsAtFirstAlone: cloud-provider-aws never looks at
// them again, so an adopted Service goes on without what cannot be.
func TestAWSValuesThatThePeerReadsAtFirstAlone(t *testing.T) {
	in, got := onAWS(made(awsOf("nlb", "additional-resource-tags", "team=web,aws:foo=1,k=&", "eip-allocations", "192.0.2.1")))
	want := []string{
		`warn: annotation additional-resource-tags is "team=web,aws:foo=1,k=&", but tag "aws:foo" begins with aws:, which AWS keeps for its own; it is left out: name another, or take it away`,
		`warn: annotation eip-allocations is "192.0.2.1", but "192.0.2.1" is no allocation id of an elastic IP; it is left out: write ids such as "eipalloc-0a1b2c3d"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	tags, _ := in.Options.Pairs(intent.KeyAWSTags)
	if diff := cmp.Diff(map[string]string{"team": "web"}, tags); diff != "" {
		t.Errorf("tags -want +got:\n%s", diff)
	}
	if ids, ok := in.Options.Texts(intent.KeyAWSElasticIPs); ok {
		t.Errorf("elastic IPs %q", ids)
	}
}

// TestAWSAddressesThatThePeerReadsAtFirstAlone: they are refused for a new load
// balancer, and left out where one is there.
func TestAWSAddressesThatThePeerReadsAtFirstAlone(t *testing.T) {
	const left, subnets = "; it is left out: ", "its number of items, 1, is not that of annotation subnets, 2"
	tests := map[string]struct {
		pairs []string
		key   string
		want  string
	}{
		"elastic IPs of an internal one":         {[]string{"internal", "true", "eip-allocations", "eipalloc-1"}, "eip-allocations", `is "eipalloc-1", but an internal load balancer has no elastic IPs; remove it, or make the load balancer internet-facing`},
		"private addresses of a public one":      {[]string{"private-ipv4-addresses", "10.0.0.9"}, "private-ipv4-addresses", `is "10.0.0.9", but private addresses are for internal load balancers; remove it, or use annotation eip-allocations`},
		"elastic IPs that are too few":           {[]string{"subnets", "a,b", "eip-allocations", "eipalloc-1"}, "eip-allocations", `is "eipalloc-1", but ` + subnets + `; write one for each subnet`},
		"private addresses that are too few":     {[]string{"internal", "true", "subnets", "a,b", "private-ipv4-addresses", "10.0.0.9"}, "private-ipv4-addresses", `is "10.0.0.9", but ` + subnets + `; write one for each subnet`},
		"internal and too few":                   {[]string{"internal", "true", "subnets", "a,b", "eip-allocations", "eipalloc-1"}, "eip-allocations", `is "eipalloc-1", but an internal load balancer has no elastic IPs; remove it, or make the load balancer internet-facing`},
		"an elastic IP by another kind of an id": {[]string{"eip-allocations", "web"}, "eip-allocations", `is "web", but "web" is no allocation id of an elastic IP; write ids such as "eipalloc-0a1b2c3d"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, got := onAWS(awsOf("nlb", tt.pairs...)); len(got) == 0 || got[0] != "refuse: annotation "+tt.key+" "+tt.want {
				t.Errorf("a new one: %q", got)
			}
			if _, got := onAWS(made(awsOf("external", tt.pairs...))); len(got) > 0 && !strings.HasPrefix(got[0], "refuse: ") {
				t.Errorf("of type external: %q", got)
			}
			in, got := onAWS(made(awsOf("nlb", tt.pairs...)))
			before, cure, _ := strings.Cut(tt.want, "; ")
			if diff := cmp.Diff([]string{"warn: annotation " + tt.key + " " + before + left + cure}, got); diff != "" {
				t.Errorf("one that is there, -want +got:\n%s", diff)
			}
			key := "service.beta.kubernetes.io/aws-load-balancer-" + tt.key
			if diff := cmp.Diff([]string{key}, in.AWSLeftOut); diff != "" || in.Options.Source(key) != "" {
				t.Errorf("left out, -want +got:\n%s", diff)
			}
		})
	}
}

func TestWhetherAnAnnotationSwitchesProtectionOff(t *testing.T) {
	const off = intent.AWSProtection + "=false"
	other := awsOf("external")
	other.Annotations["service.kubernetes.io/aws-load-balancer-attributes"] = off
	for name, tt := range map[string]struct {
		svc  *v1.Service
		want bool
	}{
		"off":                       {awsOf("external", "attributes", off), true},
		"off, beside what is wrong": {awsOf("external", "attributes", "web, access_logs.s3.enabled=maybe, "+intent.AWSProtection+" = False"), true},
		"off by the other key":      {other, true},
		"on":                        {awsOf("external", "attributes", intent.AWSProtection+"=true"), false},
		"on at last":                {awsOf("external", "attributes", off+","+intent.AWSProtection+"=true"), false},
		"of another attribute":      {awsOf("external", "attributes", "access_logs.s3.enabled=false"), false},
		"nothing":                   {awsOf("external"), false},
		"where it is not read":      {awsOf("nlb", "attributes", off), false},
	} {
		if got := intent.AWSUnprotects(tt.svc); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
