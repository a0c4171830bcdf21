// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/test/goldenfile"
)

const siteConfig = `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  pools:
  - {name: public, addresses: [192.0.2.8/29]}
  peers:
  - {name: tor, myASN: 64512, peerASN: 64512, address: 10.0.0.1}
`

var siteNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func node(name string, labels map[string]string) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status:     v1.NodeStatus{Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "10.0.0.1" + name[len(name)-1:]}}},
	}
}

func balancer(name string, change func(*v1.Service)) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyLocal,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, ClusterIP: "10.96.0.1",
			Ports:    []v1.ServicePort{{Protocol: v1.ProtocolTCP, Port: 80}},
			Selector: map[string]string{"app": name},
		},
	}
	change(svc)
	return svc
}

func address(ip string) func(*v1.Service) {
	return func(svc *v1.Service) {
		vip := v1.LoadBalancerIPModeVIP
		svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: ip, IPMode: &vip}}
	}
}

func state(t *testing.T, s speaker.NodeState) *v1.ConfigMap {
	t.Helper()
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: systemNamespace, Name: speaker.StateName(s.Node),
			Labels: map[string]string{speaker.LabelComponent: speaker.ComponentSpeaker},
		},
		Data: map[string]string{speaker.StateKey: text},
	}
}

// heldLease is that of a controller that leads.
func heldLease(renewed time.Time) *coordinationv1.Lease {
	holder, seconds, at := "controller-1", int32(15), metav1.NewMicroTime(renewed)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: leaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &at},
	}
}

// exampleObjects are a node that announces, one whose session is down, one
// without a speaker, and Services that are served and that wait.
func exampleObjects(t *testing.T) []runtime.Object {
	t.Helper()
	ready, here := true, "node-1"
	session := speaker.SessionState{Peer: "tor", Address: "10.0.0.1:179", PeerASN: 64512, MyASN: 64512, State: "Up", Since: siteNow.Add(-time.Hour), Routes: 1}
	down := session
	down.State, down.Routes, down.LastError = "Down", 0, "connection refused"
	objects := []runtime.Object{
		&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: configObject}, Data: map[string]string{"cloud-config.yaml": siteConfig}},
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		heldLease(siteNow.Add(-5 * time.Second)),
		node("node-1", nil), node("node-2", nil),
		node("node-3", map[string]string{v1.LabelNodeExcludeBalancers: ""}),
		state(t, speaker.NodeState{Node: "node-1", Phase: "Serving", Marked: true, Sessions: []speaker.SessionState{session}}),
		state(t, speaker.NodeState{Node: "node-2", Phase: "Serving", Sessions: []speaker.SessionState{down}}),
		balancer("web", address("192.0.2.9")),
		balancer("all", func(svc *v1.Service) {
			address("192.0.2.10")(svc)
			svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyCluster
		}),
		balancer("waits", func(svc *v1.Service) {
			svc.Annotations = map[string]string{"metallb.io/address-pool": "privat"}
			svc.Status.Conditions = []metav1.Condition{{
				Type: engine.ConditionProgrammed, Status: metav1.ConditionFalse, Reason: "PoolNotFound",
				Message: `there is no pool "privat"; pools are: public`,
			}}
		}),
	}
	for _, name := range []string{"web", "all"} {
		objects = append(objects, &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.5"}, NodeName: &here, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		})
	}
	return objects
}

func exampleCluster(t *testing.T) *fake.Clientset {
	t.Helper()
	return fake.NewClientset(exampleObjects(t)...)
}

func goldenSite(t *testing.T, name, got string) {
	t.Helper()
	goldenfile.Check(t, filepath.Join("testdata", "site", name), got)
}

func exampleSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, exampleCluster(t))
}

func siteOf(t *testing.T, client *fake.Clientset) *site {
	t.Helper()
	s, err := readSite(t.Context(), client, source{namespace: systemNamespace})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// with is the example cluster with more objects, some in place of its own.
func with(t *testing.T, objects ...runtime.Object) *fake.Clientset {
	t.Helper()
	nameOf := func(o runtime.Object) string {
		m, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%T %s/%s", o, m.GetNamespace(), m.GetName())
	}
	replaced := map[string]bool{}
	for _, o := range objects {
		replaced[nameOf(o)] = true
	}
	for _, o := range exampleObjects(t) {
		if !replaced[nameOf(o)] {
			objects = append(objects, o)
		}
	}
	return fake.NewClientset(objects...)
}

func bgpText(t *testing.T, s *site) string {
	t.Helper()
	services, err := s.choose("", "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printBGP(&out, s, services, siteNow); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func explainText(t *testing.T, s *site, name string) string {
	t.Helper()
	services, err := s.choose("shop", name)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := explain(&out, s, services[0], siteNow); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBGPShowsSessionsRoutesAndReasons(t *testing.T) {
	goldenSite(t, "bgp.txt", bgpText(t, exampleSite(t)))
}

func TestBGPTellsMarkedRoutes(t *testing.T) {
	cordoned := node("node-1", nil)
	cordoned.Spec.Unschedulable = true
	goldenSite(t, "bgp-cordoned.txt", bgpText(t, siteOf(t, with(t, cordoned))))
}

func TestExplainDrawsTheTreeOfAService(t *testing.T) {
	s := exampleSite(t)
	for _, name := range []string{"web", "all", "waits"} {
		t.Run(name, func(t *testing.T) {
			goldenSite(t, "explain-"+name+".txt", explainText(t, s, name))
		})
	}
}

func TestUnknownServiceIsNamed(t *testing.T) {
	_, err := exampleSite(t).choose("shop", "wbe")
	if want := `no Service "wbe" in namespace "shop"; choose another with -n`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
