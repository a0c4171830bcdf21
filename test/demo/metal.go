// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/controlplane"
)

// The Services of the story.
const (
	whoami  = "whoami-lb"
	traefik = "traefik-ingress"
)

// metal is the story of bare metal.
type metal struct {
	*stage

	router *router
	took   durations
}

// durations are what the summary tells.
type durations struct {
	address, route, moved, gone time.Duration
}

// up tells the story, act by act. What it starts, down ends, also after an
// error.
func (d *metal) up(ctx context.Context) error {
	d.tell.paragraph("Fairlead on bare metal: from `kubectl apply` to a router's table",
		`All that follows happens now, on this machine's loopback interface, without root. Times are seconds since
		the start.`)
	err := inTurn(ctx, d.actCluster, d.actInstall, d.actNodes, d.actServices, d.actMistake, d.actMove, d.actDelete)
	if err != nil {
		return err
	}
	d.summary()
	return nil
}

func (d *metal) actCluster(ctx context.Context) error {
	d.tell.act("A cluster and a router",
		`A real etcd, kube-apiserver and kube-controller-manager; the last makes Pods of Deployments and EndpointSlices
		of Pods. The router is GoBGP. The demo itself plays the scheduler and the kubelets: it says that Pods run, and
		starts no containers.`)
	if err := checkLoopback(ctx); err != nil {
		return err
	}
	neighbours := make([]netip.Addr, 0, len(nodes()))
	for _, n := range nodes() {
		neighbours = append(neighbours, n.addr)
	}
	var err error
	if d.router, err = startRouter(ctx, filepath.Join(d.logs(), "router.log"), neighbours); err != nil {
		return err
	}
	d.undo(func() error { d.router.stop(); return nil })
	d.tell.line(kindDone, "router listens at %s:%d, AS %d", routerAddress(), d.router.port, routerASN)
	return d.startControlPlane(ctx, controlplane.Options{
		Controllers: append(controlplane.EndpointControllers(), "deployment-controller", "replicaset-controller"),
	})
}

func (d *metal) actInstall(ctx context.Context) error {
	d.tell.act("Fairlead is installed",
		`manifests/overlays/metal: ServiceAccounts, the few rights that each needs, and two admission policies. The
		cloud-config has one pool, 1.2.3.4 to 1.2.3.8, and one peer, the router.`)
	config, err := d.writeConfig()
	if err != nil {
		return err
	}
	return d.install(ctx, "manifests/overlays/metal", config)
}

func (d *metal) actNodes(ctx context.Context) error {
	d.tell.act("Three nodes, three speakers",
		`node-1 to node-3 are 127.0.0.11 to 127.0.0.13. The controller manager makes the Nodes known; the speaker of
		each node opens a BGP session to the router. All four run with their ServiceAccounts' tokens, not as
		administrator.`)
	if err := d.watch(ctx, func(ctx context.Context) error { return d.board.follow(ctx, d.router, d.tell) }); err != nil {
		return err
	}
	if err := d.createNodes(ctx); err != nil {
		return err
	}
	if err := d.startController(ctx); err != nil {
		return err
	}
	for _, n := range nodes() {
		if err := d.startSpeaker(ctx, n); err != nil {
			return err
		}
	}
	return d.board.await(ctx, "three initialized nodes and three BGP sessions", func() bool {
		initialized := 0
		for _, n := range d.board.nodes {
			if n.Spec.ProviderID != "" {
				initialized++
			}
		}
		return initialized == len(nodes()) && len(d.board.router.sessions) == len(nodes())
	})
}

func (d *metal) actServices(ctx context.Context) error {
	d.tell.act("Two Services of type LoadBalancer",
		`Both have externalTrafficPolicy Local: only nodes with a Pod may announce. whoami has a Pod on each node,
		traefik has one on node-1. The controller gives each Service an address of the pool; speakers announce it.`)
	for _, file := range []string{"metal-whoami.yaml", "traefik-pods.yaml"} {
		if err := d.applyFile(ctx, file, "Deployment"); err != nil {
			return err
		}
	}
	err := d.board.await(ctx, "four ready Pods", func() bool { return len(d.ready("")) == 4 })
	if err != nil {
		return err
	}
	d.tell.line(kindSvc, "%s", serviceHeader())
	begun := time.Now()
	if err := d.applyFile(ctx, "metal-whoami.yaml", "Service"); err != nil {
		return err
	}
	if err := d.awaitAddress(ctx, whoami, "1.2.3.4"); err != nil {
		return err
	}
	d.took.address = time.Since(begun)
	if err := d.awaitRoute(ctx, "1.2.3.4/32", "127.0.0.11", "127.0.0.12", "127.0.0.13"); err != nil {
		return err
	}
	d.took.route = time.Since(begun)
	if err := d.applyFile(ctx, "metal-traefik.yaml", "Service"); err != nil {
		return err
	}
	return errors.Join(
		d.awaitAddress(ctx, traefik, "1.2.3.5"),
		d.awaitRoute(ctx, "1.2.3.5/32", "127.0.0.11"),
		d.awaitEvent(ctx, whoami, "AddressAllocated"), d.awaitEvent(ctx, whoami, "EnsuredLoadBalancer"),
		d.awaitEvent(ctx, traefik, "AddressAllocated"), d.awaitEvent(ctx, traefik, "EnsuredLoadBalancer"),
	)
}

