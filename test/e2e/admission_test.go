// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/test/controlplane"
)

const (
	policyFile = "../../manifests/base/admission-policy.yaml"
	// policyWait is how long the API server may take to apply a new policy.
	policyWait = time.Minute
	pollEvery  = 50 * time.Millisecond
)

func TestAdmissionPolicy(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{
		Controllers: []string{"validatingadmissionpolicy-status-controller"},
	})
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	old := loadBalancer("old", "fairlead.dev/load-balancer-ips", "not an address", "metallb.io/adress-pool", "public")
	create(t, client, old)
	applyPolicy(t, client)

	a := admission{client}
	t.Run("the API server finds no fault with its types", a.typesAreRight)
	t.Run("valid Services are admitted", a.validAreAdmitted)
	t.Run("invalid ones are refused with the parser's sentences", a.invalidAreRefused)
	t.Run("Services that are not ours are admitted", a.foreignAreAdmitted)
	t.Run("an old invalid annotation blocks no other update", a.oldBlocksNothing)
}

// admission is a cluster where the policy holds.
type admission struct{ client kubernetes.Interface }

func loadBalancer(name string, annotations ...string) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, Annotations: map[string]string{}},
		Spec: v1.ServiceSpec{
			Type:  v1.ServiceTypeLoadBalancer,
			Ports: []v1.ServicePort{{Name: "http", Port: 80}},
		},
	}
	for pair := range slices.Chunk(annotations, 2) {
		svc.Annotations[pair[0]] = pair[1]
	}
	return svc
}

func create(t *testing.T, client kubernetes.Interface, svc *v1.Service) {
	t.Helper()
	if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create %s: %v", svc.Name, err)
	}
}

// try is the API server's answer to a creation that is not stored.
func try(ctx context.Context, client kubernetes.Interface, svc *v1.Service) error {
	_, err := client.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// applyPolicy creates what stands in the manifest, and returns when the API
// server goes by it.
func applyPolicy(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	policy, binding := readPolicy(t)
	admission := client.AdmissionregistrationV1()
	if _, err := admission.ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admission.ValidatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bad := loadBalancer("probe", "fairlead.dev/none", "x")
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, policyWait, true, func(ctx context.Context) (bool, error) {
		return try(ctx, client, bad) != nil, nil
	})
	if err != nil {
		t.Fatalf("the policy refuses nothing: %v", err)
	}
}

func readPolicy(t *testing.T) (*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	t.Helper()
	content, err := os.ReadFile(policyFile)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	if err := errors.Join(decoder.Decode(policy), decoder.Decode(binding)); err != nil {
		t.Fatal(err)
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		t.Fatalf("more than a policy and a binding in %s: %v", policyFile, err)
	}
	return policy, binding
}

func (a admission) typesAreRight(t *testing.T) {
	var status admissionregistrationv1.ValidatingAdmissionPolicyStatus
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, policyWait, true, func(ctx context.Context) (bool, error) {
		policy, err := a.client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, intent.PolicyName, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		status = policy.Status
		return status.TypeChecking != nil, nil
	})
	if err != nil {
		t.Fatalf("the policy was not checked: %v", err)
	}
	for _, warning := range status.TypeChecking.ExpressionWarnings {
		t.Errorf("%s: %s", warning.FieldRef, warning.Warning)
	}
}

