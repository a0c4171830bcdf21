// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
)

// TestAWSKeysThatNobodyReads: what a sentence says to write instead is read.
func TestAWSKeysThatNobodyReads(t *testing.T) {
	const beta, other = "service.beta.kubernetes.io/", "service.kubernetes.io/"
	judgeAWS(t, map[string]judged{
		"misspelt under the other prefix":              {awsOf("external", awsOther+"sheme", "internal"), []string{`warn: annotation ` + awsOther + `sheme is not known; did you mean ` + awsOther + `scheme?`}},
		"unlike any under the other prefix":            {awsOf("external", awsOther+"foo", "1"), []string{`warn: annotation ` + awsOther + `foo is not known; remove it, or use one of those in docs/annotations.md`}},
		"of cloud-provider-aws under the other prefix": {awsOf("external", awsOther+"connection-idle-timeout", "7"), []string{`warn: annotation ` + awsOther + `connection-idle-timeout is not known; remove it, or use one of those in docs/annotations.md`}},
		"of a port under the other prefix":             {awsOf("external", awsOther+"target-group-attributes.80", "stickiness.enabled=true"), nil},
		"right under the other prefix":                 {awsOf("external", awsOther+"scheme", "internal"), nil},
		"the other prefix, misspelt, on nlb":           {awsOf("nlb", awsOther+"intrenal", "true"), []string{`warn: annotation ` + awsOther + `intrenal is "true", but has no effect on a load balancer of type nlb; write it as internal`}},
		"the other prefix of what nlb does not read":   {awsOf("nlb", awsOther+"sheme", "internal"), []string{`warn: annotation ` + awsOther + `sheme is "internal", but has no effect on a load balancer of type nlb; remove it`}},
		"the other prefix of what classic has not":     {awsOf("", awsOther+"scheme", "internal"), []string{`warn: annotation ` + awsOther + `scheme is "internal", but has no effect on a classic load balancer; remove it`}},

		"a misspelt prefix":             {awsOf("", beta+"aws-loadbalancer-type", "nlb"), []string{`warn: annotation ` + beta + `aws-loadbalancer-type is not known; did you mean type?`}},
		"another misspelt prefix":       {awsOf("external", other+"aws-loadbalancer-scheme", "internal"), []string{`warn: annotation ` + other + `aws-loadbalancer-scheme is not known; did you mean ` + awsOther + `scheme?`}},
		"a key that nobody has":         {awsOf("nlb", beta+"aws-global-accelerator-enabled", "true"), []string{`warn: annotation ` + beta + `aws-global-accelerator-enabled is not known; remove it, or use one of those in docs/annotations.md`}},
		"keys of other cloud providers": {awsOf("nlb", beta+"azure-load-balancer-internal", "true", beta+"load-balancer-source-ranges", "10.0.0.0/8", other+"topology-mode", "Auto"), nil},
	})
}

// TestAWSExternalReadsTheOtherKeyOfClients: the AWS Load Balancer Controller does,
// and cloud-provider-aws does not.
func TestAWSExternalReadsTheOtherKeyOfClients(t *testing.T) {
	const first, other = "service.beta.kubernetes.io/load-balancer-source-ranges", "service.kubernetes.io/load-balancer-source-ranges"
	for name, tt := range map[string]struct {
		svc  *v1.Service
		want string
	}{
		"external":                {awsOf("external", other, "10.0.0.0/8"), "[10.0.0.0/8]"},
		"the first key counts":    {awsOf("external", other, "10.0.0.0/8", first, "192.0.2.0/24"), "[192.0.2.0/24]"},
		"nlb does not read it":    {awsOf("nlb", other, "10.0.0.0/8"), "[]"},
		"beside what is internal": {awsOf("external", other, "10.0.0.0/8", "scheme", "internal"), "[10.0.0.0/8]"},
	} {
		t.Run(name, func(t *testing.T) {
			in, problems := onAWS(tt.svc)
			if got := fmt.Sprint(in.SourceRanges); got != tt.want || len(problems) > 0 {
				t.Errorf("got %s and %q, want %s", got, problems, tt.want)
			}
		})
	}
}

// TestAWSSentencesNameTheKeyThatIsWritten: what is read under the first key has
// another one in the Service.
func TestAWSSentencesNameTheKeyThatIsWritten(t *testing.T) {
	const ranges = "service.kubernetes.io/load-balancer-source-ranges"
	beside := awsOf("external", ranges, "10.0.0.0/8")
	beside.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"}
	judgeAWS(t, map[string]judged{
		"clients of no range":        {awsOf("external", ranges, "all"), []string{`refuse: annotation ` + ranges + ` is "all", but must be 1 to 500 IP ranges, separated by commas, each an IP range; write it like "192.0.2.0/24", or remove the annotation`}},
		"clients beside others":      {beside, []string{`warn: annotation ` + ranges + ` is "10.0.0.0/8", but spec.loadBalancerSourceRanges is "192.0.2.0/24", which counts; remove one of them`}},
		"attributes of a port":       {awsOf("external", awsOther+"target-group-attributes.80", "stickiness.enabled=7"), []string{`refuse: annotation ` + awsOther + `target-group-attributes.80 is "stickiness.enabled=7", but stickiness.enabled must be true or false, and is "7"; correct it, or remove it`}},
		"attributes under the first": {awsOf("external", "target-group-attributes.80", "stickiness.enabled=7"), []string{`refuse: annotation target-group-attributes.80 is "stickiness.enabled=7", but stickiness.enabled must be true or false, and is "7"; correct it, or remove it`}},
	})
}