// actMistake shows what the API server says to a misspelt annotation.
func (d *metal) actMistake(ctx context.Context) error {
	d.tell.act("A mistake is refused when it is made",
		"Somebody annotates whoami-lb with fairlead.dev/address-pol=public-pool. The API server answers:")
	return d.refusedByServer(ctx, whoami, "fairlead.dev/address-pol", "public-pool")
}

func (d *metal) actMove(ctx context.Context) error {
	d.tell.act("Endpoints go away",
		`The whoami Pod on node-2 is deleted, and its replacement starts on node-1: the router is left with two next
		hops. Then traefik's only Pod leaves node-1 and comes back on node-2: the route moves with it.`)
	if err := d.deletePod(ctx, "whoami", "node-2"); err != nil {
		return err
	}
	if err := d.awaitRoute(ctx, "1.2.3.4/32", "127.0.0.11", "127.0.0.13"); err != nil {
		return err
	}
	err := d.board.await(ctx, "the replacement", func() bool { return len(d.ready("whoami")) == 3 })
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := d.deletePod(ctx, "traefik", "node-1"); err != nil {
		return err
	}
	if err := d.awaitRoute(ctx, "1.2.3.5/32", "127.0.0.12"); err != nil {
		return err
	}
	d.took.moved = time.Since(begun)
	return nil
}

func (d *metal) actDelete(ctx context.Context) error {
	d.tell.act("A Service is deleted",
		"Its routes are withdrawn and its address is free again. The other Service does not notice.")
	begun := time.Now()
	if err := d.admin.CoreV1().Services(metav1.NamespaceDefault).Delete(ctx, whoami, metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := d.awaitRoute(ctx, "1.2.3.4/32"); err != nil {
		return err
	}
	d.took.gone = time.Since(begun)
	return errors.Join(
		d.board.await(ctx, "the end of "+whoami, func() bool { return d.board.services[whoami] == nil }),
		d.awaitEvent(ctx, whoami, "DeletedLoadBalancer"),
	)
}

func (d *metal) summary() {
	ms := func(t time.Duration) int64 { return t.Milliseconds() }
	d.tell.paragraph("What was seen", fmt.Sprintf(
		`%s had its address %d ms after it was created, and all next hops were in the router's table after %d ms.
		Its deletion took the route away in %d ms. traefik's route followed its Pod to another node in %d ms, the new
		Pod's start included.`,
		whoami, ms(d.took.address), ms(d.took.route), ms(d.took.gone), ms(d.took.moved)))
}

// howToUse tells what to do with a demo that stays.
func (d *metal) howToUse() {
	d.stays(
		"kubectl get svc",
		"kubectl fairlead bgp        # sessions and routes of all nodes, and why not",
		"kubectl fairlead explain "+traefik,
		"kubectl apply --server-side -f test/demo/objects/metal-whoami.yaml",
		"",
		"# No kubelet mounts the ConfigMap here: what runs reads this file, at every edit,",
		"# and the plugin reads it too when told so.",
		"vi "+d.config(),
		"kubectl fairlead bgp --cloud-config "+d.config(),
		"# This router keeps no routes of a speaker that restarts, and knows no marks",
		"# of cordoned nodes. FRR and BIRD do: see docs/speaker.md.",
	)
}

// ready are the ready Pods of an app, or of all. The board's lock is held.
func (d *metal) ready(app string) []*v1.Pod {
	var out []*v1.Pod
	for _, p := range d.board.pods {
		if runs(p) && strings.HasPrefix(p.Name, app) {
			out = append(out, p)
		}
	}
	return out
}

// deletePod deletes the Pods of an app on a node.
func (d *metal) deletePod(ctx context.Context, app, node string) error {
	d.board.mu.Lock()
	pods := d.ready(app)
	d.board.mu.Unlock()
	for _, p := range pods {
		if p.Spec.NodeName == node {
			return d.admin.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
		}
	}
	return fmt.Errorf("no Pod of %s is on %s", app, node)
}

// awaitRoute waits until the router has a prefix with exactly these next hops.
func (d *metal) awaitRoute(ctx context.Context, prefix string, hops ...string) error {
	want := make([]netip.Addr, 0, len(hops))
	for _, hop := range hops {
		want = append(want, netip.MustParseAddr(hop))
	}
	what := "the router to have no route to " + prefix
	if len(hops) > 0 {
		what = "the router's route to " + prefix + " via " + strings.Join(hops, ", ")
	}
	return d.board.await(ctx, what, func() bool {
		return slices.Equal(d.board.router.table[netip.MustParsePrefix(prefix)], want)
	})
}
