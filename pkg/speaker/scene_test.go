// SPDX-License-Identifier: Apache-2.0

package speaker_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// scene is what a decision rests on, ready to be changed by a case.
type scene struct {
	svc   *v1.Service
	eps   []*discoveryv1.EndpointSlice
	node  *v1.Node
	facts speaker.Facts
}

// newScene is a Service that node-a announces to the iBGP peer ibgp and the
// eBGP peer ebgp.
func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{
		svc: &v1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Labels: map[string]string{"app": "web"}},
			Spec: v1.ServiceSpec{
				Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
				IPFamilies: []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol},
			},
			Status: v1.ServiceStatus{LoadBalancer: v1.LoadBalancerStatus{
				Ingress: []v1.LoadBalancerIngress{{IP: "192.0.2.1"}},
			}},
		},
		eps: []*discoveryv1.EndpointSlice{
			slice(discoveryv1.AddressTypeIPv4, on("node-a"), on("node-b")),
			slice(discoveryv1.AddressTypeIPv6, on("node-a")),
		},
		node: &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-a", Labels: map[string]string{"rack": "r1"}},
			Status: v1.NodeStatus{Addresses: []v1.NodeAddress{
				{Type: v1.NodeInternalIP, Address: "10.0.0.11"},
				{Type: v1.NodeInternalIP, Address: "fd00::11"},
			}},
		},
		facts: speaker.Facts{
			Phase: speaker.Serving, Unclassed: speaker.UnclassedOurs,
			Metal: metal(t, `
pools:
- {name: public, addresses: [192.0.2.0/24, "2001:db8::/64"]}
- {name: quiet, addresses: [198.51.100.0/24]}
peers:
- {name: ibgp, myASN: 64512, peerASN: 64512, address: 10.0.0.1}
- {name: ebgp, myASN: 64512, peerASN: 64513, address: 10.0.0.2}
advertisements:
- {name: all, pools: [public]}
`),
		},
	}
}

// metal parses the metal section of a cloud-config.
func metal(t *testing.T, section string) *cloudconfig.Metal {
	t.Helper()
	text := "apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\nmetal:\n" +
		strings.ReplaceAll(strings.TrimRight("\n"+strings.TrimSpace(section), "\n"), "\n", "\n  ")
	cfg, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range cfg.Faults {
		if !f.Warning {
			t.Fatal(f)
		}
	}
	return cfg.Metal
}

func slice(family discoveryv1.AddressType, eps ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{AddressType: family, Endpoints: eps}
}

// on is a ready endpoint on a node; "" is none, as of a slice made by hand.
func on(node string) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{"10.1.0.1"}}
	if node != "" {
		e.NodeName = &node
	}
	return e
}

func with(e discoveryv1.Endpoint, ready, serving, terminating bool) discoveryv1.Endpoint {
	e.Conditions = discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating}
	return e
}

func (s *scene) decide() speaker.Decision {
	s.facts.Node = speaker.NodeFrom("node-a", s.node)
	return speaker.Decide(speaker.NewView(s.facts), s.svc, s.eps)
}

// lines are the decision as text: "peer: route" and "- address peer Reason".
func lines(d speaker.Decision) []string {
	var out []string
	for _, p := range d.Paths {
		out = append(out, p.Peer+": "+p.Route.String())
	}
	for _, w := range d.Withheld {
		line := "-"
		if w.Addr.IsValid() {
			line += " " + w.Addr.String()
		}
		if w.Peer != "" {
			line += " " + w.Peer
		}
		out = append(out, line+" "+string(w.Reason))
	}
	return out
}

// checkSentence wants a sentence of the kind that all errors are.
func checkSentence(t *testing.T, s string) {
	t.Helper()
	if s == "" || strings.HasSuffix(s, ".") || strings.Contains(s, "%!") {
		t.Errorf("%q is no sentence", s)
	}
}

// advertise replaces the advertisements.
func (s *scene) advertise(t *testing.T, ads string) {
	t.Helper()
	s.facts.Metal.Advertisements = metal(t, `
pools:
- {name: public, addresses: [192.0.2.0/24]}
peers:
- {name: ibgp, myASN: 64512, peerASN: 64512, address: 10.0.0.1}
- {name: ebgp, myASN: 64512, peerASN: 64513, address: 10.0.0.2}
advertisements:
`+strings.TrimSpace(ads)).Advertisements
}

func selects(t *testing.T, selector string) cloudconfig.Selectors {
	t.Helper()
	sel, err := metav1.ParseToLabelSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	out, err := metav1.LabelSelectorAsSelector(sel)
	if err != nil {
		t.Fatal(err)
	}
	return cloudconfig.Selectors{out}
}
