// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/speaker"
)

const bgpLong = `Show the BGP sessions of all nodes, who announces which address to whom, and
why an address is not announced.

Sessions are what each speaker last wrote into its ConfigMap; its count of
routes may lag by ten seconds. Routes and reasons are computed here, by the
function that the speakers use, from the same objects.`

// newBGPCommand returns the command bgp.
func newBGPCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags) *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:     "bgp [SERVICE]",
		Short:   "Show BGP sessions, routes, and why an address is not announced",
		Long:    bgpLong,
		Example: "  kubectl fairlead bgp\n  kubectl fairlead bgp -n shop web",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, services, err := from.site(cmd.Context(), flags, args)
			if err != nil {
				return err
			}
			return printBGP(streams.Out, s, services, time.Now())
		},
	}
	from.addFlags(cmd.Flags())
	return cmd
}

// connect makes a client from the flags, and returns the namespace they name.
func connect(flags *genericclioptions.ConfigFlags) (kubernetes.Interface, string, error) {
	cfg, err := flags.ToRESTConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read kubeconfig: %w", err)
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, "", fmt.Errorf("make client: %w", err)
	}
	return client, namespace, nil
}

// choose returns the Service named, or all of type LoadBalancer.
func (s *site) choose(namespace string, args []string) ([]*v1.Service, error) {
	var out []*v1.Service
	for _, svc := range s.services {
		switch {
		case len(args) == 0 && svc.Spec.Type == v1.ServiceTypeLoadBalancer:
			out = append(out, svc)
		case len(args) == 1 && svc.Namespace == namespace && svc.Name == args[0]:
			return []*v1.Service{svc}, nil
		}
	}
	if len(args) == 1 {
		return nil, fmt.Errorf("no Service %q in namespace %q; choose another with -n", args[0], namespace)
	}
	return out, nil
}

// printBGP prints the sessions, then the routes and what is withheld.
func printBGP(out io.Writer, s *site, services []*v1.Service, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tPHASE\tPEER\tADDRESS\tAS\tSESSION\tFOR\tROUTES\tLAST ERROR")
	for _, n := range s.nodes {
		state, ok := s.states[n.Name]
		if !ok {
			fmt.Fprintf(w, "%s\tno speaker\t\t\t\t\t\t\t\n", n.Name)
			continue
		}
		for _, p := range state.Sessions {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n", n.Name, phase(state),
				p.Peer, p.Address, p.PeerASN, p.State, age(p.Since, now), p.Routes, p.LastError)
		}
		if len(state.Sessions) == 0 {
			fmt.Fprintf(w, "%s\t%s\tnone\t\t\t\t\t\t%s\n", n.Name, phase(state), state.Message)
		}
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "ADDRESS\tSERVICE\tNODE\tANNOUNCED TO\tNOT ANNOUNCED BECAUSE")
	for _, svc := range services {
		all := s.announcements(svc)
		if same, ok := unaddressed(all); ok {
			printAnnouncement(w, svc, same)
			continue
		}
		for _, a := range all {
			printAnnouncement(w, svc, a)
		}
	}
	return w.Flush()
}

// unaddressed is what all nodes say of a Service that has no address to
// announce: the same.
func unaddressed(all []announcement) (announcement, bool) {
	if len(all) == 0 {
		return announcement{}, false
	}
	d := all[0].decision
	if len(d.Paths) > 0 || len(d.Withheld) != 1 || d.Withheld[0].Addr.IsValid() {
		return announcement{}, false
	}
	return announcement{node: "-", decision: d}, true
}

func printAnnouncement(w io.Writer, svc *v1.Service, a announcement) {
	name := svc.Namespace + "/" + svc.Name
	peers := map[string][]string{} // by prefix
	var order []string
	for _, p := range a.decision.Paths {
		prefix := p.Route.Prefix.String()
		if _, ok := peers[prefix]; !ok {
			order = append(order, prefix)
		}
		peers[prefix] = append(peers[prefix], a.peerText(p.Peer))
	}
	for _, prefix := range order {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", prefix, name, a.node, strings.Join(peers[prefix], ", "))
	}
	for _, h := range a.decision.Withheld {
		address := "-"
		if h.Addr.IsValid() {
			address = h.Addr.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s: %s\n", address, name, a.node, "-", h.Reason, h.Message)
	}
}

// peerText names a peer, and says so when its session is not up.
func (a announcement) peerText(peer string) string {
	if !a.running {
		return peer + " (no speaker runs)"
	}
	if s, ok := a.session(peer); !ok || s.State != sessionUp {
		return peer + " (session down)"
	}
	return peer
}

// sessionUp is the state of a session that carries routes.
const sessionUp = "Up"

func phase(s speaker.NodeState) string {
	if s.Marked {
		return s.Phase + ",marked"
	}
	return s.Phase
}

func age(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(since))
}
