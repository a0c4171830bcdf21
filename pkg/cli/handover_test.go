// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/fairlead/fairlead/pkg/ccm"
)

const (
	claimingConfig = `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
aws:
  region: us-east-1
  vpc: vpc-0a1b2c3d
  kubernetesClusterID: prod
  loadBalancerController: {claim: true, clusterName: prod}
`
	stockFinalizer = "service.kubernetes.io/load-balancer-cleanup"
)

// lbcService is a Service that the AWS Load Balancer Controller served, and our
// controller holds.
func lbcService(name string, change func(*v1.Service)) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, ResourceVersion: "7", Finalizers: []string{lbcFinalizer, stockFinalizer},
			Annotations: map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "external"},
		},
		Spec:   v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer},
		Status: v1.ServiceStatus{LoadBalancer: v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{Hostname: "x.elb.amazonaws.com"}}}},
	}
	change(svc)
	return svc
}

// binding is a TargetGroupBinding with the labels.
func binding(name string, labels map[string]string) *unstructured.Unstructured {
	b := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"targetGroupARN": "arn:" + name}}}
	b.SetAPIVersion("elbv2.k8s.aws/v1beta1")
	b.SetKind("TargetGroupBinding")
	b.SetNamespace("shop")
	b.SetName(name)
	b.SetUID("1")
	b.SetLabels(labels)
	b.SetFinalizers([]string{lbcBindingFinalizer})
	return b
}

func ofService(name string) map[string]string {
	return map[string]string{lbcStackNamespace: "shop", lbcStackName: name}
}

// handoverSite is a cluster of each kind of object.
func handoverSite() (services, bindings []runtime.Object) {
	same := func(*v1.Service) {}
	class := "service.k8s.aws/nlb"
	now := metav1.Now()
	services = []runtime.Object{
		lbcService("web", same),
		lbcService("classed", func(svc *v1.Service) {
			svc.Annotations, svc.Spec.LoadBalancerClass = nil, &class
			svc.Finalizers = []string{lbcFinalizer, "fairlead.dev/load-balancer-cleanup"}
		}),
		lbcService("done", func(svc *v1.Service) { svc.Finalizers = []string{stockFinalizer} }),
		lbcService("not-held", func(svc *v1.Service) { svc.Finalizers = []string{lbcFinalizer} }),
		lbcService("peers", func(svc *v1.Service) { svc.Annotations["service.beta.kubernetes.io/aws-load-balancer-type"] = "nlb" }),
		lbcService("gone", func(svc *v1.Service) {
			svc.DeletionTimestamp, svc.Finalizers, svc.Status = &now, []string{lbcFinalizer}, v1.ServiceStatus{}
		}),
		lbcService("going", func(svc *v1.Service) { svc.DeletionTimestamp, svc.Finalizers = &now, []string{lbcFinalizer} }),
	}
	bindings = []runtime.Object{
		binding("web-80", ofService("web")), binding("peers-80", ofService("peers")), binding("own", nil),
		binding("ingress", map[string]string{"ingress.k8s.aws/stack-namespace": "shop", "ingress.k8s.aws/stack-name": "web"}),
		binding("elsewhere", map[string]string{lbcStackNamespace: "other", lbcStackName: "web"}),
	}
	return services, bindings
}

// newTaker is the command in a cluster of such objects.
func newTaker(t *testing.T, config string, services, list []runtime.Object) (*taker, *bytes.Buffer) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cloud.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	kinds := map[schema.GroupVersionResource]string{bindings(): "TargetGroupBindingList"}
	return &taker{
		planner: planner{
			IOStreams: genericiooptions.IOStreams{Out: out, ErrOut: out}, from: source{file: file}, clouds: ccm.Clouds(),
			output: "text", unclassed: true,
		},
		client: fake.NewClientset(services...), dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, list...),
		now: func() time.Time { return siteNow },
	}, out
}

