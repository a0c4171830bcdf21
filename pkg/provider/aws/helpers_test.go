// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	"github.com/fairlead/fairlead/test/goldenfile"
)

// site is a cluster and its cloud, as one test has them.
type site struct {
	settings aws.Settings
	observed *aws.Observed
	nodes    []*v1.Node
	services []*v1.Service
	serial   int
}

// cases are the states that the peer left.
func cases(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*/service.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no states: %v", err)
	}
	var out []string
	for _, f := range files {
		out = append(out, filepath.Base(filepath.Dir(f)))
	}
	return out
}

// state is what describe calls answered.
type state struct {
	ClassicLoadBalancers []struct {
		LoadBalancerAttributes  elbtypes.LoadBalancerAttributes
		LoadBalancerDescription elbtypes.LoadBalancerDescription
		Tags                    []pair
	}
	NetworkLoadBalancers []struct {
		Attributes   []pair
		Listeners    []struct{ Listener elbv2types.Listener }
		LoadBalancer elbv2types.LoadBalancer
		Tags         []pair
	}
	TargetGroups []struct {
		Attributes               []pair
		Tags                     []pair
		TargetGroup              elbv2types.TargetGroup
		TargetHealthDescriptions []elbv2types.TargetHealthDescription
	}
	SecurityGroups    []ec2types.SecurityGroup
	Subnets           []ec2types.Subnet
	RouteTables       []ec2types.RouteTable
	AvailabilityZones []ec2types.AvailabilityZone
	Reservations      []ec2types.Reservation
}

type pair struct{ Key, Value string }

func pairs(list []pair) map[string]string {
	out := map[string]string{}
	for _, p := range list {
		out[p.Key] = p.Value
	}
	return out
}

