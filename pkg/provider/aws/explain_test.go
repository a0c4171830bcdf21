// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

// look is how the targets of the state are, and all nodes.
func (s *site) look(t *testing.T, name string) aws.Look {
	t.Helper()
	l := aws.Look{Nodes: s.nodes, Health: aws.Health{
		Groups: map[string]map[aws.Target]elbv2types.TargetHealth{}, Classics: map[string]map[string]elbtypes.InstanceState{},
	}}
	if name == "" {
		return l
	}
	var st state
	read(t, filepath.Join("testdata", "golden", name, "state.json"), &st)
	for i := range st.TargetGroups {
		g := &st.TargetGroups[i]
		health := map[aws.Target]elbv2types.TargetHealth{}
		for _, h := range g.TargetHealthDescriptions {
			health[aws.Target{ID: awssdk.ToString(h.Target.Id), Port: awssdk.ToInt32(h.Target.Port)}] = *h.TargetHealth
		}
		l.Health.Groups[awssdk.ToString(g.TargetGroup.TargetGroupArn)] = health
	}
	return l
}

// explain is the tree of the first Service of the batch, as text.
func (s *site) explain(t *testing.T, b provider.Batch, l aws.Look) string {
	t.Helper()
	in := aws.Input{Settings: &s.settings, Observed: s.observed, Batch: b}
	parts, err := aws.Explain(in, aws.Compute(in), l, b.Items[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Tree(b.Items[0].Key, parts)
}

func TestExplainsWhatThePeerLeft(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			golden(t, "explain "+name, s.explain(t, s.all(provider.Serve, provider.Resync), s.look(t, name)))
		})
	}
}

// failing makes targets be as AWS says it of several troubles.
func failing(l aws.Look) {
	reasons := []elbv2types.TargetHealth{
		{State: "unhealthy", Reason: "Target.FailedHealthChecks", Description: awssdk.String("Health checks failed")},
		{State: "initial", Reason: "Elb.RegistrationInProgress"},
		{State: "unused", Reason: "Target.NotInUse"},
	}
	for _, targets := range l.Health.Groups {
		i := 0
		for _, x := range slices.SortedFunc(maps.Keys(targets), func(x, y aws.Target) int { return strings.Compare(x.ID, y.ID) }) {
			targets[x] = reasons[i%len(reasons)]
			i++
		}
	}
}

func TestExplains(t *testing.T) {
	for _, tc := range []struct {
		name, from string
		change     func(*testing.T, *site, *aws.Look) provider.Item
	}{
		{"nothing yet", "", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			svc := s.service("web", ports(tcp("a", 80, 30080), udp("b", 53, 30053)))
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"nothing yet, classic", "", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			svc := s.service("web")
			delete(svc.Annotations, annotation+"type")
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"nothing yet, groups", "", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			s.settings.NetworkGroups = aws.ManagedGroups
			return item(s.service("web", sourceRanges("192.0.2.0/24")), provider.Serve, provider.Edit)
		}},
		{"a change", "nlb-default", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			svc := s.services[0]
			svc.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"}
			svc.Spec.Ports = append(svc.Spec.Ports[:0:0], tcp("new", 8080, 30100))
			with("cross-zone-load-balancing-enabled", "true", "healthcheck-interval", "10")(svc)
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"a classic change", "clb-tls-policy", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			svc := s.services[0]
			svc.Spec.Ports[0].NodePort = 31000
			with("connection-idle-timeout", "90")(svc)
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"classic health", "clb-default", func(_ *testing.T, s *site, l *aws.Look) provider.Item {
			for name, c := range s.observed.Classics {
				l.Health.Classics[name] = map[string]elbtypes.InstanceState{}
				for i, x := range c.Instances {
					state := elbtypes.InstanceState{State: awssdk.String("InService")}
					if i > 0 {
						state = elbtypes.InstanceState{State: awssdk.String("OutOfService"), Description: awssdk.String("Instance has failed at least the UnhealthyThreshold number of health checks consecutively.")}
					}
					l.Health.Classics[name][*x.InstanceId] = state
				}
			}
			return item(s.services[0], provider.Serve, provider.Resync)
		}},
		{"troubles of targets", "nlb-default", func(_ *testing.T, s *site, l *aws.Look) provider.Item {
			failing(*l)
			return item(s.services[0], provider.Serve, provider.Resync)
		}},
		{"troubles of a local policy", "nlb-local", func(_ *testing.T, s *site, l *aws.Look) provider.Item {
			failing(*l)
			return item(s.services[0], provider.Serve, provider.Resync)
		}},
		{"a refused change", "nlb-default", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			svc := s.services[0]
			with("subnets", "nowhere")(svc)
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"a removal", "nlb-managed-group", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			return item(s.services[0], provider.Remove, provider.Edit)
		}},
		{"a shared rule", "nlb-default", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			other := s.service("other")
			s.observed.Services = append(s.observed.Services, other)
			for _, g := range s.observed.Groups {
				for i := range g.IpPermissions {
					for j := range g.IpPermissions[i].IpRanges {
						r := &g.IpPermissions[i].IpRanges[j]
						if strings.Contains(awssdk.ToString(r.Description), "client=") {
							r.Description = awssdk.String("kubernetes.io/rule/nlb/client=a" + strings.ReplaceAll(string(other.UID), "-", "")[:31])
						}
					}
				}
			}
			return item(s.services[0], provider.Serve, provider.Resync)
		}},
		{"nodes that are left out", "nlb-default", func(_ *testing.T, s *site, l *aws.Look) provider.Item {
			svc := s.services[0]
			with("target-node-labels", "tier=web")(svc)
			leftOutNodes(s, l)
			return item(svc, provider.Serve, provider.Edit)
		}},
		{"500 nodes", "nlb-default", func(_ *testing.T, s *site, l *aws.Look) provider.Item {
			manyNodes(s, l)
			return item(s.services[0], provider.Serve, provider.Nodes)
		}},
		{"addresses of pods", "", func(_ *testing.T, s *site, _ *aws.Look) provider.Item {
			claimed(&s.settings)
			svc := s.service("web", external, with("nlb-target-type", "ip", "scheme", "internal"))
			s.pods(8080, "10.0.0.10", "10.0.0.11", "10.0.0.12")
			return item(svc, provider.Serve, provider.Edit)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			if tc.from != "" {
				s = load(t, tc.from)
			}
			l := s.look(t, tc.from)
			it := tc.change(t, s, &l)
			golden(t, "explain "+tc.name, s.explain(t, provider.Batch{Nodes: s.nodes, Items: []provider.Item{it}}, l))
		})
	}
}

