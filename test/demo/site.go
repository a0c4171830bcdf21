// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/template"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/manifests"
)

// objects are the acceptance Services and what the demo adds to them.
//
//go:embed objects
var objects embed.FS

const (
	systemNamespace = "fairlead-system"
	controllerName  = "fairlead-controller-manager"
	speakerName     = "fairlead-speaker"
	configKey       = "cloud-config.yaml"
)

// nodeOf is one of the nodes that the demo plays.
type nodeOf struct {
	name string
	addr netip.Addr // its speaker's end of the BGP session
}

// nodes are the nodes of the demo.
func nodes() []nodeOf {
	out := make([]nodeOf, 0, 3)
	for i := range byte(3) {
		out = append(out, nodeOf{fmt.Sprintf("node-%d", i+1), netip.AddrFrom4([4]byte{127, 0, 0, 11 + i})})
	}
	return out
}

// checkLoopback finds out whether the nodes' addresses can be used: on Linux
// all of 127.0.0.0/8 can, elsewhere 127.0.0.1 alone.
func checkLoopback(ctx context.Context) error {
	var listen net.ListenConfig
	for _, n := range nodes() {
		l, err := listen.Listen(ctx, "tcp", netip.AddrPortFrom(n.addr, 0).String())
		if err != nil {
			return fmt.Errorf("the address %s stands for %s and cannot be used: %w; on %s give it to the loopback interface first, as with `ifconfig lo0 alias %s`",
				n.addr, n.name, err, runtime.GOOS, n.addr)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// startControlPlane starts etcd and the API server, and the controllers that
// make Pods of Deployments and EndpointSlices of Pods.
func (d *demo) startControlPlane(ctx context.Context) error {
	cp, err := controlplane.Start(ctx, controlplane.Options{
		Dir: filepath.Join(d.dir, "controlplane"), LogDir: d.logs(), BinDir: binaries.Dir(d.root),
		Controllers: append(controlplane.EndpointControllers(), "deployment-controller", "replicaset-controller"),
	})
	if err != nil {
		return err
	}
	d.undo(cp.Stop)
	d.cp = cp
	return d.connect()
}

// writeConfig writes the demo's cloud-config and returns it.
func (d *demo) writeConfig() (string, error) {
	text, err := template.ParseFS(objects, "objects/"+configKey)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := text.Execute(&b, struct{ Port uint16 }{d.router.port}); err != nil {
		return "", err
	}
	return b.String(), os.WriteFile(d.config(), b.Bytes(), 0o600)
}

// install applies what `kubectl apply -k manifests/overlays/metal` would, with
// our cloud-config and without what kubelets would have to start.
func (d *demo) install(ctx context.Context, config string) (int, error) {
	all, err := manifests.Render(ctx, "manifests/overlays/metal")
	if err != nil {
		return 0, err
	}
	workloads := []string{"Deployment", "DaemonSet", "PodDisruptionBudget"}
	objs := slices.DeleteFunc(all, func(o *unstructured.Unstructured) bool { return slices.Contains(workloads, o.GetKind()) })
	for _, o := range objs {
		if o.GetKind() == "ConfigMap" {
			if err := unstructured.SetNestedField(o.Object, config, "data", configKey); err != nil {
				return 0, err
			}
		}
	}
	return len(objs), d.apply.Apply(ctx, objs...)
}

// applyFile applies the objects of an embedded file that are of one kind.
func (d *demo) applyFile(ctx context.Context, file, kind string) error {
	data, err := objects.Open("objects/" + file)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }()
	objs, err := manifests.Decode(data)
	if err != nil {
		return err
	}
	return d.apply.Apply(ctx, slices.DeleteFunc(objs, func(o *unstructured.Unstructured) bool { return o.GetKind() != kind })...)
}

// createNodes makes the Nodes as kubelets with an external cloud provider do:
// tainted until the controller manager has initialized them.
func (d *demo) createNodes(ctx context.Context) error {
	api := d.admin.CoreV1().Nodes()
	for _, n := range nodes() {
		node, err := api.Create(ctx, &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{v1.LabelHostname: n.name}},
			Spec: v1.NodeSpec{Taints: []v1.Taint{{
				Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule,
			}}},
		}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create %s: %w", n.name, err)
		}
		node.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: n.addr.String()}}
		node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady"}}
		if _, err := api.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("write the status of %s: %w", n.name, err)
		}
	}
	return nil
}

// startController starts the controller manager with its ServiceAccount's
// token.
func (d *demo) startController(ctx context.Context) error {
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{Namespace: systemNamespace, Name: controllerName})
	if err != nil {
		return err
	}
	return d.launch(ctx, controllerName, controllerName,
		"--cloud-provider=metal", "--cloud-config="+d.config(), "--secure-port=0", "--kubeconfig="+kubeconfig)
}

// startSpeaker starts the speaker of a node with a token that is bound to its
// Pod, as kubelet would mount it.
func (d *demo) startSpeaker(ctx context.Context, n nodeOf) error {
	name := speakerName + "-" + n.name
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{
		Namespace: systemNamespace, Name: speakerName, Pod: name, Node: n.name,
	})
	if err != nil {
		return err
	}
	return d.launch(ctx, name, speakerName, "--node-name="+n.name, "--cloud-config="+d.config(), "--kubeconfig="+kubeconfig,
		"--source-address="+n.addr.String(), "--metrics-bind-address=0")
}

// launch starts one of our binaries, to be stopped in the end.
func (d *demo) launch(ctx context.Context, name, binary string, args ...string) error {
	p, err := launch(ctx, filepath.Join(d.bin, binary), filepath.Join(d.logs(), name+".log"), args...)
	if err != nil {
		return err
	}
	d.programs = append(d.programs, p)
	go func() {
		<-p.done
		d.board.change(func() { d.board.failed = errors.Join(d.board.failed, fmt.Errorf("%s has ended", name)) })
	}()
	return nil
}
