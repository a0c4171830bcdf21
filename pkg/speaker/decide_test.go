// SPDX-License-Identifier: Apache-2.0

package speaker_test

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/speaker"
)

func TestDecide(t *testing.T) {
	both := []string{"ebgp: 192.0.2.1/32", "ibgp: 192.0.2.1/32"}
	ptr := func(s string) *string { return &s }
	proxy := v1.LoadBalancerIPModeProxy
	cases := map[string]struct {
		change func(t *testing.T, s *scene)
		want   []string
	}{
		"announced to every peer": {func(*testing.T, *scene) {}, both},
		"our own class": {func(_ *testing.T, s *scene) {
			s.svc.Spec.LoadBalancerClass = ptr(speaker.Class)
		}, both},
		"another controller's class": {func(_ *testing.T, s *scene) {
			s.svc.Spec.LoadBalancerClass = ptr("example.com/other")
		}, []string{"- ForeignClass"}},
		"no class where the unclassed are foreign": {func(_ *testing.T, s *scene) {
			s.facts.Unclassed = speaker.UnclassedForeign
		}, []string{"- ForeignClass"}},
		"another type, with an address left in its status": {func(_ *testing.T, s *scene) {
			s.svc.Spec.Type = v1.ServiceTypeClusterIP
		}, []string{"- NotLoadBalancer"}},
		"deleted but held by a finalizer": {func(_ *testing.T, s *scene) {
			s.svc.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}, []string{"- ServiceDeleting"}},
		"no address yet": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress = nil
		}, []string{"- NoAddress"}},
		"a hostname in its status": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "lb.example.com"}}
		}, []string{"- InvalidAddress"}},
		"ipMode Proxy": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress[0].IPMode = &proxy
		}, []string{"- 192.0.2.1 ProxyMode"}},
		"an address of no pool": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress[0].IP = "203.0.113.1"
		}, []string{"- 203.0.113.1 NotInAnyPool"}},
		"an address of a family that the Service lacks": {func(_ *testing.T, s *scene) {
			s.svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv6Protocol}
		}, []string{"- 192.0.2.1 FamilyNotServed"}},
		"two addresses, of which one is of no pool": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress = append(s.svc.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: "203.0.113.1"})
		}, append(both[:2:2], "- 203.0.113.1 NotInAnyPool")},

		"no endpoint": {func(_ *testing.T, s *scene) { s.eps = nil }, []string{"- 192.0.2.1 NoEndpoints"}},
		"endpoints that are not ready": {func(_ *testing.T, s *scene) {
			s.eps[0].Endpoints = []discoveryv1.Endpoint{with(on("node-a"), false, false, false)}
		}, []string{"- 192.0.2.1 NoEndpoints"}},
		"an endpoint that serves while it terminates": {func(_ *testing.T, s *scene) {
			s.eps[0].Endpoints = []discoveryv1.Endpoint{with(on("node-b"), false, true, true)}
		}, both},
		"an endpoint that terminates and serves no more": {func(_ *testing.T, s *scene) {
			s.eps[0].Endpoints = []discoveryv1.Endpoint{with(on("node-b"), false, false, true)}
		}, []string{"- 192.0.2.1 NoEndpoints"}},
		"endpoints of the other family only": {func(_ *testing.T, s *scene) {
			s.eps = s.eps[1:]
		}, []string{"- 192.0.2.1 NoEndpoints"}},
		"a slice made by hand, without node names": {func(_ *testing.T, s *scene) {
			s.eps = []*discoveryv1.EndpointSlice{slice(discoveryv1.AddressTypeIPv4, on(""))}
		}, both},
		"Local with an endpoint here": {func(_ *testing.T, s *scene) {
			s.svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
		}, both},
		"Local with an endpoint here that serves while it terminates": {func(_ *testing.T, s *scene) {
			s.svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
			s.eps[0].Endpoints[0] = with(on("node-a"), false, true, true)
		}, both},
		"Local with endpoints elsewhere": {func(_ *testing.T, s *scene) {
			s.svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
			s.eps[0].Endpoints = s.eps[0].Endpoints[1:]
		}, []string{"- 192.0.2.1 NoLocalEndpoints"}},
		"Local with a slice made by hand": {func(_ *testing.T, s *scene) {
			s.svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
			s.eps = []*discoveryv1.EndpointSlice{slice(discoveryv1.AddressTypeIPv4, on(""))}
		}, []string{"- 192.0.2.1 NoLocalEndpoints"}},

		"no such node": {func(_ *testing.T, s *scene) { s.node = nil }, []string{"- 192.0.2.1 NodeUnknown"}},
		"a node with the exclude label, empty": {func(_ *testing.T, s *scene) {
			s.node.Labels[v1.LabelNodeExcludeBalancers] = ""
		}, []string{"- 192.0.2.1 NodeExcluded"}},
		"a node with the exclude label false": {func(_ *testing.T, s *scene) {
			s.node.Labels[v1.LabelNodeExcludeBalancers] = "false"
		}, both},
		"a node without network": {func(_ *testing.T, s *scene) {
			s.node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeNetworkUnavailable, Status: v1.ConditionTrue}}
		}, []string{"- 192.0.2.1 NodeNetworkUnavailable"}},
		"a node that is not ready": {func(_ *testing.T, s *scene) {
			s.node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionUnknown}}
		}, both},
		"a new node whose kube-proxy is not healthy": {func(_ *testing.T, s *scene) {
			s.facts.Phase = speaker.Holding
		}, []string{"- 192.0.2.1 KubeProxyUnhealthy"}},
		"a node that has left": {func(_ *testing.T, s *scene) {
			s.facts.Phase = speaker.Drained
		}, []string{"- 192.0.2.1 NodeDrained"}},
		"a cordoned node is marked": {func(_ *testing.T, s *scene) {
			s.node.Spec.Unschedulable = true
		}, []string{
			"ebgp: 192.0.2.1/32 prepend 3 communities 65535:0",
			"ibgp: 192.0.2.1/32 localpref 0 communities 65535:0",
		}},
		"a leaving node is marked": {func(_ *testing.T, s *scene) {
			s.facts.Phase = speaker.Draining
		}, []string{
			"ebgp: 192.0.2.1/32 prepend 3 communities 65535:0",
			"ibgp: 192.0.2.1/32 localpref 0 communities 65535:0",
		}},

		"a pool that no advertisement covers": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress[0].IP = "198.51.100.1"
		}, []string{"- 198.51.100.1 NoAdvertisement"}},
		"an advertisement for other Services": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, serviceSelectors: [{matchLabels: {app: other}}]}`)
		}, []string{"- 192.0.2.1 NoAdvertisement"}},
		"an advertisement for other nodes": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, nodeSelectors: [{matchLabels: {rack: r2}}]}`)
		}, []string{"- 192.0.2.1 NodeNotSelected"}},
		"an advertisement for one peer": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, peers: [ibgp]}`)
		}, []string{"ibgp: 192.0.2.1/32"}},
		"peers of other nodes": {func(_ *testing.T, s *scene) {
			s.facts.Metal.Peers[0].NodeSelectors = selects(t, "rack=r2")
			s.facts.Metal.Peers[1].NodeSelectors = selects(t, "rack=r2")
		}, []string{"- 192.0.2.1 NoPeerForNode"}},
		"an advertisement for a peer of other nodes": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, peers: [ibgp]}`)
			s.facts.Metal.Peers[0].NodeSelectors = selects(t, "rack=r2")
		}, []string{"- 192.0.2.1 NoPeerForNode"}},
		"attributes": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, localPref: 50, communities: ["64512:2", "64512:1", "64512:2"]}`)
		}, []string{
			"ebgp: 192.0.2.1/32 communities 64512:1 64512:2",
			"ibgp: 192.0.2.1/32 localpref 50 communities 64512:1 64512:2",
		}},
		"attributes of a marked node": {func(t *testing.T, s *scene) {
			s.advertise(t, `- {name: all, localPref: 50, communities: ["64512:1"]}`)
			s.node.Spec.Unschedulable = true
		}, []string{
			"ebgp: 192.0.2.1/32 prepend 3 communities 64512:1 65535:0",
			"ibgp: 192.0.2.1/32 localpref 0 communities 64512:1 65535:0",
		}},
		"an aggregate beside the address itself": {func(t *testing.T, s *scene) {
			s.advertise(t, `