// TestAWSAnnotationsThatContradictEachOther: one sentence says which counts.
func TestAWSAnnotationsThatContradictEachOther(t *testing.T) {
	external := func(pairs ...string) *v1.Service { return awsOf("external", pairs...) }
	from := func(svc *v1.Service, ranges ...string) *v1.Service {
		svc.Spec.LoadBalancerSourceRanges = ranges
		return svc
	}
	const beta = "service.beta.kubernetes.io/load-balancer-source-ranges"
	judgeAWS(t, map[string]judged{
		"zones":                       {external("attributes", "load_balancing.cross_zone.enabled=true", "cross-zone-load-balancing-enabled", "false"), []string{`warn: annotation attributes is "load_balancing.cross_zone.enabled=true", but annotation cross-zone-load-balancing-enabled is "false", which counts for load_balancing.cross_zone.enabled; remove one of them`}},
		"zones that agree":            {external("attributes", "load_balancing.cross_zone.enabled=TRUE", "cross-zone-load-balancing-enabled", "t"), nil},
		"logs that are off":           {external("attributes", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs", "access-log-enabled", "false"), []string{`warn: annotation access-log-enabled is "false", but access_logs.s3.enabled of annotation attributes is "true", which counts; remove one of them`}},
		"logs that are on":            {external("attributes", "access_logs.s3.enabled=false,access_logs.s3.bucket=logs", "access-log-enabled", "true"), []string{`warn: annotation attributes is "access_logs.s3.enabled=false,access_logs.s3.bucket=logs", but annotation access-log-enabled is "true", which counts for access_logs.s3.enabled; remove one of them`}},
		"the PROXY protocol":          {external("proxy-protocol", "*", "target-group-attributes", "proxy_protocol_v2.enabled=false"), []string{`warn: annotation target-group-attributes is "proxy_protocol_v2.enabled=false", but annotation proxy-protocol is "*", which counts for proxy_protocol_v2.enabled; remove one of them`}},
		"that of a port":              {external("proxy-protocol", "*", "target-group-attributes.80", "proxy_protocol_v2.enabled=false"), []string{`warn: annotation target-group-attributes.80 is "proxy_protocol_v2.enabled=false", but annotation proxy-protocol is "*", which counts for proxy_protocol_v2.enabled; remove one of them`}},
		"that of listed ports":        {external("proxy-protocol-per-target-group", "80", "target-group-attributes", "proxy_protocol_v2.enabled=false"), []string{`warn: annotation target-group-attributes is "proxy_protocol_v2.enabled=false", but annotation proxy-protocol-per-target-group is "80", which counts for proxy_protocol_v2.enabled; remove one of them`}},
		"that of listed ports agrees": {external("proxy-protocol-per-target-group", "80", "target-group-attributes", "proxy_protocol_v2.enabled=true"), nil},
		"targets":                     {awsOf("nlb-ip", "nlb-target-type", "instance"), []string{`warn: annotation nlb-target-type is "instance", but annotation type is "nlb-ip", which counts; remove one of them`}},
		"targets that agree":          {awsOf("nlb-ip", "nlb-target-type", "ip"), nil},
		"draining":                    {awsOf("", "connection-draining-timeout", "60"), []string{`warn: annotation connection-draining-timeout is "60", but has no effect while nodes that leave do not finish their connections; set annotation connection-draining-enabled to "true", or remove it`}},
		"draining that is off":        {awsOf("", "connection-draining-timeout", "60", "connection-draining-enabled", "false"), []string{`warn: annotation connection-draining-timeout is "60", but has no effect while nodes that leave do not finish their connections; set annotation connection-draining-enabled to "true", or remove it`}},
		"draining that is on":         {awsOf("", "connection-draining-timeout", "60", "connection-draining-enabled", "true"), nil},
		"clients":                     {from(awsOf("nlb", beta, "10.0.0.0/8"), "192.0.2.0/24"), []string{`warn: annotation ` + beta + ` is "10.0.0.0/8", but spec.loadBalancerSourceRanges is "192.0.2.0/24", which counts; remove one of them`}},
		"clients that are the same":   {from(awsOf("", beta, "192.0.2.1/24, 10.0.0.0/8"), "10.0.0.0/8", "192.0.2.0/24"), nil},

		"semicolons":                     {external("target-group-attributes", "preserve_client_ip.enabled=true;proxy_protocol_v2.enabled=true"), []string{`refuse: annotation target-group-attributes is "preserve_client_ip.enabled=true;proxy_protocol_v2.enabled=true", but preserve_client_ip.enabled must be true or false, and is "true;proxy_protocol_v2.enabled=true"; write commas between pairs, not semicolons`}},
		"semicolons on nlb":              {awsOf("nlb", "target-group-attributes", "preserve_client_ip.enabled=true;proxy_protocol_v2.enabled=true"), []string{`refuse: annotation target-group-attributes is "preserve_client_ip.enabled=true;proxy_protocol_v2.enabled=true", but preserve_client_ip.enabled must be true or false; write commas between pairs, not semicolons`}},
		"a semicolon that parts nothing": {external("attributes", "deletion_protection.enabled=true;"), []string{`refuse: annotation attributes is "deletion_protection.enabled=true;", but deletion_protection.enabled must be true or false, and is "true;"; correct it, or remove it`}},
	})
}
