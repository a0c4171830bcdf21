// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// The names are those that the peer gave in testdata/golden beside the core.
func TestNamesAreThePeers(t *testing.T) {
	const managed = types.UID("20afbc7e-7aeb-41fb-a0b8-1f7176b2cbd3")
	tcp := names.TargetGroup{
		ClusterID: "rig", Namespace: "default", Name: "nlb-default", Port: 80, NodePort: 31120,
		Protocol: "TCP", TargetType: "instance", HealthProtocol: "TCP", HealthInterval: 30,
	}
	local := tcp
	local.Name, local.NodePort, local.HealthProtocol, local.HealthInterval = "nlb-local", 31150, "HTTP", 10
	for _, c := range []struct{ what, got, want string }{
		{"load balancer", names.LoadBalancer(managed), "a20afbc7e7aeb41fba0b81f7176b2cbd"},
		{"target group", tcp.String(), "k8s-default-nlbdefau-2869722e95"},
		{"target group of Local", local.String(), "k8s-default-nlblocal-70d2b92fbd"},
		{"group", names.NetworkGroup("rig", "default", "nlb-managed-group", managed), "k8s-default-nlbmanag-555f7b900f"},
		{"classic group", names.ClassicGroup("a20af"), "k8s-elb-a20af"},
		{"rule's load balancer", names.RuleOf("kubernetes.io/rule/nlb/health=a20af"), "a20af"},
		{"shared rule's load balancer", names.RuleOf(names.MTURule), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	again := tcp
	again.Again = 1
	if again.String() == tcp.String() || !names.MayBe(again.String(), "default", "nlb-default") {
		t.Errorf("second name: %s", again)
	}
}

func TestInstanceID(t *testing.T) {
	for id, want := range map[string]string{
		"aws:///us-east-1b/i-7cbfe80ad3ee14399": "i-7cbfe80ad3ee14399",
		"aws:////i-1":                           "i-1",
		"i-1":                                   "i-1",
		"aws:///us-east-1b/fargate-ip-10-0-0-1.ec2":    "",
		"eks-hybrid:///us-east-1/cluster/mi-0123":      "",
		"aws:///usw2-az2/sagemaker/cluster/hyperpod-i": "",
		"": "",
	} {
		got, ok := names.InstanceID(id)
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q, %t", id, got, ok)
		}
	}
}

func TestTagsProveWhoseItIs(t *testing.T) {
	c := names.Cluster{ID: "rig"}
	for _, tc := range []struct {
		name               string
		tags               map[string]string
		has, owns, foreign bool
	}{
		{"none", nil, false, false, false},
		{"owned", map[string]string{"kubernetes.io/cluster/rig": "owned"}, true, true, false},
		{"shared", map[string]string{"kubernetes.io/cluster/rig": "shared"}, true, false, false},
		{"another cluster's", map[string]string{"kubernetes.io/cluster/other": "owned"}, false, false, true},
		{"legacy", map[string]string{"KubernetesCluster": "rig"}, true, true, false},
		{"another's legacy", map[string]string{"KubernetesCluster": "other"}, false, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c.Has(tc.tags) != tc.has || c.Owns(tc.tags) != tc.owns || c.Foreign(tc.tags) != tc.foreign {
				t.Errorf("has %t, owns %t, foreign %t", c.Has(tc.tags), c.Owns(tc.tags), c.Foreign(tc.tags))
			}
		})
	}
	none := names.Cluster{}
	if !none.Has(nil) || none.Owns(nil) || none.Foreign(map[string]string{"KubernetesCluster": "x"}) || len(none.Tags()) != 0 {
		t.Error("without an id tags prove nothing")
	}
	tags := names.Cluster{ID: "rig", Legacy: true}.ServiceTags(map[string]string{"team": "web"}, "default", "web")
	if !c.OwnsFor(tags, "default", "web") || c.OwnsFor(tags, "default", "other") || tags["team"] != "web" || tags["KubernetesCluster"] != "rig" {
		t.Errorf("tags of a Service: %v", tags)
	}
}

func TestPoliciesOfClassicLoadBalancersSayWhatTheyReferTo(t *testing.T) {
	name := names.TLSPolicy("ELBSecurityPolicy-TLS-1-2-2017-01")
	if name != "k8s-SSLNegotiationPolicy-ELBSecurityPolicy-TLS-1-2-2017-01" || !names.IsTLSPolicy(name) || names.TLSPolicyRefersTo(name) != "ELBSecurityPolicy-TLS-1-2-2017-01" {
		t.Errorf("name %q", name)
	}
	for _, other := range []string{names.ProxyProtocolPolicy, "ELBSecurityPolicy-2016-08", ""} {
		if names.IsTLSPolicy(other) || names.TLSPolicyRefersTo(other) != "" {
			t.Errorf("%q is no policy of ours for TLS", other)
		}
	}
}
