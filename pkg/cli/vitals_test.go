// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

func speakerPod(node string, status v1.PodStatus) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "fairlead-speaker-" + node},
		Spec:       v1.PodSpec{NodeName: node, ServiceAccountName: "fairlead-speaker"}, Status: status,
	}
}

// container is a Pod's status with one container.
func container(s v1.ContainerState) v1.PodStatus {
	return v1.PodStatus{Phase: v1.PodRunning, ContainerStatuses: []v1.ContainerStatus{{Name: "speaker", State: s}}}
}

// lost is node-1 after its power went.
func lost() *v1.Node {
	n := node("node-1", nil)
	n.Status.Conditions = []v1.NodeCondition{{
		Type: v1.NodeReady, Status: v1.ConditionUnknown, LastTransitionTime: metav1.NewTime(siteNow.Add(-time.Minute)),
	}}
	return n
}

func TestSpeakerThatMayBeDeadAnnouncesNothingForCertain(t *testing.T) {
	runs := container(v1.ContainerState{Running: &v1.ContainerStateRunning{}})
	for _, tt := range []struct {
		name    string
		objects []runtime.Object
		want    string // why it may be dead; empty: it lives
	}{
		{"node is not Ready", []runtime.Object{lost()}, "the node is not Ready since 2026-06-01T11:59:00Z"},
		{
			"container waits to be started again",
			[]runtime.Object{speakerPod("node-1", container(v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}))},
			"speaker Pod fairlead-speaker-node-1 does not run: CrashLoopBackOff",
		},
		{
			"container was killed",
			[]runtime.Object{speakerPod("node-1", container(v1.ContainerState{Terminated: &v1.ContainerStateTerminated{Reason: "OOMKilled"}}))},
			"speaker Pod fairlead-speaker-node-1 does not run: OOMKilled",
		},
		{"Pod has failed", []runtime.Object{speakerPod("node-1", v1.PodStatus{Phase: v1.PodFailed})}, "speaker Pod fairlead-speaker-node-1 has ended"},
		{"Pods are elsewhere only", []runtime.Object{speakerPod("node-2", runs)}, "no speaker Pod is on the node"},
		{"Pod runs", []runtime.Object{speakerPod("node-1", runs)}, ""},
		{"no Pod is a speaker's", []runtime.Object{&v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "controller"}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := siteOf(t, with(t, tt.objects...))
			table, explained := bgpText(t, s), explainText(t, s, "web")
			if tt.want == "" {
				if !strings.Contains(explained, "announces 192.0.2.9/32") || strings.Contains(table+explained, "last said Up") {
					t.Errorf("a speaker that lives is doubted:\n%s%s", table, explained)
				}
				return
			}
			for _, want := range []string{"last said Up at 2026-06-01T11:00:00Z", tt.want} {
				if !strings.Contains(table, want) || !strings.Contains(explained, want) {
					t.Errorf("missing %q:\n%s%s", want, table, explained)
				}
			}
			if want := "of no node it is certain that it announces it"; !strings.Contains(explained, want) {
				t.Errorf("missing %q:\n%s", want, explained)
			}
		})
	}
}

func TestPodsAndLeaseNeedNotBeReadable(t *testing.T) {
	client := exampleCluster(t)
	for _, resource := range []string{"pods", "leases"} {
		client.PrependReactor("*", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("not allowed"))
		})
	}
	goldenSite(t, "explain-web.txt", explainText(t, siteOf(t, client), "web"))
}

func TestExplainSaysThatNoControllerLeads(t *testing.T) {
	released := heldLease(siteNow)
	released.Spec.HolderIdentity = nil
	for _, tt := range []struct {
		name string
		seen leaseSeen
		want string
	}{
		{"renewed of late", leaseSeen{readable: true, lease: heldLease(siteNow.Add(-10 * time.Second))}, ""},
		{"unreadable", leaseSeen{}, ""},
		{"missing", leaseSeen{readable: true}, "there is no Lease kube-system/cloud-controller-manager"},
		{"released", leaseSeen{readable: true, lease: released}, "has no holder"},
		{"stale", leaseSeen{readable: true, lease: heldLease(siteNow.Add(-time.Hour))}, "was last renewed at 2026-06-01T11:00:00Z by controller-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := exampleSite(t)
			s.lease = tt.seen
			got := explainText(t, s, "waits")
			if strings.Contains(got, "no controller leads") != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("want %q:\n%s", tt.want, got)
			}
		})
	}
}

func TestExplainGivesTheReasonWhereNothingIsAnnounced(t *testing.T) {
	foreign, internal, dual, idle := "metallb.io/x", v1.ServiceTypeClusterIP, v1.IPFamilyPolicyPreferDualStack, "192.0.2.11"
	for _, tt := range []struct {
		name   string
		change func(*v1.Service)
		want   string
		not    string
	}{
		{"foreign class", func(svc *v1.Service) { svc.Spec.LoadBalancerClass = &foreign }, "not announced: ForeignClass: ", "no address yet"},
		{"no load balancer", func(svc *v1.Service) { svc.Spec.Type = internal }, "not announced: NotLoadBalancer: ", "no address yet"},
		{"no endpoints", address(idle), "no node announces it\n", ""},
		{
			"same reason on all nodes",
			func(svc *v1.Service) { address("198.51.100.1")(svc) },
			"no node announces it: NotInAnyPool: ", "node node-1",
		},
		{
			"second family in no pool",
			func(svc *v1.Service) {
				address(idle)(svc)
				svc.Spec.IPFamilyPolicy, svc.Spec.IPFamilies = &dual, []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
			},
			"no IPv6 address: no pool has any; add some to a pool, and the Service gets one", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := explainText(t, siteOf(t, with(t, balancer("x", tt.change))), "x")
			if !strings.Contains(got, tt.want) || (tt.not != "" && strings.Contains(got, tt.not)) {
				t.Errorf("want %q and not %q:\n%s", tt.want, tt.not, got)
			}
		})
	}
}

// faultyConfig is siteConfig with a slip in its peer.
func faultyConfig() *v1.ConfigMap {
	return &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: configObject},
		Data:       map[string]string{"cloud-config.yaml": strings.Replace(siteConfig, "myASN", "myAZN", 1)},
	}
}

func TestFaultsOfTheCloudConfigDenyNoRoute(t *testing.T) {
	s := siteOf(t, with(t, faultyConfig()))
	var warned bytes.Buffer
	if err := s.warn(&warned); err != nil {
		t.Fatal(err)
	}
	goldenSite(t, "faulty-warning.txt", warned.String())
	goldenSite(t, "faulty-bgp.txt", bgpText(t, s))
	goldenSite(t, "faulty-explain.txt", explainText(t, s, "web"))
}

func TestUnusableCloudConfigStillShowsSessions(t *testing.T) {
	cm := faultyConfig()
	cm.Data["cloud-config.yaml"] = "kind: Pod\n"
	s := siteOf(t, with(t, cm))
	var out bytes.Buffer
	err := printBGP(&out, s, s.services, siteNow)
	if want := "the cloud-config has 1 fault, told above"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
	if !strings.Contains(out.String(), "10.0.0.1:179") {
		t.Errorf("no session is shown:\n%s", out.String())
	}
}
