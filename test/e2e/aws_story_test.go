// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
)

const (
	keyAWSSubnets = "service.beta.kubernetes.io/aws-load-balancer-subnets"
	keyAWSType    = "service.beta.kubernetes.io/aws-load-balancer-type"
)

// The controller manager and the plugin as they are shipped, before a real API
// server and a simulated AWS.
func TestAWS(t *testing.T) {
	bin := buildCommands(t, controller, plugin)
	t.Run("serves, refuses and cleans up", func(t *testing.T) { awsStory(t, bin) })
	for _, state := range []string{"nlb-managed-group", "clb-tls-policy"} {
		t.Run("adopts "+state, func(t *testing.T) { adoptsAWS(t, bin, state) })
	}
}

func awsStory(t *testing.T, bin string) {
	t.Helper()
	cloud := awssim.New(awssim.Options{})
	site := cloud.NewSite(awssim.SiteOptions{Zones: 2})
	site.Launch(2)
	s := newAWSStand(t, bin, cloud, site)
	before := s.balancing(t)
	for _, m := range s.machines(t) {
		s.createNode(t, m.Node())
	}
	says(t, s.plan(t, 0, "--all"), "No Service is ours")
	s.apply(t, web.NLB, nil)
	s.apply(t, web.Classic, nil)
	s.showsOnly(t)

	manager := s.manage(t)
	s.servesNetwork(t)
	s.servesClassic(t)
	s.opensThePortsAlone(t, site)
	eventually(t, "nothing is left to do", func(ctx context.Context) error {
		_, err := s.tryRun(ctx, 0, "plan", "--cluster-name="+web.ClusterName, "--all")
		return err
	})
	s.followsNodes(t, site)
	s.refuses(t)
	s.handsOver(t)
	s.delete(t, lost)
	s.delete(t, web.NLB, web.Classic)
	if after := s.balancing(t); after != before {
		t.Errorf("something is left in AWS; before:\n%s\nafter:\n%s", before, after)
	}
	manager.stop(t)
}

// showsOnly lets a dry run and the plugin look at Services that nobody serves
// yet.
func (s *awsStand) showsOnly(t *testing.T) {
	t.Helper()
	dry := s.manage(t, "--dry-run")
	steps := []string{
		"+ aws/loadBalancer a", "+ aws/targetGroup k8s-default-webnlb-", "+ aws/classicLoadBalancer a",
		"~ aws/nodeSecurityGroup sg-",
	}
	eventually(t, "the dry run printed the plan", func(context.Context) error {
		text, err := os.ReadFile(filepath.Join(t.ArtifactDir(), controller+".log"))
		for _, step := range steps {
			if err == nil && !strings.Contains(string(text), step) {
				err = fmt.Errorf("there is no %q in\n%s", step, text)
			}
		}
		return err
	})
	dry.stop(t)
	says(t, s.plan(t, 2, "--all"), steps...)
	says(t, s.plan(t, 2, web.NLB, "-o", "json"), `"aws/loadBalancer"`)
	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("written to AWS: %q", writes)
	}
	svc, err := s.admin.CoreV1().Services("default").Get(t.Context(), web.NLB, metav1.GetOptions{})
	if err != nil || len(svc.Finalizers) > 0 || len(svc.Status.Conditions) > 0 || len(svc.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("the Service has finalizers %q and status %+v (%v)", svc.Finalizers, svc.Status, err)
	}
}

