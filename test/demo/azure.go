// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/controlplane"
)

// The Services of the story on Azure.
const (
	voteFront = "azure-vote-front"
	mysql     = "mysql"
)

// keyIdleTimeout is the annotation that the story changes.
const keyIdleTimeout = "service.beta.kubernetes.io/azure-load-balancer-tcp-idle-timeout"

// azure is the story of Azure.
type azure struct {
	*simulated

	before string // the load balancing before the first Service
	took   struct{ served, changed, gone time.Duration }
}

// up tells the story, act by act.
func (d *azure) up(ctx context.Context) error {
	d.tell.paragraph("Fairlead on Azure: what cloud-provider-azure does, with the plan shown first",
		`All that follows happens now, on this machine's loopback interface, without an account. Azure Resource Manager
		is simulated, strictly; its latencies are shortened. Everything else is real. Times are seconds since the start.`)
	err := inTurn(ctx, d.actCluster, d.actInstall, d.actNodes, d.actServe, d.actChange, d.actMistake,
		d.actStaticIP, d.actScale, d.actDelete)
	if err != nil {
		return err
	}
	d.summary()
	return nil
}

func (d *azure) actCluster(ctx context.Context) error {
	d.tell.act("A cluster, and Azure",
		`A real etcd and kube-apiserver. In resource group vote there are, as an installer leaves them, a virtual
		network, a security group, a route table, a scale set with two machines, and a load balancer whose outbound
		rule the machines' own connections use; and a static public IP that an administrator made.`)
	if err := d.startSimulator(ctx, 2); err != nil {
		return err
	}
	d.tell.line(kindDone, "the simulated Azure answers at %s", d.sim.url)
	return d.startControlPlane(ctx, controlplane.Options{ServiceCIDRs: serviceRanges()})
}

func (d *azure) actInstall(ctx context.Context) error {
	d.tell.act("Fairlead takes cloud-provider-azure's place",
		`manifests/overlays/azure: the peer's ServiceAccount, and fewer rights. It reads the azure.json that is there.
		Before it starts, kubectl fairlead plan tells from outside what it would write:`)
	if err := d.writeConfig(); err != nil {
		return err
	}
	if err := d.install(ctx, "manifests/overlays/azure", ""); err != nil {
		return err
	}
	var err error
	if d.before, err = d.balancing(ctx); err != nil {
		return err
	}
	return d.plan(ctx, nothingPlanned, "--all")
}

func (d *azure) actNodes(ctx context.Context) error {
	d.tell.act("Two nodes",
		`The controller manager learns from the scale set who they are, and gives each a route for its Pods. It runs
		with its ServiceAccount's token, not as administrator.`)
	if err := d.watch(ctx, func(ctx context.Context) error { return follow(ctx, d.simulated, azureLine) }); err != nil {
		return err
	}
	for i := range byte(2) {
		if err := d.createNode(ctx, votefront.Node(i)); err != nil {
			return err
		}
	}
	if err := d.startController(ctx); err != nil {
		return err
	}
	return d.board.await(ctx, "two initialized nodes with routes", func() bool {
		return d.initialized() == 2
	})
}

func (d *azure) actServe(ctx context.Context) error {
	d.tell.act("A Service of type LoadBalancer",
		`azure-vote-front, one port. The controller is held still for a moment, so that the plan can be read before it
		acts. Then it goes on.`)
	d.tell.line(kindSvc, "%s", serviceHeader())
	begun, err := d.held(ctx, voteFront, func() error {
		return d.applyFrom(ctx, votefront.Objects, "azure-vote-front.yaml", "Service")
	})
	if err != nil {
		return err
	}
	err = d.board.await(ctx, "an address of "+voteFront, func() bool { return len(addresses(d.board.services[voteFront])) == 1 })
	if err != nil {
		return err
	}
	d.took.served = time.Since(begun)
	if err := d.awaitEvent(ctx, voteFront, "EnsuredLoadBalancer"); err != nil {
		return err
	}
	return d.plugin(ctx, 0, "explain", voteFront)
}

func (d *azure) actScale(ctx context.Context) error {
	d.tell.act("A third node",
		`The autoscaler adds a machine to the scale set, and its kubelet registers. The pool gets its address, and the
		route table a route.`)
	balancers := d.count(azuresim.LoadBalancers)
	_, err := d.held(ctx, "--all", func() error {
		if err := d.scale(ctx, 3); err != nil {
			return err
		}
		return d.createNode(ctx, votefront.RegisteredNode(2))
	})
	if err != nil {
		return err
	}
	return d.board.await(ctx, "a third node with its route, in the pool", func() bool {
		return d.initialized() == 3 && d.wrote(azuresim.LoadBalancers) > balancers
	})
}

