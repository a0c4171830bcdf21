// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

const (
	system     = "fairlead-system"
	controller = "fairlead-controller-manager"
	speaker    = "fairlead-speaker"
	metal      = "manifests/overlays/metal"
	config     = "fairlead-cloud-config"
	// patience bounds every wait. All of them take well under a second on an
	// idle machine.
	patience = 2 * time.Minute
	step     = 25 * time.Millisecond
)

// cluster is a control plane with the manifests for bare metal.
type cluster struct {
	*controlplane.ControlPlane
	admin *kubernetes.Clientset
}

// newCluster starts a control plane and applies the manifests.
func newCluster(t *testing.T, o controlplane.Options) *cluster {
	t.Helper()
	cp := controlplane.ForTest(t, o)
	c := &cluster{ControlPlane: cp, admin: clientFor(t, cp.Config())}
	applyDir(t, cp.Config(), metal)
	return c
}

func applyDir(t *testing.T, cfg *rest.Config, dir string) {
	t.Helper()
	objs, err := manifests.Render(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := manifests.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Apply(t.Context(), objs...); err != nil {
		t.Fatal(err)
	}
}

func clientFor(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// speakerOn is the client of the speaker of a node.
func (c *cluster) speakerOn(t *testing.T, node string) *kubernetes.Clientset {
	t.Helper()
	return c.as(t, controlplane.Identity{Namespace: system, Name: speaker, Pod: speaker + "-" + node, Node: node})
}

func (c *cluster) as(t *testing.T, id controlplane.Identity) *kubernetes.Clientset {
	t.Helper()
	cfg, err := c.ServiceAccountConfig(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return clientFor(t, cfg)
}

// awaitPolicies waits until both admission policies refuse what they should: the
// API server begins with a policy some time after it was made.
func (c *cluster) awaitPolicies(t *testing.T) {
	t.Helper()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	stranger := c.speakerOn(t, "stranger")
	eventually(t, "the policy for speakers is in force", func(ctx context.Context) error {
		_, err := stranger.CoreV1().ConfigMaps(system).Create(ctx, stateOf("another"), dryRun)
		return refusedBy(err, "fairlead-speaker-state")
	})
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Annotations: map[string]string{"fairlead.dev/address-pol": "public"}},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, Ports: []v1.ServicePort{{Port: 80}}},
	}
	eventually(t, "the policy for annotations is in force", func(ctx context.Context) error {
		_, err := c.admin.CoreV1().Services("default").Create(ctx, svc, dryRun)
		return refusedBy(err, "fairlead-annotations")
	})
}

// refusedBy returns nil when a request was refused by that policy.
func refusedBy(err error, policy string) error {
	switch {
	case err == nil:
		return errors.New("the request was let through")
	case !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'"):
		return fmt.Errorf("not refused by %s: %w", policy, err)
	default:
		return nil
	}
}

// forbidden returns nil when RBAC refused a request.
func forbidden(err error) error {
	if err == nil {
		return errors.New("the request was let through")
	}
	if !apierrors.IsForbidden(err) || strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
		return fmt.Errorf("not refused by RBAC: %w", err)
	}
	return nil
}

// eventually waits until check gives no error.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	last := errors.New("not asked yet")
	err := wait.PollUntilContextTimeout(t.Context(), step, patience, true, func(ctx context.Context) (bool, error) {
		err := check(ctx)
		if err == nil || ctx.Err() == nil {
			last = err // what the end of the wait cut off tells nothing
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("waited in vain until %s: %v", what, last)
	}
}

// stateOf is a state object as the speaker of a node writes it.
func stateOf(node string) *v1.ConfigMap {
	return &v1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: system, Name: "speaker-" + node,
			Labels: map[string]string{"fairlead.dev/component": "speaker"},
		},
		Data: map[string]string{"state.json": "{}"},
	}
}
