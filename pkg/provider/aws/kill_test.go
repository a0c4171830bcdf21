// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// picture is what there is, without ids.
func (l *live) picture(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, l.cloud.State(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{observed: aws.NewObserved()}
	s.learn(t, file)
	return s.picture()
}

// tale is one life of Services that is cut at every write.
type tale struct {
	name   string
	config func(*cloudconfig.AWS)
	before []func(*v1.Service)
	after  []func(*v1.Service)
}

func tales() []tale {
	return []tale{
		{name: "node port, source ranges", before: []func(*v1.Service){sourceRanges("192.0.2.0/24")}, after: []func(*v1.Service){ports(tcp("a", 80, 30999)), sourceRanges("198.51.100.0/24")}},
		{name: "local, one port more", after: []func(*v1.Service){local, ports(tcp("a", 80, 30080), udp("b", 53, 30053))}},
		{name: "scheme, with groups", config: func(c *cloudconfig.AWS) { c.ManagedNLBSecurityGroups = true }, after: []func(*v1.Service){with("internal", "true")}},
		{name: "given groups", config: func(c *cloudconfig.AWS) { c.ManagedNLBSecurityGroups = true }, after: []func(*v1.Service){with("security-groups", "NODES")}},
		{name: "tls and attributes", after: []func(*v1.Service){with("ssl-cert", theCertificate, "cross-zone-load-balancing-enabled", "true", "target-group-attributes", "proxy_protocol_v2.enabled=true")}},
		{name: "tags", before: []func(*v1.Service){with("additional-resource-tags", "team=web")}, after: []func(*v1.Service){with("additional-resource-tags", "cost=1")}},
		{name: "a cluster without an id", config: untagged, before: []func(*v1.Service){sourceRanges("192.0.2.0/24")}, after: []func(*v1.Service){ports(tcp("a", 80, 30999)), local}},
		{name: "classic, a cluster without an id", config: untagged, before: []func(*v1.Service){classic}, after: []func(*v1.Service){ports(tcp("a", 80, 30999)), sourceRanges("192.0.2.0/24")}},
		{name: "external, certificates", config: claims, before: []func(*v1.Service){external}, after: []func(*v1.Service){with("ssl-cert", theCertificate+","+theCertificate+"0", "scheme", "internet-facing")}},
	}
}

// begin is a cloud with the Services as they were, and one that never changes.
func (c *tale) begin(t *testing.T) (*live, []*v1.Service) {
	t.Helper()
	l := startLive(t, awssim.Options{})
	if c.config != nil {
		c.config(l.config)
	}
	l.restart(t)
	s := newSite(t)
	list := []*v1.Service{s.service("web", c.before...), s.service("other", c.before...)}
	for _, svc := range list {
		l.add(t, svc)
	}
	return l, list
}

func (c *tale) change(l *live, svc *v1.Service) {
	for _, f := range c.after {
		f(svc)
	}
	if svc.Annotations[annotation+"security-groups"] == "NODES" {
		svc.Annotations[annotation+"security-groups"] = l.site.NodeGroup
	}
}

// cut lets the process end at the nth write of a pass, before or after the
// write is done, and starts another one. It is false when there are fewer.
func (l *live) cut(t *testing.T, n int, at sim.Moment, want provider.Want, svc *v1.Service) bool {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	l.cloud.ResetCalls()
	struck := false
	l.cloud.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict {
		switch {
		case call.Write == n && m == at:
			struck = true
			kill()
			return sim.HangUp
		case struck:
			return sim.HangUp
		}
		return sim.Proceed
	})
	l.ctx = ctx
	_, _, _ = l.pass(t, want, provider.Edit, svc)
	l.ctx = nil
	l.cloud.SetHook(nil)
	l.restart(t)
	return struck
}

// TestKilledAtEveryWrite compares with a life that nothing disturbed.
func TestKilledAtEveryWrite(t *testing.T) {
	for _, c := range tales() {
		t.Run(c.name, func(t *testing.T) {
			whole, list := c.begin(t)
			whole.must(t, -1, provider.Serve, provider.Edit, list[1])
			alone := whole.picture(t)
			whole.must(t, -1, provider.Serve, provider.Edit, list[0])
			created := whole.picture(t)
			c.change(whole, list[0])
			whole.must(t, -1, provider.Serve, provider.Edit, list[0])
			changed := whole.picture(t)
			for _, stage := range []struct {
				name string
				want []string
			}{{"created", created}, {"changed", changed}, {"removed", alone}} {
				for n, more := 1, true; more; n++ {
					for _, at := range []sim.Moment{sim.BeforeCommit, sim.AfterCommit} {
						more = c.killed(t, stage.name, n, at, stage.want)
					}
				}
			}
		})
	}
}

func (c *tale) killed(t *testing.T, stage string, n int, at sim.Moment, want []string) bool {
	t.Helper()
	l, list := c.begin(t)
	l.must(t, -1, provider.Serve, provider.Edit, list[1])
	what := provider.Serve
	if stage != "created" {
		l.must(t, -1, provider.Serve, provider.Edit, list[0])
		c.change(l, list[0])
	}
	if stage == "removed" {
		l.must(t, -1, provider.Serve, provider.Edit, list[0])
		what = provider.Remove
	}
	struck := l.cut(t, n, at, what, list[0])
	for try := 0; ; try++ {
		d, _, err := l.pass(t, what, provider.Resync, list[0])
		if err == nil && len(d.Plan.Steps) == 0 {
			break
		}
		if try == 3 {
			t.Errorf("%s, killed at write %d: not settled: %v\n%s", stage, n, err, d.Plan)
			break
		}
	}
	if diff := cmp.Diff(want, l.picture(t)); diff != "" {
		t.Errorf("%s, killed at write %d (%v): -undisturbed +got:\n%s", stage, n, at, diff)
	}
	return struck
}