func (d *azure) actChange(ctx context.Context) error {
	d.tell.act("A change",
		`Idle connections shall be kept for 10 minutes, and only 203.0.113.0/24 may connect: one write to the load
		balancer and one to the security group.`)
	balancers, groups := d.count(azuresim.LoadBalancers), d.count(azuresim.SecurityGroups)
	begun, err := d.held(ctx, voteFront, func() error {
		return d.patch(ctx, voteFront, fmt.Sprintf(
			`{"metadata":{"annotations":{%q:"10"}},"spec":{"loadBalancerSourceRanges":["203.0.113.0/24"]}}`, keyIdleTimeout))
	})
	if err != nil {
		return err
	}
	err = d.board.await(ctx, "both writes", func() bool {
		return d.wrote(azuresim.LoadBalancers) > balancers && d.wrote(azuresim.SecurityGroups) > groups
	})
	d.took.changed = time.Since(begun)
	return err
}

func (d *azure) actMistake(ctx context.Context) error {
	d.tell.act("A mistake is refused when it is made",
		"Somebody wants idle connections to be kept for 2 minutes. The API server answers:")
	return d.refusedByServer(ctx, voteFront, keyIdleTimeout, "2")
}

// actStaticIP shows a Service that cannot be served as it is, and its cure.
func (d *azure) actStaticIP(ctx context.Context) error {
	d.tell.act("A Service with an address of its own",
		`mysql asks for 13.95.156.213, by mistake: no such public IP is there. It stays pending and is told why; nothing
		is made. The right one, 13.95.156.212, is the administrator's.`)
	if err := d.applyWrongAddress(ctx); err != nil {
		return err
	}
	if err := d.awaitEvent(ctx, mysql, "PublicIPNotFound"); err != nil {
		return err
	}
	_, err := d.held(ctx, mysql, func() error {
		return d.applyFrom(ctx, votefront.Objects, "azure-mysql-static-ip.yaml", "Service")
	})
	if err != nil {
		return err
	}
	return d.awaitAddress(ctx, mysql, votefront.StaticAddress().String())
}

func (d *azure) actDelete(ctx context.Context) error {
	d.tell.act("Both Services are deleted",
		`What was made for them goes. The outbound rule was never touched, and the administrator's public IP stays.`)
	begun, err := d.held(ctx, "--all", func() error {
		services := d.admin.CoreV1().Services(metav1.NamespaceDefault)
		return errors.Join(
			services.Delete(ctx, voteFront, metav1.DeleteOptions{}), services.Delete(ctx, mysql, metav1.DeleteOptions{}),
		)
	})
	if err != nil {
		return err
	}
	err = d.board.await(ctx, "the end of both", func() bool {
		return d.board.services[voteFront] == nil && d.board.services[mysql] == nil
	})
	if err != nil {
		return err
	}
	d.took.gone = time.Since(begun)
	after, err := d.balancing(ctx)
	if err != nil {
		return err
	}
	if after != d.before {
		return fmt.Errorf("something is left in Azure; before:\n%s\nafter:\n%s", d.before, after)
	}
	d.tell.line(kindDone, "load balancer, public IPs and security group are as they were at the start")
	return errors.Join(d.awaitEvent(ctx, voteFront, "DeletedLoadBalancer"), d.awaitEvent(ctx, mysql, "DeletedLoadBalancer"))
}

func (d *azure) summary() {
	ms := func(t time.Duration) int64 { return t.Milliseconds() }
	d.board.mu.Lock()
	writes := len(d.board.writes)
	d.board.mu.Unlock()
	d.tell.paragraph("What was seen", fmt.Sprintf(
		`%s had its address %d ms after the controller saw it, at latencies of 600 ms for the load balancer and 300 ms
		for public IP and security group. A change of two resources took %d ms. Both Services were gone after %d ms, with
		nothing left. %d writes were made in all, each of them in a plan before, but for the routes.`,
		voteFront, ms(d.took.served), ms(d.took.changed), ms(d.took.gone), writes))
}

// howToUse tells what to do with a demo that stays.
func (d *azure) howToUse() {
	var lines []string
	for _, variable := range votefront.Environment(d.sim.url) {
		lines = append(lines, "export "+variable)
	}
	d.stays(append(lines, "",
		"kubectl apply --server-side -f test/cloud/azure/votefront/objects/azure-vote-front.yaml",
		"kubectl get svc",
		"kubectl fairlead explain "+voteFront+" --cloud-config="+d.config,
		"kubectl fairlead plan --all --cloud-config="+d.config,
		"curl "+d.sim.url+"/simulator/resources")...)
}

// initialized counts the nodes that the controller manager has initialized and
// given a route. The board's lock is held.
func (d *azure) initialized() int {
	n := 0
	for _, node := range d.board.nodes {
		waits := slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == cloudproviderapi.TaintExternalCloudProvider })
		routed := slices.ContainsFunc(node.Status.Conditions, func(c v1.NodeCondition) bool {
			return c.Type == v1.NodeNetworkUnavailable && c.Status == v1.ConditionFalse
		})
		if node.Spec.ProviderID != "" && !waits && routed {
			n++
		}
	}
	return n
}
