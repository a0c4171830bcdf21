// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// taken is one thing that somebody takes away by hand: a call, and the form that
// it needs.
type taken struct {
	api  string
	form func(*testing.T, *world) url.Values
}

// What somebody takes away by hand comes back with the next look for drift.
func TestWhatIsTakenByHandComesBack(t *testing.T) {
	listener := taken{"elbv2.DeleteListener", func(t *testing.T, w *world) url.Values {
		t.Helper()
		return url.Values{"ListenerArn": {w.arnOf(t, "ListenerArn", "")}}
	}}
	group := taken{"elbv2.DeleteTargetGroup", func(t *testing.T, w *world) url.Values {
		t.Helper()
		return url.Values{"TargetGroupArn": {w.arnOf(t, "TargetGroupArn", "k8s-")}}
	}}
	target := taken{"elbv2.DeregisterTargets", func(t *testing.T, w *world) url.Values {
		t.Helper()
		return url.Values{
			"TargetGroupArn": {w.arnOf(t, "TargetGroupArn", "k8s-")}, "Targets.member.1.Id": {w.machines[0]}, "Targets.member.1.Port": {"30010"},
		}
	}}
	instance := taken{"elb.DeregisterInstancesFromLoadBalancer", func(_ *testing.T, w *world) url.Values {
		return url.Values{"LoadBalancerName": {nameOfWeb}, "Instances.member.1.InstanceId": {w.machines[1]}}
	}}
	classicListener := taken{"elb.DeleteLoadBalancerListeners", func(*testing.T, *world) url.Values {
		return url.Values{"LoadBalancerName": {nameOfWeb}, "LoadBalancerPorts.member.1": {"80"}}
	}}
	atNodes := taken{"ec2.RevokeSecurityGroupIngress", func(t *testing.T, w *world) url.Values {
		t.Helper()
		return w.ruleOf(t, w.site.NodeGroup)
	}}
	atBalancer := taken{"ec2.RevokeSecurityGroupIngress", func(t *testing.T, w *world) url.Values {
		t.Helper()
		return w.ruleOf(t, w.groupNamed(t, "k8s-"))
	}}
	for _, k := range kinds() {
		things := map[string][]taken{
			"a listener": {listener}, "a target group": {listener, group}, "a target": {target}, "a rule at the nodes": {atNodes},
			"a rule of its group": {atBalancer},
		}
		switch k.name {
		case "network":
			delete(things, "a rule of its group")
		case "classic":
			things = map[string][]taken{
				"a listener": {classicListener}, "an instance": {instance}, "a rule at the nodes": {atNodes}, "a rule of its group": {atBalancer},
			}
		}
		for name, calls := range things {
			t.Run(k.name+" "+name, func(t *testing.T) {
				t.Parallel()
				w := begun(t, awssim.Options{}, k.config...)
				w.Do(t, harness.Create(k.of(newService("web", 1, "TCP:80"))))
				want := pictureOf(t, w)
				for _, c := range calls {
					if err := w.sim.Apply(c.api, c.form(t, w)); err != nil {
						t.Fatalf("%s: %v", c.api, err)
					}
				}
				if pictureOf(t, w) == want {
					t.Fatal("nothing was taken")
				}
				w.Controller(t).SetDrift(cloudconfig.Drift{Mode: cloudconfig.DriftRepair, Interval: 50 * time.Millisecond})
				err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, harness.LongestSettle, true, func(context.Context) (bool, error) {
					got, err := w.Picture()
					return got == want, err
				})
				if err != nil {
					t.Errorf("%v:\n%s", err, harness.Diff(want, pictureOf(t, w)))
				}
			})
		}
	}
}

// nameOfWeb is that of the load balancer of the first Service.
const nameOfWeb = "a0000000100004000800000000000000"

// arnOf is the first ARN of ours in a field of the state, with a text in it.
func (w *world) arnOf(t *testing.T, field, text string) string {
	t.Helper()
	for line := range strings.Lines(string(w.sim.State())) {
		if _, rest, ok := strings.Cut(line, `"`+field+`": "`); ok && strings.Contains(rest, text) && !strings.Contains(rest, "theirs") {
			arn, _, _ := strings.Cut(rest, `"`)
			return arn
		}
	}
	t.Fatalf("no %s", field)
	return ""
}

// groupsOf are the security groups of the cloud.
func (w *world) groupsOf(t *testing.T) []securityGroup {
	t.Helper()
	var doc struct{ SecurityGroups []securityGroup }
	if err := json.Unmarshal(w.sim.State(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.SecurityGroups
}

// securityGroup is what tests read of one.
type securityGroup struct {
	GroupID       string `json:"GroupId"`
	GroupName     string
	IPPermissions []struct {
		IPProtocol       string `json:"IpProtocol"`
		FromPort, ToPort *int
		IPRanges         []struct {
			CidrIP string `json:"CidrIp"`
		} `json:"IpRanges"`
		UserIDGroupPairs []struct {
			GroupID string `json:"GroupId"`
		} `json:"UserIdGroupPairs"`
	} `json:"IpPermissions"`
}

func (w *world) groupNamed(t *testing.T, prefix string) string {
	t.Helper()
	for _, g := range w.groupsOf(t) {
		if strings.HasPrefix(g.GroupName, prefix) {
			return g.GroupID
		}
	}
	t.Fatalf("no group %s", prefix)
	return ""
}

// ruleOf is the form that revokes a rule of a group that lets in what is ours:
// that of the nodes has one of the nodes themselves, and one for ssh.
func (w *world) ruleOf(t *testing.T, group string) url.Values {
	t.Helper()
	for _, g := range w.groupsOf(t) {
		for _, p := range g.IPPermissions {
			if g.GroupID != group || p.FromPort != nil && (*p.FromPort == 22 || *p.FromPort == 3) {
				continue
			}
			form := url.Values{"GroupId": {group}, "IpPermissions.1.IpProtocol": {p.IPProtocol}}
			if p.FromPort != nil {
				form.Set("IpPermissions.1.FromPort", strconv.Itoa(*p.FromPort))
				form.Set("IpPermissions.1.ToPort", strconv.Itoa(*p.ToPort))
			}
			for _, r := range p.IPRanges {
				form.Set("IpPermissions.1.IpRanges.1.CidrIp", r.CidrIP)
				return form
			}
			for _, pair := range p.UserIDGroupPairs {
				if pair.GroupID != group {
					form.Set("IpPermissions.1.Groups.1.GroupId", pair.GroupID)
					return form
				}
			}
		}
	}
	t.Fatalf("no rule of %s", group)
	return nil
}