func read(t testing.TB, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// newSite is the installer's part, without any Service.
func newSite(t testing.TB) *site {
	t.Helper()
	var made struct {
		VPC     string
		Private []string
	}
	dir := filepath.Join("testdata", "golden", "site")
	read(t, filepath.Join(dir, "site.json"), &made)
	s := &site{observed: aws.NewObserved(), serial: 100}
	s.settings = aws.Settings{
		Cluster: "rig", Tags: names.Cluster{ID: "rig"}, Region: "us-east-1", VPC: made.VPC, Subnet: made.Private[0],
		NodeRules: true, NetworkGroups: aws.NoGroups, Claims: aws.PeerOnly,
		Probes: aws.OwnProbes, SharedProbePort: 10256, SharedProbePath: "/healthz", RuleLimit: 60, Registry: intent.Annotations(),
	}
	read(t, filepath.Join(dir, "nodes.json"), &s.nodes)
	s.learn(t, filepath.Join(dir, "state.json"))
	return s
}

// load is the site with one Service that the peer served.
func load(t testing.TB, name string) *site {
	t.Helper()
	s := newSite(t)
	dir := filepath.Join("testdata", "golden", name)
	var svc v1.Service
	read(t, filepath.Join(dir, "service.json"), &svc)
	s.services = []*v1.Service{&svc}
	s.observed.Services = s.services
	s.learn(t, filepath.Join(dir, "state.json"))
	manifest, err := os.ReadFile(filepath.Join(dir, "service.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifest)) {
		config, ok := strings.CutPrefix(strings.TrimSpace(line), "# cloud-config: ")
		switch {
		case !ok:
		case config == "NLBSecurityGroupMode=Managed":
			s.settings.NetworkGroups = aws.ManagedGroups
		default:
			t.Fatalf("what is %q?", config)
		}
	}
	return s
}

// learn fills what was observed from a state.
func (s *site) learn(t testing.TB, file string) {
	t.Helper()
	var st state
	read(t, file, &st)
	o := s.observed
	for i := range st.ClassicLoadBalancers {
		c := &st.ClassicLoadBalancers[i]
		o.Classics[awssdk.ToString(c.LoadBalancerDescription.LoadBalancerName)] = &aws.Classic{
			LoadBalancerDescription: c.LoadBalancerDescription, Tags: pairs(c.Tags), Attributes: &c.LoadBalancerAttributes,
		}
	}
	for i := range st.NetworkLoadBalancers {
		n := &st.NetworkLoadBalancers[i]
		lb := &aws.Network{LoadBalancer: n.LoadBalancer, Tags: pairs(n.Tags), Attributes: pairs(n.Attributes)}
		for _, l := range n.Listeners {
			lb.Listeners = append(lb.Listeners, l.Listener)
		}
		o.Networks[awssdk.ToString(n.LoadBalancer.LoadBalancerArn)] = lb
	}
	for i := range st.TargetGroups {
		g := &st.TargetGroups[i]
		tg := &aws.TargetGroup{
			TargetGroup: g.TargetGroup, Tags: pairs(g.Tags), Attributes: pairs(g.Attributes), TargetsRead: true,
			Targets: map[aws.Target]elbv2types.TargetHealthStateEnum{},
		}
		for _, h := range g.TargetHealthDescriptions {
			tg.Targets[aws.Target{ID: awssdk.ToString(h.Target.Id), Port: awssdk.ToInt32(h.Target.Port)}] = h.TargetHealth.State
		}
		o.TargetGroups[awssdk.ToString(g.TargetGroup.TargetGroupArn)] = tg
	}
	for i := range st.SecurityGroups {
		o.Groups[awssdk.ToString(st.SecurityGroups[i].GroupId)] = &st.SecurityGroups[i]
	}
	for _, r := range st.Reservations {
		for i := range r.Instances {
			in := &r.Instances[i]
			x := &aws.Instance{ID: awssdk.ToString(in.InstanceId), VPC: awssdk.ToString(in.VpcId), Zone: awssdk.ToString(in.Placement.AvailabilityZone), State: in.State.Name}
			for _, g := range in.SecurityGroups {
				x.Groups = append(x.Groups, awssdk.ToString(g.GroupId))
			}
			o.Instances[x.ID] = x
		}
	}
	o.Subnets = append(o.Subnets, st.Subnets...)
	o.RouteTables = append(o.RouteTables, st.RouteTables...)
	if o.ZoneTypes == nil {
		o.ZoneTypes = map[string]string{}
	}
	for _, z := range st.AvailabilityZones {
		o.ZoneTypes[awssdk.ToString(z.ZoneName)] = awssdk.ToString(z.ZoneType)
	}
}

func item(svc *v1.Service, want provider.Want, cause provider.Cause) provider.Item {
	in, problems := intent.New(svc, intent.AWS, intent.Annotations())
	it := provider.Item{Key: in.Key, Service: svc, Want: want, Cause: cause, Intent: in}
	if want == provider.Serve && intent.Refusal(problems) != nil {
		it.Want = provider.Keep
	}
	return it
}

// all is a batch of all Services.
func (s *site) all(want provider.Want, cause provider.Cause) provider.Batch {
	b := provider.Batch{Nodes: s.nodes}
	for _, svc := range s.services {
		b.Items = append(b.Items, item(svc, want, cause))
	}
	return b
}

func (s *site) compute(batch provider.Batch) *aws.Result {
	return aws.Compute(aws.Input{Settings: &s.settings, Observed: s.observed, Batch: batch})
}

// text is the plan, and what was refused and noticed.
func text(t *testing.T, r *aws.Result) string {
	t.Helper()
	p, err := plan.New(r.Steps)
	if err != nil {
		t.Fatal(err)
	}
	return providertest.Text(&provider.Decision{Plan: p, Refused: r.Refused, Notices: r.Notices})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	goldenfile.Check(t, filepath.Join("testdata", "plans", strings.ReplaceAll(name, " ", "_")+".txt"), got)
}

// empty checks that nothing of any Service remains.
func (s *site) empty(t *testing.T) {
	t.Helper()
	o := s.observed
	if n := len(o.Networks) + len(o.TargetGroups) + len(o.Classics); n > 0 {
		t.Errorf("%d load balancers and target groups are left", n)
	}
	before := newSite(t).observed
	for id, g := range o.Groups {
		was := before.Groups[id]
		if was == nil {
			t.Errorf("security group %s is left", awssdk.ToString(g.GroupName))
			continue
		}
		if diff := cmp.Diff(sources(was), sources(g)); diff != "" {
			t.Errorf("rules of %s: -want +got:\n%s", awssdk.ToString(g.GroupName), diff)
		}
	}
}

// sources are the rules of a group as text, sorted.
func sources(g *ec2types.SecurityGroup) []string {
	var out []string
	for i := range g.IpPermissions {
		p := &g.IpPermissions[i]
		head := fmt.Sprintf("%s %d-%d ", awssdk.ToString(p.IpProtocol), awssdk.ToInt32(p.FromPort), awssdk.ToInt32(p.ToPort))
		for _, r := range p.IpRanges {
			out = append(out, head+awssdk.ToString(r.CidrIp)+" "+awssdk.ToString(r.Description))
		}
		for _, r := range p.Ipv6Ranges {
			out = append(out, head+awssdk.ToString(r.CidrIpv6)+" "+awssdk.ToString(r.Description))
		}
		for _, r := range p.UserIdGroupPairs {
			out = append(out, head+awssdk.ToString(r.GroupId)+" "+awssdk.ToString(r.Description))
		}
	}
	slices.Sort(out)
	return out
}