- {name: one, peers: [ibgp], localPref: 10}
- {name: many, aggregationLength: 26, localPref: 20}`)
		}, []string{
			"ebgp: 192.0.2.0/26",
			"ibgp: 192.0.2.1/32 localpref 10",
			"ibgp: 192.0.2.0/26 localpref 20",
		}},
		"two advertisements of one prefix unite their communities": {func(t *testing.T, s *scene) {
			s.advertise(t, `
- {name: one, communities: ["64512:3", "64512:1"]}
- {name: two, communities: ["64512:2", "64512:1"], localPref: 7, peers: [ibgp]}`)
		}, []string{
			"ebgp: 192.0.2.1/32 communities 64512:1 64512:3",
			"ibgp: 192.0.2.1/32 localpref 7 communities 64512:1 64512:2 64512:3",
		}},
		"two preferences for one prefix": {func(t *testing.T, s *scene) {
			s.advertise(t, `
- {name: one, localPref: 1}
- {name: two, localPref: 2}`)
		}, []string{"ebgp: 192.0.2.1/32", "- 192.0.2.1 ibgp ConflictingAdvertisements"}},
		"an IPv6 address over IPv4 sessions": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress[0].IP = "2001:db8::1"
		}, []string{"ebgp: 2001:db8::1/128 via fd00::11", "ibgp: 2001:db8::1/128 via fd00::11"}},
		"an IPv6 address on a node without one": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress[0].IP = "2001:db8::1"
			s.node.Status.Addresses = s.node.Status.Addresses[:1]
		}, []string{"- 2001:db8::1 ebgp NoNextHop", "- 2001:db8::1 ibgp NoNextHop"}},
		"a dual-stack Service": {func(_ *testing.T, s *scene) {
			s.svc.Status.LoadBalancer.Ingress = append(s.svc.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: "2001:db8::1"})
			s.eps = s.eps[:1]
		}, append(both[:2:2], "- 2001:db8::1 NoEndpoints")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(t, s)
			got := s.decide()
			if diff := cmp.Diff(c.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, w := range got.Withheld {
				checkSentence(t, w.Message)
			}
		})
	}
}

// TestEveryReasonIsDocumented holds the page against the code.
func TestEveryReasonIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/speaker.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("reason.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`Reason = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) == 0 {
		t.Fatal("reason.go has no reasons")
	}
	at := 0
	for _, m := range reasons {
		r := m[1]
		next := strings.Index(string(page[at:]), "| `"+r+"` |")
		if next < 0 {
			t.Errorf("docs/speaker.md does not tell of %s, or not in the order in which reasons are looked for", r)
			continue
		}
		at += next
	}
}

