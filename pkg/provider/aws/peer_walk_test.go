// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// TestTheModelOfThePeerMakesWhatThePeerMade holds the model against the states
// that the peer itself left.
func TestTheModelOfThePeerMakesWhatThePeerMade(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			captured := load(t, name)
			keys := map[string]string{}
			if name == "nlb-managed-group" {
				keys["NLBSecurityGroupMode"] = "Managed"
			}
			p := newPeer(t, keys)
			p.ensure(captured.services[0].DeepCopy())
			if diff := cmp.Diff(captured.seen(), p.seen()); diff != "" {
				t.Errorf("-captured +model:\n%s", diff)
			}
			svc := captured.services[0].DeepCopy()
			p.ensure(svc)
			if diff := cmp.Diff(captured.seen(), p.seen()); diff != "" {
				t.Errorf("again, -captured +model:\n%s", diff)
			}
			p.delete(svc)
			if diff := cmp.Diff(newSite(t).seen(), p.seen()); diff != "" {
				t.Errorf("deleted, -before +after:\n%s", diff)
			}
		})
	}
}

// keep lets the Services be those of the cluster.
func (p *peer) keep(list ...*v1.Service) {
	p.services, p.observed.Services = list, list
}

// adopts checks that nothing is to be written for what the peer left, and that
// each Service is served where it was.
func (p *peer) adopts(t *testing.T) bool {
	t.Helper()
	ok := true
	for _, cause := range []provider.Cause{provider.Drift, provider.Nodes, provider.Freed, provider.Config, provider.Resync} {
		for _, want := range []provider.Want{provider.Serve, provider.Keep} {
			r := p.compute(p.all(want, cause))
			if len(r.Steps) > 0 || len(r.Refused) > 0 {
				t.Errorf("cause %d, want %d:\n%s", cause, want, text(t, r))
				ok = false
			}
			for _, svc := range p.services {
				place := r.Places[plan.Key{Namespace: svc.Namespace, Name: svc.Name}].Name
				if want == provider.Serve && place != baseName(svc) {
					t.Errorf("%s is at %q", svc.Name, place)
					ok = false
				}
			}
			if !ok {
				return false
			}
		}
	}
	return ok
}

func (p *peer) tell(t *testing.T) {
	t.Helper()
	var b strings.Builder
	for _, svc := range p.services {
		b.WriteString(rolled(svc))
	}
	t.Logf("cloud.conf %v\n%s", p.keys, b.String())
}

// walk runs a test for each of so many seeds.
func walk(t *testing.T, n uint64, test func(t *testing.T, d dice, p *peer)) {
	t.Helper()
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := newDice(seed)
			p := newPeer(t, d.keys())
			test(t, d, p)
			if t.Failed() {
				p.tell(t)
			}
		})
	}
}

// removes checks that all of a Service goes, and nothing else.
func (p *peer) removes(t *testing.T, svc *v1.Service, before []string) {
	t.Helper()
	p.settle(t, provider.Batch{Nodes: p.nodes, Items: []provider.Item{item(svc, provider.Remove, provider.Edit)}})
	if diff := cmp.Diff(before, p.seen()); diff != "" {
		t.Errorf("%s removed, -before +after:\n%s", svc.Name, diff)
	}
}

// TestAnyStateOfOneServiceIsAdopted walks Services that the peer made once.
func TestAnyStateOfOneServiceIsAdopted(t *testing.T) {
	walk(t, 300, func(t *testing.T, d dice, p *peer) {
		if d.often(15) {
			p.untag()
		}
		before := p.seen()
		svc := d.service(0)
		p.keep(svc)
		p.ensure(svc)
		if p.adopts(t) {
			p.removes(t, svc, before)
		}
	})
}

// TestAnyHistoryOfOneServiceIsAdopted walks Services that were edited under the
// peer, and cloud.confs: it leaves much as it was.
func TestAnyHistoryOfOneServiceIsAdopted(t *testing.T) {
	walk(t, 300, func(t *testing.T, d dice, p *peer) {
		before := p.seen()
		svc := d.service(0)
		p.keep(svc)
		p.ensure(svc)
		for range 1 + d.IntN(3) {
			if d.often(20) {
				p.reconfigure(t, d)
			}
			if d.often(80) {
				d.edit(svc, 0)
			}
			p.ensure(svc)
		}
		if p.adopts(t) {
			p.removes(t, svc, p.leaked(before))
		}
	})
}

