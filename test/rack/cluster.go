// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

const (
	// systemNamespace holds our own objects.
	systemNamespace = "fairlead-system"
	// controllerPort is that of the controller's health in the rack with slot 0.
	controllerPort = 10300
)

// startPlane starts the control plane with the controllers that Deployments and
// endpoints need, and gives it our roles and policies.
func (r *Rack) startPlane(ctx context.Context) error {
	o := r.opts.ControlPlane
	o.Dir = filepath.Join(r.opts.Dir, "plane")
	o.LogDir = r.opts.LogDir
	o.BindAddress = r.net.manager()
	o.Controllers = append(controlplane.EndpointControllers(), "deployment-controller", "replicaset-controller")
	var err error
	if r.Plane, err = controlplane.Start(ctx, o); err != nil {
		return err
	}
	if r.Kube, err = kubernetes.NewForConfig(r.Plane.Config()); err != nil {
		return err
	}
	if err := r.grant(ctx); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := n.register(ctx); err != nil {
			return err
		}
	}
	return nil
}

// grant applies what the manifests say about who may do what, and gives
// kube-proxy the rights that clusters give it. Workloads stay out: the rack
// runs them itself.
func (r *Rack) grant(ctx context.Context) error {
	objects, err := manifests.Render(ctx, "manifests/overlays/metal")
	if err != nil {
		return err
	}
	applier, err := manifests.NewClient(r.Plane.Config())
	if err != nil {
		return err
	}
	for _, o := range objects {
		switch o.GetKind() {
		case "Deployment", "DaemonSet", "PodDisruptionBudget":
			continue
		}
		if err := applier.Apply(ctx, o); err != nil {
			return err
		}
	}
	_, err = r.Kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "rack:kube-proxy"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node-proxier"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: "kube-proxy"}},
	}, metav1.CreateOptions{})
	return err
}

// Apply makes the objects of a manifest what it says, as `kubectl apply` does.
func (r *Rack) Apply(ctx context.Context, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	objects, err := manifests.Decode(in)
	if err != nil {
		return err
	}
	applier, err := manifests.NewClient(r.Plane.Config())
	if err != nil {
		return err
	}
	return applier.Apply(ctx, objects...)
}

// configFile is the cloud-config of controller and speakers.
func (r *Rack) configFile() string { return filepath.Join(r.opts.Dir, "config", "cloud-config.yaml") }

// Configure replaces the content of the cloud-config. Controller and speakers
// read it again by themselves.
func (r *Rack) Configure(content string) error {
	file := r.configFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Controller is the controller-manager as it was started last.
func (r *Rack) Controller() *Program { return r.controller }

// StartController starts the controller-manager with its own ServiceAccount and
// returns when it is healthy. It may still have to wait for the lease.
func (r *Rack) StartController(ctx context.Context) error {
	config, err := r.Plane.ServiceAccountKubeconfig(ctx, controlplane.Identity{
		Namespace: systemNamespace, Name: "fairlead-controller-manager",
	})
	if err != nil {
		return err
	}
	port := strconv.Itoa(controllerPort + r.opts.Slot)
	cmd := command{name: "fairlead-controller-manager", logDir: r.opts.LogDir, args: []string{
		filepath.Join(r.opts.Programs, "fairlead-controller-manager"),
		"--cloud-provider=metal",
		"--cloud-config=" + r.configFile(),
		"--kubeconfig=" + config,
		"--authentication-kubeconfig=" + config,
		"--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1",
		"--secure-port=" + port,
		"--cert-dir=" + filepath.Join(r.opts.Dir, "controller"),
		"--v=2",
	}}
	if r.controller, err = cmd.start(); err != nil {
		return err
	}
	client := insecureClient()
	defer client.CloseIdleConnections()
	return r.controller.await(ctx, func(ctx context.Context) error {
		return healthy(ctx, client, "https://127.0.0.1:"+port+"/healthz")
	})
}

// Address waits until a Service has an address, and returns the first.
func (r *Rack) Address(ctx context.Context, namespace, name string) (netip.Addr, error) {
	addrs, err := r.Addresses(ctx, namespace, name)
	if err != nil {
		return netip.Addr{}, err
	}
	return addrs[0], nil
}

// Addresses waits until a Service has addresses, and returns them.
func (r *Rack) Addresses(ctx context.Context, namespace, name string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	err := poll(ctx, func(ctx context.Context) error {
		svc, err := r.Kube.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		addrs = nil
		for _, in := range svc.Status.LoadBalancer.Ingress {
			if a, err := netip.ParseAddr(in.IP); err == nil {
				addrs = append(addrs, a)
			}
		}
		if len(addrs) == 0 {
			return fmt.Errorf("the Service %s/%s has no address", namespace, name)
		}
		return nil
	})
	return addrs, err
}

// healthy fails unless url answers 200.
func healthy(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return nil
}

// changeNode edits a Node object until nobody else was faster.
func (r *Rack) changeNode(ctx context.Context, name string, edit func(*v1.Node)) error {
	return poll(ctx, func(ctx context.Context) error {
		node, err := r.Kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		edit(node)
		_, err = r.Kube.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsConflict(err) {
			return stop{err}
		}
		return err
	})
}

// State is what a node's speaker says of itself in its state object.
func (r *Rack) State(ctx context.Context, n *Node) (speaker.NodeState, error) {
	cm, err := r.Kube.CoreV1().ConfigMaps(systemNamespace).Get(ctx, speaker.StateName(n.Name), metav1.GetOptions{})
	if err != nil {
		return speaker.NodeState{}, err
	}
	return speaker.ParseState(cm.Data[speaker.StateKey])
}
