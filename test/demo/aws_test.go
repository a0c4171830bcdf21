// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestAWSDemo(t *testing.T) {
	p := testPaths(t.TempDir())
	p.cloud = cloudAWS
	buildInto(t, p, "./cmd/"+controllerName, "./cmd/"+pluginName, "./test/cloud/aws/cmd/"+awsSimulator)
	tellsTheStory(t, p, awsStory())
}

// awsStory is what must be told of AWS, act by act.
func awsStory() []act {
	const (
		nothing   = `ok +kubectl fairlead plan --all --cloud-config=cloud\.conf: exit code 0$`
		something = `ok +kubectl fairlead plan \S+ --cloud-config=cloud\.conf: exit code 2$`
	)
	return []act{
		{"1. A cluster, and AWS", []string{
			`ok +the simulated AWS answers at http://127\.0\.0\.1:\d+$`,
			`ok +Kubernetes v1\.\d+\.\d+ serves at https://127\.0\.0\.1:\d+$`,
		}},
		{"2. Fairlead takes cloud-provider-aws' place", []string{`ok +\d+ objects applied$`, nothing}},
		{"3. Two nodes", []string{`node +ip-10-0-\d+-4\.ec2\.internal is initialized: aws:///us-east-1[ab]/i-`}},
		{"4. A network load balancer", []string{
			something,
			`^ +\+ aws/loadBalancer a\w+ for default/web-nlb$`, `rule: tcp \d+ from 203\.0\.113\.0/24$`,
			`aws +elbv2\.CreateLoadBalancer a\w+: 200 ok`, `aws +elbv2\.CreateListener a\w+`,
			`aws +ec2\.AuthorizeSecurityGroupIngress sg-\w+: 200 ok`,
			`svc +web-nlb +LoadBalancer .* a\w+-\w+\.elb\.us-east-1\.amazonaws\.com`,
			`ok +kubectl fairlead explain web-nlb --cloud-config=cloud\.conf: exit code 0$`,
			`network load balancer a\w+ \[(active|provisioning), in step\]$`,
			`node ip-10-0-\d+-4\.ec2\.internal \(i-\w+\) \[`,
		}},
		{"5. A classic load balancer", []string{
			something,
			`^ +\+ aws/classicLoadBalancer a\w+ for default/web-classic$`,
			`aws +elb\.CreateLoadBalancer a\w+: 200 ok`,
			`svc +web-classic +LoadBalancer .* a\w+-\w+\.us-east-1\.elb\.amazonaws\.com`,
		}},
		{"6. A change", []string{
			something, `rule: tcp \d+ from 198\.51\.100\.0/24$`,
			`aws +ec2\.AuthorizeSecurityGroupIngress sg-\w+: 200 ok`, `aws +ec2\.RevokeSecurityGroupIngress sg-\w+: 200 ok`,
		}},
		{"7. A mistake is refused when it is made", []string{`refused: annotation \S+-connection-draining-timeout is "1m", but must be`}},
		{"8. What cannot be done is said", []string{`event +web-nlb +SubnetNotFound: annotation \S+ names nowhere`}},
		{"9. A third node", []string{
			something, `aws +elbv2\.RegisterTargets k8s-default-webnlb-\w+: 200 ok`,
			`aws +elb\.RegisterInstancesWithLoadBalancer a\w+: 200 ok`,
		}},
		{"10. Both Services are deleted", []string{
			something, `aws +elbv2\.DeleteLoadBalancer a\w+`, `aws +elb\.DeleteLoadBalancer a\w+`,
			`svc +web-nlb +is gone$`, `svc +web-classic +is gone$`,
			`ok +load balancers, target groups and security groups are as they were at the start$`,
		}},
		{"What was seen", []string{`web-nlb had its name \d+ ms after`, "`make demo CLOUD=aws KEEP=1` leaves it running"}},
	}
}
