// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/metal"
	"github.com/fairlead/fairlead/pkg/speaker"
)

const explainLong = `Show what a Service has and what it waits for. All is computed here, by the
functions that the controller and the speakers use, and nothing is written.

On bare metal: what every node does with its addresses. Whether a speaker lives
is told as in bgp, and its cloud-config with its faults as there.

On Azure: its load balancers, frontends, public IPs, rules, probes, pools, nodes
and security rules, each with its provisioning state and how it differs from what
is wanted. On AWS: its load balancer, addresses, listeners, target groups, targets
with their health, and security groups, in the same way. On both: which nodes are
left out, and why; and what was last told of it in events. The cloud is read as
plan reads it, with the same flags, and on AWS the health of its targets besides.

Whether a controller leads, and whether the Pods of speakers run, is told to
those who may read the Lease kube-system/cloud-controller-manager and the Pods
of the system namespace.`

// newExplainCommand returns the command explain.
func newExplainCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags, clouds []ccm.Cloud) *cobra.Command {
	p := planner{IOStreams: streams, clouds: clouds}
	cmd := &cobra.Command{
		Use:     "explain SERVICE",
		Short:   "Show the tree from a Service to its nodes, and what it waits for",
		Long:    explainLong,
		Example: "  kubectl fairlead explain -n shop web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := p.explainOnCloud(cmd.Context(), flags, args[0])
			if done || err != nil {
				return err
			}
			s, services, err := p.from.site(cmd.Context(), flags, args)
			if err != nil {
				return err
			}
			if err := s.warn(streams.ErrOut); err != nil {
				return err
			}
			return explain(streams.Out, s, services[0], time.Now())
		},
	}
	p.addFlags(cmd.Flags())
	return cmd
}

// tree is a node of what explain prints.
type tree struct {
	text     string
	children []tree
}

// explain prints the tree of one Service.
func explain(out io.Writer, s *site, svc *v1.Service, now time.Time) error {
	root := tree{text: fmt.Sprintf("Service %s/%s: type %s, %s", svc.Namespace, svc.Name, svc.Spec.Type, policyText(svc))}
	if w, ok := speaker.Wanted(svc, speaker.UnclassedOurs); ok {
		root.children = s.served(svc, now)
	} else {
		root.children = s.unserved(svc, w)
	}
	var b strings.Builder
	root.write(&b, "", "")
	_, err := io.WriteString(out, b.String())
	return err
}

// served is what there is to say of a Service that shall be announced.
func (s *site) served(svc *v1.Service, now time.Time) []tree {
	var out []tree
	if why := s.lease.vacant(now); why != "" {
		out = append(out, tree{text: "no controller leads: " + why +
			"; unless one runs with --leader-elect=false, nothing gets an address or loses one; look at kubectl -n " + systemNamespace + " get pods"})
	}
	out = append(out, waitsFor(svc)...)
	out = append(out, s.missingFamilies(svc)...)
	report := metal.Explain(s.config, s.services)
	all := s.announcements(svc)
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, s.addressTree(&report, svc, in.IP, all))
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		out = append(out, tree{text: "no address yet"})
	}
	return out
}

// unserved is a Service that no node announces, whatever its addresses.
func (s *site) unserved(svc *v1.Service, why speaker.Withheld) []tree {
	out := []tree{{text: fmt.Sprintf("not announced: %s: %s", why.Reason, why.Message)}}
	report := metal.Explain(s.config, s.services)
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, tree{text: "address " + in.IP + s.useText(&report, svc, in.IP)})
	}
	return out
}

// missingFamilies tells of families that a Service with an address would have
// too.
func (s *site) missingFamilies(svc *v1.Service) []tree {
	if p := svc.Spec.IPFamilyPolicy; p == nil || *p == v1.IPFamilyPolicySingleStack || len(svc.Status.LoadBalancer.Ingress) == 0 {
		return nil
	}
	has := map[v1.IPFamily]bool{}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil {
			has[familyOf(a)] = true
		}
	}
	var out []tree
	for _, f := range svc.Spec.IPFamilies {
		switch {
		case has[f]:
		case !s.poolsHave(f):
			out = append(out, tree{text: fmt.Sprintf("no %s address: no pool has any; add some to a pool, and the Service gets one", f)})
		default:
			out = append(out, tree{text: fmt.Sprintf("no %s address yet: no pool that serves the Service has one free; it gets one as soon as there is", f)})
		}
	}
	return out
}

func familyOf(a netip.Addr) v1.IPFamily {
	if a.Unmap().Is4() {
		return v1.IPv4Protocol
	}
	return v1.IPv6Protocol
}