// reconfigure changes what can be changed while load balancers are there
// without what the peer never cleans up.
func (p *peer) reconfigure(t *testing.T, d dice) {
	t.Helper()
	keys := d.keys()
	for _, key := range []string{"DisableSecurityGroupIngress", "KubernetesClusterTag"} {
		delete(keys, key)
		if value, ok := p.keys[key]; ok {
			keys[key] = value
		}
	}
	p.configure(t, keys)
}

// leaked are lines, and those of rules from groups of the user that classic
// load balancers had once: they name nobody, and the peer leaves them.
func (p *peer) leaked(lines []string) []string {
	for _, l := range p.seen() {
		for _, id := range []string{userGroup, otherGroup} {
			if strings.HasPrefix(l, "nodes.rig lets in -1 0-0 from "+p.groupName(id)+" ") && !p.lettingIn(id) {
				lines = append(slices.Clone(lines), l)
			}
		}
	}
	return sorted(lines)
}

// lettingIn reports whether a group is the one from which the nodes let a
// classic load balancer in.
func (p *peer) lettingIn(id string) bool {
	for _, c := range p.observed.Classics {
		if c.SecurityGroups[0] == id {
			return true
		}
	}
	return false
}

// TestAnyStateOfServicesSideBySideIsAdopted walks Services that share groups,
// rules and ports of health checks.
func TestAnyStateOfServicesSideBySideIsAdopted(t *testing.T) {
	walk(t, 150, func(t *testing.T, d dice, p *peer) {
		list := []*v1.Service{d.service(0), d.service(1), d.service(2)}
		p.keep(list...)
		for range 2 {
			for i, svc := range list {
				if d.often(50) {
					d.edit(svc, i)
				}
			}
			p.sync(list...)
		}
		for len(list) > 0 && p.adopts(t) {
			theirs := &peer{site: p.copied(), keys: p.keys}
			i := d.IntN(len(list))
			gone := list[i]
			list = append(slices.Clone(list[:i]), list[i+1:]...)
			theirs.delete(gone)
			theirs.sync(list...)
			p.settle(t, provider.Batch{Nodes: p.nodes, Items: []provider.Item{item(gone, provider.Remove, provider.Edit)}})
			if diff := cmp.Diff(anonymous(theirs.seen()), anonymous(p.seen())); diff != "" {
				t.Errorf("removed %s, -by the peer +by us:\n%s", rolled(gone), diff)
			}
			p.keep(list...)
		}
	})
}

// sync is a full turn of the peer, until it is quiet: what one Service loses
// with another comes back.
func (p *peer) sync(list ...*v1.Service) {
	for range 2 {
		for _, svc := range list {
			p.ensure(svc)
		}
	}
}

// anonymous are the lines without whose a rule for health checks is: of those
// who share it anyone.
func anonymous(lines []string) []string {
	var out []string
	for _, l := range lines {
		if i := strings.Index(l, aboutHealth); i >= 0 {
			l = l[:i] + aboutHealth
		}
		out = append(out, l)
	}
	return slices.Compact(sorted(out))
}

// TestAHealthRuleThatThePeerTookAwayComesBack has two load balancers with one
// health check port, of which the peer deleted one with the rule of both.
func TestAHealthRuleThatThePeerTookAwayComesBack(t *testing.T) {
	p := newPeer(t, nil)
	first, second := newDice(1).service(0), newDice(2).service(1)
	for _, svc := range []*v1.Service{first, second} {
		svc.Annotations = map[string]string{}
		with("type", "nlb", "healthcheck-port", "10256")(svc)
		svc.Spec.Ports = []v1.ServicePort{tcp("http", 80, svc.Spec.Ports[0].NodePort)}
		p.ensure(svc)
	}
	p.keep(second)
	p.delete(first)
	want := &peer{site: p.copied(), keys: p.keys}
	want.ensure(second)
	p.settle(t, p.all(provider.Serve, provider.Resync))
	if diff := cmp.Diff(want.seen(), p.seen()); diff != "" {
		t.Errorf("-the peer at its next turn +we:\n%s", diff)
	}
}

