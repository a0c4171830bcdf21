// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/record"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// beganAt is a world whose clock is that of the test's bubble, with a controller
// and a Service web that is served.
func beganAt(t *testing.T, o awssim.Options, config ...string) (*world, *harness.Controller, <-chan string) {
	t.Helper()
	w := &world{sim: awssim.New(o)}
	w.site = w.sim.NewSite(awssim.SiteOptions{})
	w.World = &harness.World{Cluster: harness.NewCluster()}
	told := record.NewFakeRecorder(1000)
	w.Recorder = told
	w.machines = w.site.Launch(3)
	w.sim.Advance(max(o.Lag.EC2, o.Lag.ELB) + time.Hour)
	for i := range w.machines {
		if err := w.Nodes.Add(w.node(i)); err != nil {
			t.Fatal(err)
		}
	}
	conf, err := rig.Config(rig.ConfigText(w.site, "http://aws.example", config...))
	if err != nil {
		t.Fatal(err)
	}
	client, err := api.New(harness.Quiet(t), conf, api.Setup{HTTP: &http.Client{Transport: sim.Direct{Cloud: w.sim}}, Limits: rig.NoLimits()})
	if err != nil {
		t.Fatal(err)
	}
	c := rig.Start(harness.Quiet(t), w.Cluster, client, conf)
	t.Cleanup(c.Close)
	svc := newService("web", 1, "TCP:80")
	if err := w.Services.Add(svc); err != nil {
		t.Fatal(err)
	}
	if err := c.Sync(t.Context(), svc); err != nil {
		t.Fatal(err)
	}
	return w, c, told.Events
}

// joins adds a node whose machine has a security group of its own, which belongs
// to the VPC, and returns the group's id.
func (w *world) joins(t *testing.T, c *harness.Controller, vpc string) string {
	t.Helper()
	here := w.site.VPC
	w.site.VPC = vpc
	group := w.site.Group("nodes-of-another-pool")
	w.site.VPC = here
	machine := w.site.Launch(1)[0]
	if err := w.sim.Apply("ec2.ModifyInstanceAttribute", url.Values{"InstanceId": {machine}, "GroupId.1": {group}}); err != nil {
		t.Fatal(err)
	}
	w.machines = append(w.machines, machine)
	node := w.node(len(w.machines) - 1)
	if err := w.Nodes.Add(node); err != nil {
		t.Fatal(err)
	}
	c.NodeHandler().OnAdd(node, false)
	return group
}

// letsIn counts the rules of a security group for what comes in.
func (w *world) letsIn(t *testing.T, group string) (n int) {
	t.Helper()
	for _, g := range w.groupsOf(t) {
		if g.GroupID == group {
			n = len(g.IPPermissions)
		}
	}
	return n
}

// after lets time pass, and counts the reads meanwhile.
func (w *world) after(d time.Duration) int {
	w.Forget()
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
	counts := w.sim.Counts()
	return sim.Total(counts.Reads) + counts.Pages
}

// The security group of a node that joins gets its rules though AWS shows the
// node's machine and the group late, or never: then nobody waits for ever.
func TestGroupsOfNodesThatAWSListsLate(t *testing.T) {
	for name, tt := range map[string]struct {
		lag    time.Duration
		within time.Duration
		reads  int // within that time
		rules  bool
		vpc    string // of the group, when it is another one
	}{
		"of another VPC":    {within: 3 * time.Second, reads: 2, rules: true, vpc: "vpc-0123456789abcdef0"},
		"at once":           {within: 3 * time.Second, reads: 2, rules: true},
		"after some time":   {lag: 45 * time.Second, within: 100 * time.Second, reads: 6, rules: true},
		"after a long time": {lag: 4 * time.Minute, within: 6 * time.Minute, reads: 8, rules: true},
		"never":             {lag: 1000 * time.Hour, within: 10 * time.Minute, reads: 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c, told := beganAt(t, awssim.Options{Lag: awssim.Lag{EC2: tt.lag}})
				group := w.joins(t, c, cmp.Or(tt.vpc, w.site.VPC))
				if n := w.after(tt.within); n > tt.reads {
					t.Errorf("%d reads of at most %d: %v", n, tt.reads, w.sim.Counts().Reads)
				}
				if n := w.letsIn(t, group); (n > 0) != tt.rules {
					t.Errorf("the group has %d rules", n)
				}
				if n := w.after(10 * time.Hour); n != 0 {
					t.Errorf("%d reads at rest: %v", n, w.sim.Counts().Reads)
				}
				var events []string
				for len(told) > 0 {
					events = append(events, <-told)
				}
				if text := strings.Join(events, "\n"); strings.Contains(text, "EC2 has not listed") == tt.rules {
					t.Errorf("the user is told:\n%s", text)
				}
			})
		})
	}
}