// poolsHave reports whether a pool has addresses of the family.
func (s *site) poolsHave(f v1.IPFamily) bool {
	for _, p := range s.config.Metal.Pools {
		for _, b := range p.Blocks {
			if familyOf(b.Range.From()) == f {
				return true
			}
		}
	}
	return false
}

func policyText(svc *v1.Service) string {
	if p := svc.Spec.ExternalTrafficPolicy; p != "" {
		return "externalTrafficPolicy " + string(p)
	}
	return "no externalTrafficPolicy"
}

// waitsFor is what the controller last said in the condition.
func waitsFor(svc *v1.Service) []tree {
	c := meta.FindStatusCondition(svc.Status.Conditions, engine.ConditionProgrammed)
	if c == nil || c.Status == metav1.ConditionTrue {
		return nil
	}
	return []tree{{text: fmt.Sprintf("waits: %s: %s", c.Reason, c.Message)}}
}

// addressTree is an address with its pool, those that share it, and what each
// node does with it.
func (s *site) addressTree(report *metal.Report, svc *v1.Service, text string, all []announcement) tree {
	t := tree{text: "address " + text + s.useText(report, svc, text)}
	ip, err := netip.ParseAddr(text)
	ip = ip.Unmap()
	if err == nil {
		t.children = append(t.children, nobody(all, ip)...)
	}
	if _, same := everywhere(all, ip); same {
		return t
	}
	for _, a := range all {
		t.children = append(t.children, a.tree(ip))
	}
	return t
}

// nobody says so when no node announces the address.
func nobody(all []announcement, ip netip.Addr) []tree {
	if why, same := everywhere(all, ip); same {
		return []tree{{text: fmt.Sprintf("no node announces it: %s: %s", why.Reason, why.Message)}}
	}
	best := withheld
	for _, a := range all {
		best = max(best, a.announces(ip))
	}
	switch best {
	case announced:
		return nil
	case unsure:
		return []tree{{text: "of no node it is certain that it announces it"}}
	case withheld:
	}
	return []tree{{text: "no node announces it"}}
}

// everywhere returns what all nodes say when they say the same.
func everywhere(all []announcement, ip netip.Addr) (speaker.Withheld, bool) {
	var same speaker.Withheld
	for i, a := range all {
		about := a.about(ip)
		if len(about) != 1 || a.announces(ip) != withheld || len(a.decision.Paths) > 0 || (i > 0 && about[0] != same) {
			return speaker.Withheld{}, false
		}
		same = about[0]
	}
	return same, len(all) > 0
}

// about is why a node does not announce the address.
func (a announcement) about(ip netip.Addr) []speaker.Withheld {
	var out []speaker.Withheld
	for _, h := range a.decision.Withheld {
		if !h.Addr.IsValid() || h.Addr == ip {
			out = append(out, h)
		}
	}
	return out
}

// tree is what a node does with an address.
func (a announcement) tree(ip netip.Addr) tree {
	t := tree{text: "node " + a.node}
	for _, p := range a.decision.Paths {
		if p.Addr == ip {
			t.children = append(t.children, tree{text: fmt.Sprintf("announces %s to %s", p.Route, a.peerText(p.Peer))})
		}
	}
	for _, h := range a.about(ip) {
		text := fmt.Sprintf("does not announce it: %s: %s", h.Reason, h.Message)
		if a.doubted(h) {
			text = "may announce it: " + a.doubtText(h)
		}
		t.children = append(t.children, tree{text: text})
	}
	return t
}

// useText names the pool and who else has the address.
func (s *site) useText(report *metal.Report, svc *v1.Service, ip string) string {
	key := provider.KeyOf(svc)
	for _, u := range report.Of(key) {
		if u.Address.String() == ip {
			return sharedText(u, key)
		}
	}
	return " in no pool"
}

func sharedText(u ipam.Use, key plan.Key) string {
	var others []string
	for _, h := range u.Holders {
		if h != key {
			others = append(others, h.String())
		}
	}
	text := " from pool " + u.Pool
	if u.Pool == "" {
		text = " in no pool"
	}
	if len(others) > 0 {
		text += ", shared with " + strings.Join(others, ", ")
	}
	return text
}

// write draws the tree with lines.
func (t tree) write(b *strings.Builder, first, rest string) {
	fmt.Fprintf(b, "%s%s\n", first, t.text)
	for i, c := range t.children {
		if i == len(t.children)-1 {
			c.write(b, rest+"└─ ", rest+"   ")
			continue
		}
		c.write(b, rest+"├─ ", rest+"│  ")
	}
}