func TestDecideChangesNothingItIsGiven(t *testing.T) {
	s := newScene(t)
	s.node.Spec.Unschedulable = true
	s.advertise(t, `
- {name: one, communities: ["64512:3"], localPref: 5}
- {name: two, communities: ["64512:2"]}`)
	svc, eps := s.svc.DeepCopy(), s.eps[0].DeepCopy()
	first := lines(s.decide())
	second := lines(s.decide())
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two decisions differ:\n%s", diff)
	}
	if diff := cmp.Diff(svc, s.svc); diff != "" {
		t.Errorf("the Service was changed:\n%s", diff)
	}
	if diff := cmp.Diff(eps, s.eps[0]); diff != "" {
		t.Errorf("an EndpointSlice was changed:\n%s", diff)
	}
	if got := s.facts.Metal.Advertisements[0].LocalPref; *got != 5 {
		t.Errorf("the configuration was changed: localPref is %d", *got)
	}
}

func TestNodeLeaves(t *testing.T) {
	taint := func(key string) func(*v1.Node) {
		return func(n *v1.Node) { n.Spec.Taints = []v1.Taint{{Key: key, Effect: v1.TaintEffectNoSchedule}} }
	}
	ready := func(message string) func(*v1.Node) {
		return func(n *v1.Node) {
			n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionFalse, Message: message}}
		}
	}
	cases := map[string]struct {
		change func(*v1.Node)
		leaves bool
	}{
		"nothing":                    {func(*v1.Node) {}, false},
		"told so":                    {taint("fairlead.dev/leaving"), true},
		"the autoscaler deletes it":  {taint("ToBeDeletedByClusterAutoscaler"), true},
		"its cloud shut it down":     {taint("node.cloudprovider.kubernetes.io/shutdown"), true},
		"out of service":             {taint("node.kubernetes.io/out-of-service"), true},
		"another taint":              {taint("example.com/special"), false},
		"unschedulable taint":        {taint("node.kubernetes.io/unschedulable"), false},
		"not reachable":              {taint("node.kubernetes.io/unreachable"), false},
		"kubelet shuts down":         {ready("node is shutting down"), true},
		"kubelet is not ready":       {ready("container runtime is down"), false},
		"the Node is being deleted":  {func(n *v1.Node) { n.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }, true},
		"cordoned, but it will stay": {func(n *v1.Node) { n.Spec.Unschedulable = true }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newScene(t).node
			c.change(n)
			if got := speaker.NodeFrom("node-a", n).Leaving; (got != "") != c.leaves {
				t.Errorf("leaving is %q", got)
			}
		})
	}
}

func TestSessionConfigOfANode(t *testing.T) {
	s := newScene(t)
	node := speaker.NodeFrom("node-a", s.node)
	peer := &s.facts.Metal.Peers[0]
	if got := speaker.NewSessionConfig(peer, node, netip.Addr{}, "").RouterID; got != netip.MustParseAddr("10.0.0.11") {
		t.Errorf("router id is %s, want the node's IPv4 address", got)
	}
	v6only := node
	v6only.Addrs = v6only.Addrs[1:]
	a := speaker.NewSessionConfig(peer, v6only, netip.Addr{}, "").RouterID
	v6only.Name = "node-b"
	b := speaker.NewSessionConfig(peer, v6only, netip.Addr{}, "").RouterID
	if a == b || !a.Is4() || !b.Is4() {
		t.Errorf("router ids of nodes without IPv4 are %s and %s, want two different IPv4 ones", a, b)
	}
	own := netip.MustParseAddr("127.0.0.11")
	if got := speaker.NewSessionConfig(peer, node, own, "").Source; got != own {
		t.Errorf("source is %s, want the node's own", got)
	}
	if got := speaker.NewSessionConfig(peer, node, netip.MustParseAddr("::1"), "").Source; got.IsValid() {
		t.Errorf("source is %s, of another family than the peer", got)
	}
	six := *peer
	six.Address = netip.MustParseAddr("fd00::1")
	if got := speaker.NewSessionConfig(&six, node, netip.Addr{}, "").Source; got != netip.MustParseAddr("fd00::11") {
		t.Errorf("source is %s, want the node's IPv6 address and not one that the kernel made up", got)
	}
}
