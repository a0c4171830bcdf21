// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
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
)

const bgpLong = `Show the BGP sessions of all nodes, who announces which address to whom, and
why an address is not announced.

Sessions are what each speaker last wrote into its ConfigMap; its count of
routes may lag by ten seconds. There is no heartbeat: where the node is not
Ready, or the speaker's Pod does not run, "last said" stands before what may be
out of date. Routes and reasons are computed here, by the function that the
speakers use, from the same objects; the cloud-config is that of the ConfigMap
or of --cloud-config, and its faults are printed first.

Routes of a node that is cordoned or leaves are (marked): routers take them when
there are no others.

Without SERVICE, all Services of type LoadBalancer are shown, or those of the
namespace that --namespace names.`

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
			if err := s.warn(streams.ErrOut); err != nil {
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

// choose returns the Service named, or all of type LoadBalancer: those of the
// namespace, or of all namespaces when that is empty.
func (s *site) choose(namespace, name string) ([]*v1.Service, error) {
	var out []*v1.Service
	for _, svc := range s.services {
		if namespace != "" && svc.Namespace != namespace {
			continue
		}
		switch {
		case name == svc.Name:
			return []*v1.Service{svc}, nil
		case name == "" && svc.Spec.Type == v1.ServiceTypeLoadBalancer:
			out = append(out, svc)
		}
	}
	if name != "" {
		return nil, noService(namespace, name)
	}
	return out, nil
}

// printBGP prints the sessions, then the routes and what is withheld.
func printBGP(out io.Writer, s *site, services []*v1.Service, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tPHASE\tPEER\tADDRESS\tAS\tSESSION\tFOR\tROUTES\tLAST ERROR")
	for _, n := range s.nodes {
		s.printSessions(w, n, now)
	}
	if s.config == nil {
		fmt.Fprintln(w)
		return errors.Join(w.Flush(), s.unusable("routes and reasons cannot be computed"))
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

// printSessions prints what the speaker of a node says of its sessions.
func (s *site) printSessions(w io.Writer, n *v1.Node, now time.Time) {
	state, ok := s.states[n.Name]
	if !ok {
		fmt.Fprintf(w, "%s\tno speaker\t\t\t\t\t\t\t\n", n.Name)
		return
	}
	v := s.vitals(n)
	for _, p := range state.Sessions {
		standing, lasted := p.State, age(p.Since, now)
		if v.pulse == silent {
			standing, lasted = "last said "+p.State+" at "+stamp(v.last, p.Since), ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n", n.Name, phaseText(state),
			p.Peer, p.Address, p.PeerASN, standing, lasted, p.Routes, both(v.why, p.LastError))
	}
	if len(state.Sessions) == 0 {
		fmt.Fprintf(w, "%s\t%s\tnone\t\t\t\t\t\t%s\n", n.Name, phaseText(state), both(v.why, state.Message))
	}
}

// both joins two sentences of which each may be missing.
func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
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
	peers := map[string][]string{} // by prefix, or address
	var order []string
	for _, p := range a.decision.Paths {
		prefix := p.Route.Prefix.String()
		if p.Route.Prefix.IsSingleIP() {
			prefix = p.Route.Prefix.Addr().String() // as the address of those that are withheld
		}
		if _, ok := peers[prefix]; !ok {
			order = append(order, prefix)
		}
		peer := a.peerText(p.Peer)
		if p.Route.Marked() {
			peer += " (marked)"
		}
		peers[prefix] = append(peers[prefix], peer)
	}
	for _, prefix := range order {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", prefix, name, a.node, strings.Join(peers[prefix], ", "))
	}
	for _, h := range a.decision.Withheld {
		address := "-"
		if h.Addr.IsValid() {
			address = h.Addr.String()
		}
		if a.doubted(h) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", address, name, a.node, "unknown", a.doubtText(h))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s: %s\n", address, name, a.node, "-", h.Reason, h.Message)
	}
}

func age(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(since))
}