func TestHandoverPlans(t *testing.T) {
	for _, tt := range []struct {
		file   string
		change func(*taker)
	}{
		{"handover.txt", func(*taker) {}},
		{"handover-lbc-stays.txt", func(h *taker) { h.stays = true }},
	} {
		services, list := handoverSite()
		h, out := newTaker(t, claimingConfig, services, list)
		tt.change(h)
		if err := h.run(t.Context()); !errors.Is(err, ErrPlanned) {
			t.Errorf("%s: got %v", tt.file, err)
		}
		goldenSite(t, tt.file, out.String())
	}
}

func TestHandoverWithoutTheKindOfBindings(t *testing.T) {
	h, out := newTaker(t, claimingConfig, nil, nil)
	h.dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewNotFound(bindings().GroupResource(), "")
	})
	if err := h.run(t.Context()); err != nil || !strings.Contains(out.String(), "Nothing to do.") {
		t.Errorf("got %v and %s", err, out)
	}
}

func TestHandoverIsDoneOnceAndSparesTheOthers(t *testing.T) {
	services, list := handoverSite()
	h, out := newTaker(t, claimingConfig, services, list)
	h.yes = true
	if err := h.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{
		"web": stockFinalizer, "classed": "fairlead.dev/load-balancer-cleanup", "done": stockFinalizer, "not-held": lbcFinalizer,
		"peers": lbcFinalizer + " " + stockFinalizer, "gone": "", "going": lbcFinalizer,
	} {
		svc, err := h.client.CoreV1().Services("shop").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil && (name != "gone" || !apierrors.IsNotFound(err)) {
			t.Fatal(err)
		}
		if err == nil && strings.Join(svc.Finalizers, " ") != want {
			t.Errorf("%s has finalizers %v, want %q", name, svc.Finalizers, want)
		}
	}
	left, err := h.dynamic.Resource(bindings()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range left.Items {
		names = append(names, left.Items[i].GetName())
	}
	if got := strings.Join(names, " "); got != "elsewhere ingress own peers-80" {
		t.Errorf("bindings %s are left", got)
	}
	if err := h.run(t.Context()); !errors.Is(err, ErrRefused) { // there are Services that wait
		t.Errorf("a second time: %v\n%s", err, out)
	}
}

func TestHandoverIsRefused(t *testing.T) {
	lease := func(holder string, ago time.Duration) *coordinationv1.Lease {
		at, seconds := metav1.NewMicroTime(siteNow.Add(-ago)), int32(15)
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "lbc", Name: lbcLock},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &at, LeaseDurationSeconds: &seconds},
		}
	}
	old := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: lbcLock, Annotations: map[string]string{
		lbcLockAnnotation: `{"holderIdentity":"pod-2","leaseDurationSeconds":15,"renewTime":"` + siteNow.Add(-5*time.Second).Format(time.RFC3339) + `"}`,
	}}}
	for _, tt := range []struct {
		name, config string
		lock         runtime.Object
		stays        bool
		want         string // in the error; empty: it is carried out
	}{
		{"while the controller runs", claimingConfig, lease("pod-1", 10*time.Second), false, "Lease lbc/aws-load-balancer-controller-leader is held by pod-1"},
		{"while an old controller runs", claimingConfig, old, false, "ConfigMap kube-system/aws-load-balancer-controller-leader is held by pod-2"},
		{"not when it was stopped", claimingConfig, lease("pod-1", 2*time.Minute), false, ""},
		{"not when it let go", claimingConfig, lease("", time.Second), false, ""},
		{"not when it goes on for Ingresses", claimingConfig, lease("pod-1", time.Second), true, ""},
		{"without a claim", strings.Replace(claimingConfig, "claim: true", "claim: false", 1), nil, false, "does not claim the Services"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			services, list := handoverSite()
			if tt.lock != nil {
				services = append(services, tt.lock)
			}
			h, out := newTaker(t, tt.config, services, list)
			h.yes, h.stays = true, tt.stays
			err := h.run(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v\n%s", err, out)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			svc, err := h.client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{})
			if err != nil || len(svc.Finalizers) != 2 {
				t.Errorf("it was written: %v, %v", svc, err)
			}
		})
	}
}
