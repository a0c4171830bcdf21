// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/pkg/speaker"
	"github.com/fairlead/fairlead/test/controlplane"
)

// Node is one node of a rack, with a speaker and a kube-proxy.
type Node struct {
	Name string
	// Addr and Addr6 are its InternalIPs, and the next hops of its routes.
	Addr, Addr6 netip.Addr

	rack    *Rack
	index   int
	place   nodeNet
	speaker *Program
	proxy   *Program

	mu  sync.Mutex
	off bool // without power
}

// register creates the Node object as its kubelet would.
func (n *Node) register(ctx context.Context) error {
	_, err := n.rack.Kube.CoreV1().Nodes().Create(ctx, &v1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        n.Name,
			Labels:      map[string]string{v1.LabelHostname: n.Name},
			Annotations: map[string]string{cloudproviderapi.AnnotationAlphaProvidedIPAddr: n.Addr.String() + "," + n.Addr6.String()},
		},
		Spec: v1.NodeSpec{Taints: []v1.Taint{{
			Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: v1.TaintEffectNoSchedule,
		}}},
		Status: v1.NodeStatus{Conditions: []v1.NodeCondition{{
			Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now(),
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// The API server taints every new node, and kube-controller-manager would
	// take that away again for a kubelet that reports.
	return n.rack.changeNode(ctx, n.Name, func(node *v1.Node) {
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == v1.TaintNodeNotReady })
	})
}

// start waits until the controller has initialised the node, and starts its
// programs.
func (n *Node) start(ctx context.Context) error {
	err := poll(ctx, func(ctx context.Context) error {
		node, err := n.rack.Kube.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(node.Spec.Taints) > 0 || node.Spec.ProviderID == "" || len(node.Status.Addresses) == 0 {
			return fmt.Errorf("the controller has not initialised %s: taints %v, provider ID %q", n.Name, node.Spec.Taints, node.Spec.ProviderID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := n.startProxy(ctx); err != nil {
		return err
	}
	return n.StartSpeaker(ctx)
}

// startProxy starts kube-proxy and waits until it has programmed its rules.
func (n *Node) startProxy(ctx context.Context) error {
	config, err := n.rack.Plane.ServiceAccountKubeconfig(ctx, controlplane.Identity{
		Namespace: metav1.NamespaceSystem, Name: "kube-proxy", Pod: "kube-proxy-" + n.Name, Node: n.Name,
	})
	if err != nil {
		return err
	}
	cmd := command{name: "kube-proxy-" + n.Name, ns: n.place.ns, logDir: n.rack.opts.LogDir, args: []string{
		filepath.Join(n.rack.opts.ControlPlane.BinDir, "kube-proxy"),
		"--kubeconfig=" + config,
		"--hostname-override=" + n.Name,
		"--proxy-mode=nftables",
		"--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
		"--healthz-bind-address=0.0.0.0:10256",
		// These are the host's, and not for a namespace to set.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0",
		"--conntrack-tcp-timeout-close-wait=0",
	}}
	if n.proxy, err = cmd.start(); err != nil {
		return err
	}
	client := insecureClient()
	defer client.CloseIdleConnections()
	return n.proxy.await(ctx, func(ctx context.Context) error {
		return healthy(ctx, client, "http://"+netip.AddrPortFrom(n.place.mgmt, 10256).String()+"/healthz")
	})
}

// AwaitServed waits until kube-proxy forwards what comes to a load-balancer
// address, or, where it has no endpoint for it, refuses or drops it. A packet
// that comes before is routed on, and Linux remembers for two minutes that its
// connection is not translated: another from the same port is lost then too.
func (n *Node) AwaitServed(ctx context.Context, addr netip.Addr) error {
	family := "ip"
	if addr.Is6() {
		family = "ip6"
	}
	return poll(ctx, func(ctx context.Context) error {
		rules, err := output(ctx, n.place.ns, "nft", "list", "map", family, "kube-proxy", "service-ips")
		if err == nil && !strings.Contains(rules, " "+addr.String()+" . ") {
			err = fmt.Errorf("kube-proxy on %s has no rules for %s", n.Name, addr)
		}
		return err
	})
}

// Speaker is the speaker as it was started last.
func (n *Node) Speaker() *Program { return n.speaker }

// Proxy is the kube-proxy as it was started last.
func (n *Node) Proxy() *Program { return n.proxy }

// StartSpeaker starts the speaker with a token that is bound to its Pod on the
// node. It returns at once.
func (n *Node) StartSpeaker(ctx context.Context) error {
	config, err := n.rack.Plane.ServiceAccountKubeconfig(ctx, controlplane.Identity{
		Namespace: systemNamespace, Name: "fairlead-speaker", Pod: "fairlead-speaker-" + n.Name, Node: n.Name,
	})
	if err != nil {
		return err
	}
	n.speaker, err = command{name: "fairlead-speaker-" + n.Name, ns: n.place.ns, logDir: n.rack.opts.LogDir, args: []string{
		filepath.Join(n.rack.opts.Programs, "fairlead-speaker"),
		"--cloud-config=" + n.rack.configFile(),
		"--kubeconfig=" + config,
		"--node-name=" + n.Name,
		"--v=1",
	}}.start()
	return err
}

// SpeakerReady waits until the speaker says that its sessions are up.
func (n *Node) SpeakerReady(ctx context.Context) error {
	client := insecureClient()
	defer client.CloseIdleConnections()
	return n.speaker.await(ctx, func(ctx context.Context) error {
		return healthy(ctx, client, "http://"+netip.AddrPortFrom(n.place.mgmt, 7478).String()+"/readyz")
	})
}

// Cordon marks the node unschedulable, as `kubectl cordon` does.
func (n *Node) Cordon(ctx context.Context) error {
	return n.rack.changeNode(ctx, n.Name, func(node *v1.Node) { node.Spec.Unschedulable = true })
}

// Uncordon takes the mark away.
func (n *Node) Uncordon(ctx context.Context) error {
	return n.rack.changeNode(ctx, n.Name, func(node *v1.Node) { node.Spec.Unschedulable = false })
}

// Leave taints the node as one that is about to go.
func (n *Node) Leave(ctx context.Context) error {
	return n.rack.changeNode(ctx, n.Name, func(node *v1.Node) {
		node.Spec.Taints = append(node.Spec.Taints, v1.Taint{Key: speaker.TaintLeaving, Effect: v1.TaintEffectNoSchedule})
	})
}

// Return takes that taint away.
func (n *Node) Return(ctx context.Context) error {
	return n.rack.changeNode(ctx, n.Name, func(node *v1.Node) {
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == speaker.TaintLeaving })
	})
}

// PowerOff cuts the node's power: its cables go silent, and nothing that ran
// says goodbye. The Node object and its Pods stay as they were.
func (n *Node) PowerOff(ctx context.Context) error {
	n.mu.Lock()
	n.off = true
	n.mu.Unlock()
	if err := n.rack.net.cut(ctx, n.index); err != nil {
		return err
	}
	n.rack.kubelet.forget(n.Name)
	return kill(n.speaker, n.proxy)
}

// PowerOn starts the node again, its speaker last.
func (n *Node) PowerOn(ctx context.Context) error {
	if err := n.rack.net.mend(ctx, n.index); err != nil {
		return err
	}
	n.mu.Lock()
	n.off = false
	n.mu.Unlock()
	if err := n.startProxy(ctx); err != nil {
		return err
	}
	if err := n.rack.kubelet.resume(ctx, n.Name); err != nil {
		return err
	}
	return n.StartSpeaker(ctx)
}

func (n *Node) powered() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.off
}

// insecureClient asks the health endpoints of programs that the rack started
// itself, whose certificates nobody signed.
func insecureClient() *http.Client {
	return &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}
