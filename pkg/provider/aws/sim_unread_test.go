// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// hide makes AWS refuse to tell of instances, or of security groups by their ids.
func (l *live) hide(answer func(awssim.Call) *awssim.Fault) {
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeInstances" || (c.Action == "DescribeSecurityGroups" && c.Form.Get("Filter.1.Name") == "group-id") {
			return answer(c)
		}
		return nil
	})
}

// launch adds a node whose instance has a security group of its own, with the tag
// of the cluster, and returns the group's id.
func (l *live) launch(t *testing.T, name string) string {
	t.Helper()
	id := l.site.Launch(1)[0]
	group := l.site.Group("nodes-of-" + name)
	if err := l.cloud.Apply("ec2.ModifyInstanceAttribute", url.Values{"InstanceId": {id}, "GroupId.1": {group}}); err != nil {
		t.Fatal(err)
	}
	l.nodes = append(l.nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + id}})
	return group
}

// TestInstancesThatCannotBeRead hold up nobody for whom what was known of them is
// enough.
func TestInstancesThatCannotBeRead(t *testing.T) {
	for name, answer := range map[string]func(awssim.Call) *awssim.Fault{"denied": awssim.Denied, "throttled": awssim.Throttled} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			now := l.stopClock(t)
			s := newSite(t)
			old, late := s.service("old"), s.service("late", ports(tcp("a", 81, 30081)))
			l.add(t, old)
			l.must(t, -1, provider.Serve, provider.Edit, old)
			before := string(l.cloud.State())

			l.hide(answer)
			now.Step(time.Hour)
			l.add(t, late)
			d, _, err := l.pass(t, provider.Serve, provider.Edit, old, late)
			if err != nil || len(d.Refused) > 0 || d.Again == 0 {
				t.Fatalf("%v, refused %v, looks again after %v", err, d.Refused, d.Again)
			}
			l.must(t, -1, provider.Remove, provider.Edit, late)
			if diff := cmp.Diff(before, string(l.cloud.State())); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}

			n := len(l.nodes)
			group := l.launch(t, "new")
			for range 20 { // for longer than AWS takes to list what is new
				d, _, err := l.pass(t, provider.Serve, provider.Nodes, old)
				if err != nil || len(d.Refused)+len(d.Notices) > 0 || d.Again == 0 {
					t.Fatalf("%v, refused %v, told %v, looks again after %v", err, d.Refused, d.Notices, d.Again)
				}
				now.Step(time.Minute)
			}
			if text := string(l.cloud.State()); strings.Count(text, idOf(l.nodes[n])) < 2 {
				t.Errorf("the new instance is no target:\n%s", text)
			}
			l.cloud.SetFault(nil)
			l.must(t, 1, provider.Serve, provider.Nodes, old)
			d, _, err = l.pass(t, provider.Serve, provider.Nodes, old)
			if err != nil || len(d.Plan.Steps)+len(d.Notices) > 0 || d.Again != 0 {
				t.Errorf("%v, told %v, looks again after %v:\n%s", err, d.Notices, d.Again, d.Plan)
			}
			if !strings.Contains(string(l.cloud.State()), group) {
				t.Error("the new node's security group is not there")
			}
		})
	}
}

// TestNothingIsKnownOfTheNodes is a start while AWS does not tell of instances:
// what is there stays and goes as the Services say, and who needs rules at the
// nodes waits and is told why.
func TestNothingIsKnownOfTheNodes(t *testing.T) {
	for name, edit := range map[string]func(*v1.Service){"network": func(*v1.Service) {}, "classic": classic} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			s := newSite(t)
			empty := string(l.cloud.State())
			old, gone, late := s.service("old", edit), s.service("gone", edit, ports(tcp("a", 81, 30081))), s.service("late", edit)
			l.add(t, old)
			l.must(t, -1, provider.Serve, provider.Edit, old)
			before := string(l.cloud.State())
			l.add(t, gone)
			l.must(t, -1, provider.Serve, provider.Edit, gone)

			l.hide(awssim.Denied)
			l.restart(t)
			l.must(t, -1, provider.Remove, provider.Edit, gone)
			if err := l.services.Delete(gone); err != nil {
				t.Fatal(err)
			}
			l.add(t, late)
			for range 2 {
				d, _, err := l.pass(t, provider.Serve, provider.Resync, old, late)
				if err != nil || len(d.Refused) != 2 || len(d.Plan.Steps) > 0 {
					t.Fatalf("%v, refused %v, planned:\n%s", err, d.Refused, d.Plan)
				}
				err = d.Refused[keyOf(late)]
				if text := err.Error(); plan.KindOf(err) != plan.Denied || !strings.HasPrefix(text, "the Service waits until it is known which security groups") || !strings.Contains(text, "grant ec2:DescribeInstances") {
					t.Error(text)
				}
			}
			if diff := cmp.Diff(before, string(l.cloud.State())); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}

			l.cloud.SetFault(nil)
			l.must(t, -1, provider.Serve, provider.Resync, old, late)
			l.must(t, -1, provider.Remove, provider.Edit, old, late)
			if diff := cmp.Diff(empty, string(l.cloud.State())); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

// TestSecurityGroupsThatCannotBeRead are those of a new node: others are served.
func TestSecurityGroupsThatCannotBeRead(t *testing.T) {
	l := startLive(t, awssim.Options{})
	svc := newSite(t).service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	l.launch(t, "new")
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeSecurityGroups" {
			return awssim.Denied(c)
		}
		return nil
	})
	d, _, err := l.pass(t, provider.Serve, provider.Nodes, svc)
	if err != nil || len(d.Refused)+len(d.Notices) > 0 || len(d.Plan.Steps) != 1 || d.Again == 0 {
		t.Fatalf("%v, refused %v, told %v, looks again after %v:\n%s", err, d.Refused, d.Notices, d.Again, d.Plan)
	}
	l.cloud.SetFault(nil)
	l.must(t, 1, provider.Serve, provider.Nodes, svc) // the rules
	l.must(t, 0, provider.Serve, provider.Nodes, svc)
}

// TestSecurityGroupsAreNotAskedForInEachPass while instances cannot be read that
// had them: what is not there is asked for again later.
func TestSecurityGroupsAreNotAskedForInEachPass(t *testing.T) {
	l := startLive(t, awssim.Options{})
	now := l.stopClock(t)
	svc := newSite(t).service("web")
	l.add(t, svc)
	group := l.launch(t, "new")
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	asked := 0
	l.hide(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeInstances" {
			return awssim.Denied(c)
		}
		asked++
		return nil
	})
	id := idOf(l.nodes[len(l.nodes)-1])
	if err := l.cloud.Apply("ec2.ModifyInstanceAttribute", url.Values{"InstanceId": {id}, "GroupId.1": {l.site.NodeGroup}}); err != nil {
		t.Fatal(err)
	}
	if err := l.cloud.Apply("ec2.DeleteSecurityGroup", url.Values{"GroupId": {group}}); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 3; want++ {
		for range 5 {
			if _, _, err := l.pass(t, provider.Serve, provider.Repair, svc); err != nil {
				t.Fatal(err)
			}
		}
		if asked != want {
			t.Errorf("asked %d times, want %d", asked, want)
		}
		now.Step(firstLook)
	}
	l.cloud.SetFault(nil)
	l.must(t, 0, provider.Serve, provider.Repair, svc)
}

// firstLook is how long what EC2 does not list is not asked for again.
const firstLook = 10 * time.Second
