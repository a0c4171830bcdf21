// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"text/template"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/test/controlplane"
)

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

// writeConfig writes the demo's cloud-config and returns it.
func (d *metal) writeConfig() (string, error) {
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

// createNodes makes the Nodes as kubelets with an external cloud provider do:
// tainted until the controller manager has initialized them.
func (d *metal) createNodes(ctx context.Context) error {
	for _, n := range nodes() {
		err := d.createNode(ctx, &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{v1.LabelHostname: n.name}},
			Spec: v1.NodeSpec{Taints: []v1.Taint{{
				Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule,
			}}},
			Status: v1.NodeStatus{
				Addresses:  []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: n.addr.String()}},
				Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady"}},
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// startController starts the controller manager with its ServiceAccount's
// token.
func (d *metal) startController(ctx context.Context) error {
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{Namespace: systemNamespace, Name: controllerName})
	if err != nil {
		return err
	}
	return d.launch(ctx, program{name: controllerName, args: []string{
		"--cloud-provider=metal", "--cloud-config=" + d.config(), "--secure-port=0", "--kubeconfig=" + kubeconfig,
	}})
}

// startSpeaker starts the speaker of a node with a token that is bound to its
// Pod, as kubelet would mount it.
func (d *metal) startSpeaker(ctx context.Context, n nodeOf) error {
	name := speakerName + "-" + n.name
	kubeconfig, err := d.cp.ServiceAccountKubeconfig(ctx, controlplane.Identity{
		Namespace: systemNamespace, Name: speakerName, Pod: name, Node: n.name,
	})
	if err != nil {
		return err
	}
	return d.launch(ctx, program{name: name, binary: speakerName, args: []string{
		"--node-name=" + n.name, "--cloud-config=" + d.config(), "--kubeconfig=" + kubeconfig,
		"--source-address=" + n.addr.String(), "--metrics-bind-address=0",
	}})
}

func (d *metal) config() string { return filepath.Join(d.dir, configKey) }
