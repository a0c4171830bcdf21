// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

const other = "example.com/other"

// actual is a Service as the API server has it: type, class, "deleting" and
// finalizers.
type actual struct {
	kind     v1.ServiceType
	class    string
	deleting bool
	held     []string
}

func (r actual) service() *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Finalizers: r.held},
		Spec:       v1.ServiceSpec{Type: r.kind},
		Status:     v1.ServiceStatus{LoadBalancer: v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: "192.0.2.1"}}}},
	}
	if r.class != "" {
		svc.Spec.LoadBalancerClass = &r.class
	}
	if r.deleting {
		svc.DeletionTimestamp = &metav1.Time{}
	}
	return svc
}

const (
	lb        = v1.ServiceTypeLoadBalancer
	clusterIP = v1.ServiceTypeClusterIP
)

func TestShow(t *testing.T) {
	metal := Classes{Provider: "metal", Unclassed: ServeUnclassed}
	classedOnly := Classes{Provider: "metal", Unclassed: IgnoreUnclassed}
	for _, tc := range []struct {
		name    string
		classes Classes
		real    actual
		wants   bool // upstream ensures it
		cleanup bool // upstream cleans it up
		status  bool // upstream sees its status
		after   []string
	}{
		{"unclassed is served", metal, actual{kind: lb}, true, false, true, []string{StockFinalizer}},
		{"our class is served", metal, actual{kind: lb, class: "fairlead.dev/metal"}, true, false, true, []string{Finalizer}},
		{"foreign class is hidden", metal, actual{kind: lb, class: other}, false, false, false, nil},
		{"foreign class with the stock finalizer is hidden", metal, actual{kind: lb, class: other, held: []string{StockFinalizer}}, false, false, false, nil},
		{"deleted foreign class with the stock finalizer is hidden", metal, actual{kind: lb, class: other, deleting: true, held: []string{StockFinalizer}}, false, false, false, nil},
		{"class of another provider of ours is hidden", metal, actual{kind: lb, class: "fairlead.dev/aws", held: []string{Finalizer}}, false, false, false, nil},
		{"unclassed is hidden when told so", classedOnly, actual{kind: lb}, false, false, false, nil},
		{"unclassed cleanup is another's when told so", classedOnly, actual{kind: clusterIP, held: []string{StockFinalizer}}, false, false, false, nil},
		{"our class is served when unclassed are not", classedOnly, actual{kind: lb, class: "fairlead.dev/metal"}, true, false, true, []string{Finalizer}},

		{"deleted unclassed is cleaned up", metal, actual{kind: lb, deleting: true, held: []string{StockFinalizer, "x"}}, true, true, true, []string{"x"}},
		{"deleted classed is cleaned up", metal, actual{kind: lb, class: "fairlead.dev/metal", deleting: true, held: []string{Finalizer, "x"}}, true, true, true, []string{"x"}},
		{"wiped class is cleaned up", metal, actual{kind: clusterIP, held: []string{Finalizer}}, false, true, true, nil},
		{"wiped class is cleaned up when unclassed are not ours", classedOnly, actual{kind: clusterIP, held: []string{Finalizer, StockFinalizer}}, false, true, false, []string{StockFinalizer}},
		{"class moved away is cleaned up, its status left", metal, actual{kind: lb, class: other, held: []string{Finalizer, StockFinalizer}}, false, true, false, []string{StockFinalizer}},
		{"class dropped is cleaned up when unclassed are not ours", classedOnly, actual{kind: lb, held: []string{Finalizer}}, false, true, false, nil},
		{"class dropped and unclassed ours goes on", metal, actual{kind: lb, held: []string{Finalizer}}, true, false, true, []string{Finalizer}},

		{"foreign stock finalizer on our class stays", classedOnly, actual{kind: lb, class: "fairlead.dev/metal", deleting: true, held: []string{Finalizer, StockFinalizer}}, true, true, true, []string{StockFinalizer}},
		{"our own stock finalizer on our class goes", metal, actual{kind: lb, class: "fairlead.dev/metal", deleting: true, held: []string{Finalizer, StockFinalizer}}, true, true, true, nil},
		{"deleted and cleaned up is not begun again", metal, actual{kind: lb, class: "fairlead.dev/metal", deleting: true, held: []string{"x"}}, false, false, false, nil},
		{"deleted unclassed and cleaned up is not begun again", metal, actual{kind: lb, deleting: true, held: []string{"x"}}, false, false, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			svc := tc.real.service()
			before := svc.DeepCopy()
			shown := tc.classes.Show(svc)
			if diff := cmp.Diff(before, svc); diff != "" {
				t.Fatalf("Show changed its argument:\n%s", diff)
			}
			if got := shown.Spec.Type == lb && shown.Spec.LoadBalancerClass == nil; got != tc.wants {
				t.Errorf("upstream wants a load balancer: %v, want %v", got, tc.wants)
			}
			held := slices.Contains(shown.Finalizers, StockFinalizer)
			if got := held && (shown.DeletionTimestamp != nil || shown.Spec.Type != lb); got != tc.cleanup {
				t.Errorf("upstream cleans up: %v, want %v", got, tc.cleanup)
			}
			if got := len(shown.Status.LoadBalancer.Ingress) > 0; got != tc.status {
				t.Errorf("upstream sees the status: %v, want %v", got, tc.status)
			}
			if !tc.wants && !tc.cleanup {
				return // upstream writes nothing
			}
			updated := shown.DeepCopy()
			if tc.cleanup {
				updated.Finalizers = slices.DeleteFunc(updated.Finalizers, func(f string) bool { return f == StockFinalizer })
				if len(updated.Finalizers) == 0 {
					updated.Finalizers = nil // as upstream's removeString makes it
				}
			} else if !held {
				updated.Finalizers = append(updated.Finalizers, StockFinalizer)
			}
			if got := applied(t, svc, shown, updated); !slices.Equal(got, tc.after) {
				t.Errorf("finalizers after upstream's patch: %v, want %v", got, tc.after)
			}
		})
	}
}