// likewise makes the Service one in which we do not differ from the peer, and
// is false where that cannot be. See docs/aws.md.
func (p *peer) likewise(svc *v1.Service) bool {
	network := word(svc, "type") == "nlb"
	if strings.Count(word(svc, "additional-resource-tags"), "=") > strings.Count(word(svc, "additional-resource-tags"), ",")+1 {
		delete(svc.Annotations, annotation+"additional-resource-tags")
	}
	if !network {
		return true
	}
	delete(svc.Annotations, annotation+"healthcheck-timeout")
	if word(svc, "subnets") != "" {
		delete(svc.Annotations, annotation+"eip-allocations")
		delete(svc.Annotations, annotation+"private-ipv4-addresses")
	}
	return p.keys["NLBSecurityGroupMode"] == "" && (svc.Spec.Ports[0].Protocol == v1.ProtocolTCP || p.networkCheckOf(svc).protocol != "TCP")
}

// inTheirWords are lines of what we made without our own names, without a policy
// that AWS defines for a listener before it gets its own, and without attributes
// of what is off, which the peer writes at each sync in any case.
func inTheirWords(lines []string) []string {
	var out []string
	made := regexp.MustCompile(`fairlead\.dev/made:[^:]* ([^ :]+:)`)
	group := regexp.MustCompile(`^(k8s-elb-.* tags map.*) kubernetes.io/service-name:[^ \]]+`)
	rule := regexp.MustCompile(`"fairlead.dev/rule/nlb=.*"`)
	off := regexp.MustCompile(`log false "[^"]*" "[^"]*" \d+|drains false \d+`)
	policy := regexp.MustCompile(`( policies \[)` + tlsDefault + ` `)
	for _, l := range lines {
		l = off.ReplaceAllString(l, "off")
		l = group.ReplaceAllString(made.ReplaceAllString(l, "$1"), "$1")
		out = append(out, policy.ReplaceAllString(rule.ReplaceAllString(l, `""`), "$1"))
	}
	return sorted(out)
}

// walkLikewise runs a test for each Service of the walk in which we do not differ
// from the peer.
func walkLikewise(t *testing.T, test func(t *testing.T, svc *v1.Service, p *peer)) {
	t.Helper()
	walk(t, 300, func(t *testing.T, d dice, p *peer) {
		if svc := d.service(0); p.likewise(svc) {
			p.keep(svc)
			test(t, svc, p)
		}
	})
}

// TestThePeerTakesOverWhatWeMake makes each Service of the walk, and lets the
// peer go on.
func TestThePeerTakesOverWhatWeMake(t *testing.T) {
	walkLikewise(t, func(t *testing.T, svc *v1.Service, p *peer) {
		theirs := &peer{site: p.copied(), keys: p.keys}
		theirs.ensure(svc.DeepCopy())
		p.settle(t, p.all(provider.Serve, provider.Edit))
		made := inTheirWords(p.seen())
		if diff := cmp.Diff(inTheirWords(theirs.seen()), made); diff != "" {
			t.Errorf("-the peer makes +we make:\n%s", diff)
		}
		p.ensure(svc)
		if diff := cmp.Diff(made, inTheirWords(p.seen())); diff != "" {
			t.Errorf("-we made +the peer makes of it:\n%s", diff)
		}
	})
}

// TestAnEditOfWhatThePeerMadeChangesNothingElse edits what does not matter.
func TestAnEditOfWhatThePeerMadeChangesNothingElse(t *testing.T) {
	walkLikewise(t, func(t *testing.T, svc *v1.Service, p *peer) {
		p.ensure(svc)
		if r := p.compute(p.all(provider.Serve, provider.Edit)); len(r.Steps) > 0 {
			t.Errorf("%s", text(t, r))
		}
	})
}

// TestNodesBehindANewGroupAreLetInAsByThePeer gives a node another security
// group: a look at the nodes does what the peer does then.
func TestNodesBehindANewGroupAreLetInAsByThePeer(t *testing.T) {
	walk(t, 100, func(t *testing.T, d dice, p *peer) {
		svc := d.service(0)
		p.keep(svc)
		p.ensure(svc)
		p.pool()
		theirs := &peer{site: p.copied(), keys: p.keys}
		theirs.ensure(svc.DeepCopy())
		p.settle(t, p.all(provider.Serve, provider.Nodes))
		if diff := cmp.Diff(inThePool(theirs), inThePool(p)); diff != "" {
			t.Errorf("-the peer +we:\n%s", diff)
		}
	})
}

// inThePool are the rules of the new group.
func inThePool(p *peer) []string {
	return slices.DeleteFunc(inTheirWords(p.seen()), func(l string) bool { return !strings.HasPrefix(l, "pool lets in") })
}