func (a admission) validAreAdmitted(t *testing.T) {
	for name, annotations := range map[string][]string{
		"none":               nil,
		"of others":          {"example.com/fairlead.dev", "x", "metallb.io.example/x", "y"},
		"one address":        {"fairlead.dev/load-balancer-ips", " 192.0.2.1 "},
		"one of each family": {"metallb.io/loadBalancerIPs", "2001:db8::1, 192.0.2.1"},
		"empty":              {"metallb.universe.tf/loadBalancerIPs", ""},
		"pool and key":       {"fairlead.dev/address-pool", "Old Pool_1", "metallb.io/allow-shared-ip", `"any" text`},
		"MetalLB's own note": {"metallb.io/ip-allocated-from-pool", "public"},
		"source ranges":      {intent.KeySourceRanges, "10.0.0.0/8, 2001:db8::/32"},
	} {
		if err := try(t.Context(), a.client, loadBalancer("valid", annotations...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// invalidCases are annotations of which each is refused.
func invalidCases() [][]string {
	var cases [][]string
	for _, key := range []string{"fairlead.dev/load-balancer-ips", "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"} {
		for _, value := range []string{
			"gold", "192.0.2.300", "192.0.2.1,192.0.2.2", "2001:db8::1,2001:db8::2", "192.0.2.1,2001:db8::1,192.0.2.2",
			"192.0.2.1,", "192.0.2.1 2001:db8::1", "192.0.2.0/24", "fe80::1%eth0", "::ffff:192.0.2.1", " ", "a\nb\"c\\d\te",
			strings.Repeat("x", 65), strings.Repeat("ü", 100_000),
		} {
			cases = append(cases, []string{key, value})
		}
	}
	for _, prefix := range []string{"fairlead.dev/", "metallb.io/", "metallb.universe.tf/"} {
		cases = append(cases,
			[]string{prefix + "address-pool", strings.Repeat("p", 254)},
			[]string{prefix + "allow-shared-ip", strings.Repeat("ß", 1025)})
		for _, name := range []string{"adress-pool", "AddressPool", "address_pool", "Load-Balancer-IP", "allow-shared-pi", "color", "x", strings.Repeat("k", 63)} {
			cases = append(cases, []string{prefix + name, "x"})
		}
	}
	return append(cases, []string{
		"fairlead.dev/load-balancer-ips", "one", "metallb.io/loadBalancerIPs", "two", "fairlead.dev/pool", "three", "metallb.io/pool", "four",
	})
}

func (a admission) invalidAreRefused(t *testing.T) {
	registry := intent.Annotations()
	for _, annotations := range invalidCases() {
		svc := loadBalancer("invalid", annotations...)
		_, problems := intent.New(svc, intent.Metal, registry)
		var want []string
		for _, p := range problems {
			if p.Reason == intent.ReasonInvalidAnnotation || p.Reason == intent.ReasonUnknownAnnotation {
				want = append(want, p.Sentence)
			}
		}
		// Of two keys the parser reads the first alone; the policy judges both.
		if key := "metallb.io/loadBalancerIPs"; len(annotations) > 2 {
			_, problems = intent.New(loadBalancer("invalid", key, svc.Annotations[key]), intent.Metal, registry)
			want = append(want, problems[0].Sentence)
		}
		slices.Sort(want)
		err := try(t.Context(), a.client, svc)
		if !apierrors.IsInvalid(err) || len(want) == 0 {
			t.Errorf("%.100q: got %v, want a refusal as Invalid with %q", annotations, err, want)
			continue
		}
		_, message, _ := strings.Cut(err.Error(), " denied request: ")
		got := strings.Split(message, "; also ")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%.100q:\n got %q\nwant %q", annotations, got, want)
		}
	}
}

func (a admission) foreignAreAdmitted(t *testing.T) {
	bad := []string{"fairlead.dev/color", "red", "metallb.io/loadBalancerIPs", "gold"}
	class := func(name string) *v1.Service {
		svc := loadBalancer("classed", bad...)
		svc.Spec.LoadBalancerClass = &name
		return svc
	}
	clusterIP := loadBalancer("internal", bad...)
	clusterIP.Spec.Type = v1.ServiceTypeClusterIP
	if err := try(t.Context(), a.client, clusterIP); err != nil {
		t.Errorf("a Service without load balancer: %v", err)
	}
	if err := try(t.Context(), a.client, class("example.com/other")); err != nil {
		t.Errorf("a Service of a foreign class: %v", err)
	}
	if err := try(t.Context(), a.client, class(intent.ClassOf(intent.Metal))); err == nil {
		t.Error("a Service of our class was admitted")
	}
}

func (a admission) oldBlocksNothing(t *testing.T) {
	update := func(edit func(*v1.Service)) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			services := a.client.CoreV1().Services(metav1.NamespaceDefault)
			svc, err := services.Get(t.Context(), "old", metav1.GetOptions{})
			if err != nil {
				return err
			}
			edit(svc)
			_, err = services.Update(t.Context(), svc, metav1.UpdateOptions{})
			return err
		})
	}
	if err := update(func(svc *v1.Service) {
		svc.Spec.Ports[0].Port = 81
		svc.Labels = map[string]string{"edited": "yes"}
		svc.Annotations["fairlead.dev/address-pool"] = "public"
	}); err != nil {
		t.Errorf("an edit of something else: %v", err)
	}
	for i, value := range []string{"neither this", ""} {
		err := update(func(svc *v1.Service) { svc.Annotations["fairlead.dev/load-balancer-ips"] = value })
		if refused := err != nil; refused != (i == 0) {
			t.Errorf("changed to %q: %v", value, err)
		}
	}
	if err := update(func(svc *v1.Service) { delete(svc.Annotations, "metallb.io/adress-pool") }); err != nil {
		t.Errorf("taken away: %v", err)
	}
	if err := update(func(svc *v1.Service) { svc.Annotations["metallb.io/adress-pool"] = "public" }); err == nil {
		t.Error("added again: admitted")
	} else if want := fmt.Sprintf("annotation %s is not known; did you mean %s?", "metallb.io/adress-pool", "metallb.io/address-pool"); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("added again: %v, want %s", err, want)
	}
}