// servesNetwork checks what becomes of the Service of type nlb.
func (s *awsStand) servesNetwork(t *testing.T) {
	t.Helper()
	name := s.awaitHostname(t, web.NLB)
	eventually(t, "the Service is told to be served", func(ctx context.Context) error {
		return s.hasEvent(ctx, "default", web.NLB, "EnsuredLoadBalancer", "its name is "+name)
	})
	all := s.state(t)
	if len(all.NetworkLoadBalancers) != 1 || len(all.TargetGroups) != 2 {
		t.Fatalf("there are %+v with %+v", all.NetworkLoadBalancers, all.TargetGroups)
	}
	lb := all.NetworkLoadBalancers[0]
	if lb.LoadBalancer.DNSName != name || len(lb.LoadBalancer.AvailabilityZones) != 2 || len(lb.Listeners) != 2 {
		t.Errorf("the status says %s of %+v", name, lb)
	}
	crossing := slices.ContainsFunc(lb.Attributes, func(a struct{ Key, Value string }) bool {
		return a.Key == "load_balancing.cross_zone.enabled" && a.Value == "true"
	})
	if !crossing {
		t.Errorf("it does not cross zones: %+v", lb.Attributes)
	}
	for _, g := range all.TargetGroups {
		var ids []string
		for _, d := range g.TargetHealthDescriptions {
			ids = append(ids, d.Target.ID)
		}
		s.areMachines(t, ids)
	}
}

// areMachines checks that targets are all machines, which are in both zones.
func (s *awsStand) areMachines(t *testing.T, ids []string) {
	t.Helper()
	var want []string
	for _, m := range s.machines(t) {
		want = append(want, m.ID)
	}
	slices.Sort(ids)
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("targets are %q, machines %q", ids, want)
	}
}

// servesClassic checks what becomes of the Service without a type.
func (s *awsStand) servesClassic(t *testing.T) {
	t.Helper()
	name := s.awaitHostname(t, web.Classic)
	all := s.state(t)
	if len(all.ClassicLoadBalancers) != 1 {
		t.Fatalf("there are %+v", all.ClassicLoadBalancers)
	}
	lb := all.ClassicLoadBalancers[0]
	if d := lb.LoadBalancerAttributes.ConnectionDraining; !d.Enabled || d.Timeout != 60 {
		t.Errorf("connections are drained by %+v", d)
	}
	if lb.LoadBalancerDescription.DNSName != name || len(lb.LoadBalancerDescription.AvailabilityZones) != 2 {
		t.Errorf("the status says %s of %+v", name, lb.LoadBalancerDescription)
	}
	var ids []string
	for _, i := range lb.LoadBalancerDescription.Instances {
		ids = append(ids, i.InstanceID)
	}
	s.areMachines(t, ids)
}

