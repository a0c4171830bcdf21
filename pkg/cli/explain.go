// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/metal"
)

// newExplainCommand returns the command explain.
func newExplainCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags) *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:     "explain SERVICE",
		Short:   "Show the tree from a Service to its nodes, and what it waits for",
		Example: "  kubectl fairlead explain -n shop web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, services, err := from.site(cmd.Context(), flags, args)
			if err != nil {
				return err
			}
			return explain(streams.Out, s, services[0])
		},
	}
	from.addFlags(cmd.Flags())
	return cmd
}

// tree is a node of what explain prints.
type tree struct {
	text     string
	children []tree
}

// explain prints the tree of one Service.
func explain(out io.Writer, s *site, svc *v1.Service) error {
	root := tree{text: fmt.Sprintf("Service %s/%s: type %s, %s", svc.Namespace, svc.Name, svc.Spec.Type, policyText(svc))}
	root.children = append(root.children, waitsFor(svc)...)
	report := metal.Explain(s.config, s.services)
	all := s.announcements(svc)
	for _, in := range svc.Status.LoadBalancer.Ingress {
		root.children = append(root.children, addressTree(&report, svc, in.IP, all))
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		root.children = append(root.children, tree{text: "no address yet"})
	}
	var b strings.Builder
	root.write(&b, "", "")
	_, err := io.WriteString(out, b.String())
	return err
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
func addressTree(report *metal.Report, svc *v1.Service, ip string, all []announcement) tree {
	t := tree{text: "address " + ip + useText(report, plan.Key{Namespace: svc.Namespace, Name: svc.Name}, ip)}
	for _, a := range all {
		n := tree{text: "node " + a.node}
		for _, p := range a.decision.Paths {
			if p.Addr.String() == ip {
				n.children = append(n.children, tree{text: fmt.Sprintf("announces %s to %s", p.Route, a.peerText(p.Peer))})
			}
		}
		for _, h := range a.decision.Withheld {
			if !h.Addr.IsValid() || h.Addr.String() == ip {
				n.children = append(n.children, tree{text: fmt.Sprintf("does not announce it: %s: %s", h.Reason, h.Message)})
			}
		}
		t.children = append(t.children, n)
	}
	return t
}

// useText names the pool and who else has the address.
func useText(report *metal.Report, key plan.Key, ip string) string {
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