// leftOutNodes are nodes for each reason to be no target.
func leftOutNodes(s *site, l *aws.Look) {
	all := make([]*v1.Node, 0, len(s.nodes))
	for _, n := range s.nodes {
		n.Labels["tier"] = "web"
		all = append(all, n)
	}
	more := func(name, providerID string, change func(*v1.Node)) *v1.Node {
		n := all[0].DeepCopy()
		n.Name, n.Spec.ProviderID = name, providerID
		change(n)
		l.Nodes = append(slices.Clone(l.Nodes), n)
		return n
	}
	same := func(*v1.Node) {}
	s.nodes = append(
		slices.Clone(all),
		more("new", "", same), more("fargate", "aws:///us-east-1a/0123-4567/fargate-ip-10-0-1-2.ec2.internal", same),
		more("ended", "aws:///us-east-1a/i-0e", same), more("elsewhere", "aws:///us-east-1a/i-0f", same), more("unknown", "aws:///us-east-1a/i-00", same),
		more("db", "aws:///us-east-1a/i-0d", func(n *v1.Node) { n.Labels["tier"] = "db" }),
	)
	more("excluded", "aws:///us-east-1a/i-0c", func(n *v1.Node) { n.Labels[v1.LabelNodeExcludeBalancers] = "" })
	s.observed.Instances["i-0e"] = &aws.Instance{ID: "i-0e", State: ec2types.InstanceStateNameTerminated}
	s.observed.Instances["i-0f"] = &aws.Instance{ID: "i-0f", VPC: "vpc-other", State: ec2types.InstanceStateNameRunning}
	s.observed.Instances["i-0d"] = &aws.Instance{ID: "i-0d", VPC: s.settings.VPC, State: ec2types.InstanceStateNameRunning}
}

// manyNodes are so many that they are counted: most healthy, some not
// registered.
func manyNodes(s *site, l *aws.Look) {
	first := s.nodes[0]
	for i := range 500 {
		n := first.DeepCopy()
		id := fmt.Sprintf("i-%08d", i)
		n.Name, n.Spec.ProviderID = fmt.Sprintf("node-%03d", i), "aws:///us-east-1a/"+id
		s.nodes, l.Nodes = append(s.nodes, n), append(l.Nodes, n)
		known := *s.observed.Instances[path.Base(first.Spec.ProviderID)]
		known.ID = id
		s.observed.Instances[id] = &known
		for arn, g := range s.observed.TargetGroups {
			x := aws.Target{ID: id, Port: *g.Port}
			if i < 480 {
				g.Targets[x] = elbv2types.TargetHealthStateEnumHealthy
				l.Health.Groups[arn][x] = elbv2types.TargetHealth{State: elbv2types.TargetHealthStateEnumHealthy}
			}
		}
	}
}