// applied are the finalizers of the real Service after the patch that upstream
// makes of what it is shown.
func applied(t *testing.T, svc, shown, updated *v1.Service) []string {
	t.Helper()
	patch, err := strategicpatch.CreateTwoWayMergePatch(encode(t, shown), encode(t, updated), v1.Service{})
	if err != nil {
		t.Fatal(err)
	}
	if patch, err = translatePatch(patch); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(patch), "shown-for") {
		t.Errorf("a mark is in the patch: %s", patch)
	}
	out, err := strategicpatch.StrategicMergePatch(encode(t, svc), patch, v1.Service{})
	if err != nil {
		t.Fatalf("apply %s: %v", patch, err)
	}
	var got v1.Service
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got.Finalizers
}

func encode(t *testing.T, svc *v1.Service) []byte {
	t.Helper()
	data, err := json.Marshal(svc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPatchesWithoutFinalizersAreLeftAsTheyAre(t *testing.T) {
	for _, patch := range []string{
		`{}`,
		`{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`,
		`{"metadata":{"annotations":{"service.kubernetes.io/load-balancer-cleanup":"x"}}}`,
	} {
		got, err := translatePatch([]byte(patch))
		if err != nil || string(got) != patch {
			t.Errorf("%s became %s (error %v)", patch, got, err)
		}
	}
}

// The patch of a removed last finalizer is null, which would take away those
// too that came since the Service was read.
func TestRemovedLastFinalizerTakesAwayNoOther(t *testing.T) {
	got, err := translatePatch([]byte(`{"metadata":{"finalizers":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	svc := actual{kind: clusterIP, held: []string{StockFinalizer, "came-since"}}.service()
	out, err := strategicpatch.StrategicMergePatch(encode(t, svc), got, v1.Service{})
	if err != nil {
		t.Fatal(err)
	}
	var after v1.Service
	if err := json.Unmarshal(out, &after); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after.Finalizers, []string{"came-since"}) {
		t.Errorf("finalizers %v, want the other one kept", after.Finalizers)
	}
}

func TestBrokenPatchIsAnError(t *testing.T) {
	for _, patch := range []string{`[`, `{"metadata":3}`, `{"metadata":{"finalizers":{}}}`} {
		if got, err := translatePatch([]byte(patch)); err == nil {
			t.Errorf("%s became %s", patch, got)
		}
	}
}

func TestOwns(t *testing.T) {
	metal := Classes{Provider: "metal", Unclassed: ServeUnclassed}
	classedOnly := Classes{Provider: "metal", Unclassed: IgnoreUnclassed}
	for _, tc := range []struct {
		name    string
		classes Classes
		real    actual
		want    bool
	}{
		{"unclassed", metal, actual{kind: lb}, true},
		{"unclassed, told not to", classedOnly, actual{kind: lb}, false},
		{"our class", classedOnly, actual{kind: lb, class: "fairlead.dev/metal"}, true},
		{"foreign class", metal, actual{kind: lb, class: other}, false},
		{"no load balancer", metal, actual{kind: clusterIP}, false},
		{"deleted", metal, actual{kind: lb, deleting: true}, false},
	} {
		if got := tc.classes.Owns(tc.real.service()); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func awsTyped(kind, class string, finalizers ...string) *v1.Service {
	svc := &v1.Service{Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer}}
	svc.Finalizers = finalizers
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{Hostname: "x.elb.amazonaws.com"}}
	if kind != "" {
		svc.Annotations = map[string]string{intent.KeyAWSType: kind}
	}
	if class != "" {
		svc.Spec.LoadBalancerClass = &class
	}
	return svc
}

func TestServicesOfTheLoadBalancerControllerAreClaimedByTheConfigAlone(t *testing.T) {
	conf := cloudconfig.DefaultAWS()
	left := NewClasses("aws", ServeUnclassed, conf)
	claiming := cloudconfig.DefaultAWS()
	claiming.AWS.Controller.Claim = true
	claimed := NewClasses("aws", ServeUnclassed, claiming)
	for name, tt := range map[string]struct {
		svc           *v1.Service
		left, claimed bool
	}{
		"without a type":         {awsTyped("", ""), true, true},
		"of type nlb":            {awsTyped("nlb", ""), true, true},
		"of type external":       {awsTyped("external", ""), false, true},
		"of type nlb-ip":         {awsTyped("nlb-ip", ""), false, true},
		"of its class":           {awsTyped("", intent.AWSControllerClass), false, true},
		"of our class":           {awsTyped("external", "fairlead.dev/aws"), true, true},
		"of a class of somebody": {awsTyped("", "example.com/lb"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := left.Owns(tt.svc); got != tt.left {
				t.Errorf("not claimed: ours is %t, want %t", got, tt.left)
			}
			if got := claimed.Owns(tt.svc); got != tt.claimed {
				t.Errorf("claimed: ours is %t, want %t", got, tt.claimed)
			}
			if shown := claimed.Show(tt.svc); tt.claimed && (shown.Spec.Type != v1.ServiceTypeLoadBalancer || shown.Spec.LoadBalancerClass != nil) {
				t.Errorf("claimed, it is shown as %+v", shown.Spec)
			}
		})
	}
}

func TestWhatWasMadeForAServiceThatGoesElsewhereIsCleanedUp(t *testing.T) {
	classes := NewClasses("aws", ServeUnclassed, cloudconfig.DefaultAWS())
	shown := classes.Show(awsTyped("external", "", StockFinalizer, "service.k8s.aws/resources"))
	if shown.Spec.Type == v1.ServiceTypeLoadBalancer || !slices.Contains(shown.Finalizers, StockFinalizer) || len(shown.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("it is shown as %+v %v", shown.Spec, shown.Finalizers)
	}
	shown = classes.Show(awsTyped("external", "", "service.k8s.aws/resources"))
	if shown.Spec.Type == v1.ServiceTypeLoadBalancer || slices.Contains(shown.Finalizers, StockFinalizer) {
		t.Errorf("one that was never ours is shown as %+v %v", shown.Spec, shown.Finalizers)
	}
}