// opensThePortsAlone checks the rules of the nodes' security group: clients of
// the network load balancer come from their range to its node ports, and health
// checks to theirs; what the classic one sends comes from its group.
func (s *awsStand) opensThePortsAlone(t *testing.T, site *awssim.Site) {
	t.Helper()
	svc, err := s.admin.CoreV1().Services("default").Get(t.Context(), web.NLB, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	open := map[int32][]string{}
	ofGroups := 0
	for _, g := range s.state(t).SecurityGroups {
		if g.GroupID != site.NodeGroup {
			continue
		}
		for _, p := range g.IPPermissions {
			for _, r := range p.IPRanges {
				open[p.FromPort] = append(open[p.FromPort], r.CidrIP)
				if p.FromPort != p.ToPort && p.FromPort != 3 {
					t.Errorf("ports %d to %d are open to %s", p.FromPort, p.ToPort, r.CidrIP)
				}
			}
			for _, from := range p.Groups {
				if from.GroupID != site.NodeGroup {
					ofGroups++
				}
			}
		}
	}
	for _, p := range svc.Spec.Ports {
		if !slices.Contains(open[p.NodePort], "203.0.113.0/24") || slices.Contains(open[p.NodePort], "0.0.0.0/0") {
			t.Errorf("node port %d is open to %q", p.NodePort, open[p.NodePort])
		}
	}
	if len(open[svc.Spec.HealthCheckNodePort]) == 0 || ofGroups == 0 {
		t.Errorf("the nodes' group has the rules %v, and %d that refer to a load balancer's group", open, ofGroups)
	}
}

// followsNodes adds a machine with its node, and takes the node away again.
func (s *awsStand) followsNodes(t *testing.T, site *awssim.Site) {
	t.Helper()
	added := site.Launch(1)[0]
	var node *v1.Node
	for _, m := range s.machines(t) {
		if m.ID == added {
			node = m.Node()
		}
	}
	targets := func(want int) func(context.Context) error {
		return func(context.Context) error {
			all := s.state(t)
			got := []int{len(all.ClassicLoadBalancers[0].LoadBalancerDescription.Instances)}
			for _, g := range all.TargetGroups {
				got = append(got, len(g.TargetHealthDescriptions))
			}
			if !slices.Equal(got, []int{want, want, want}) {
				return fmt.Errorf("there are %v targets", got)
			}
			return nil
		}
	}
	s.createNode(t, node)
	eventually(t, "the node is a target of all", targets(3))
	if err := s.admin.CoreV1().Nodes().Delete(t.Context(), node.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is a target of none", targets(2))
}

const lost = "web-lost"

// refuses applies a Service that cannot be served, and changes it so that it
// can.
func (s *awsStand) refuses(t *testing.T) {
	t.Helper()
	balancing := s.balancing(t)
	s.apply(t, web.NLB, func(o *unstructured.Unstructured) {
		o.SetName(lost)
		annotations := o.GetAnnotations()
		annotations[keyAWSSubnets] = "nowhere"
		o.SetAnnotations(annotations)
	})
	s.awaitCondition(t, lost, "SubnetNotFound")
	eventually(t, "the refusal is told", func(ctx context.Context) error {
		return s.hasEvent(ctx, "default", lost, "SubnetNotFound", "it has the condition")
	})
	says(t, s.plan(t, 3, lost), "annotation "+keyAWSSubnets+" names nowhere, which is no id and no Name tag of a subnet of ")
	if now := s.balancing(t); now != balancing {
		t.Errorf("for a refused Service AWS went from\n%s\nto\n%s", balancing, now)
	}
	s.apply(t, web.NLB, func(o *unstructured.Unstructured) { o.SetName(lost) })
	s.awaitHostname(t, lost)
	eventually(t, "the condition says that it is served", func(ctx context.Context) error {
		svc, err := s.admin.CoreV1().Services("default").Get(ctx, lost, metav1.GetOptions{})
		if err == nil && len(svc.Status.Conditions) > 0 && svc.Status.Conditions[0].Status != metav1.ConditionTrue {
			err = fmt.Errorf("it is %+v", svc.Status.Conditions)
		}
		return err
	})
}

// handsOver gives a Service that is served to the AWS Load Balancer Controller,
// which is told by the status that it writes.
func (s *awsStand) handsOver(t *testing.T) {
	t.Helper()
	ctx, services := t.Context(), s.admin.CoreV1().Services("default")
	balancing := s.balancing(t)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"external"}}}`, keyAWSType)
	if _, err := services.Patch(ctx, lost, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.awaitCondition(t, lost, "LoadBalancerTypeChanged")
	says(t, s.plan(t, 3, lost), "it stays until that controller has written another address")
	if now := s.balancing(t); now != balancing {
		t.Errorf("while clients use it AWS went from\n%s\nto\n%s", balancing, now)
	}
	theirs := `{"status":{"loadBalancer":{"ingress":[{"hostname":"k8s-default-lost-0.elb.us-east-1.amazonaws.com"}]}}}`
	if _, err := services.Patch(ctx, lost, types.MergePatchType, []byte(theirs), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was ours is gone", func(ctx context.Context) error {
		svc, err := services.Get(ctx, lost, metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case len(svc.Finalizers) > 0 || slices.ContainsFunc(svc.Status.Conditions, func(c metav1.Condition) bool { return c.Status != metav1.ConditionTrue }):
			return fmt.Errorf("finalizers %v, conditions %+v", svc.Finalizers, svc.Status.Conditions)
		case len(svc.Status.LoadBalancer.Ingress) != 1 || !strings.HasPrefix(svc.Status.LoadBalancer.Ingress[0].Hostname, "k8s-"):
			return fmt.Errorf("the other controller's status became %+v", svc.Status.LoadBalancer)
		}
		return nil
	})
	if n := len(s.state(t).NetworkLoadBalancers); n != 1 {
		t.Errorf("%d network load balancers are there, want that of %s", n, web.NLB)
	}
}
