// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
	"github.com/fairlead/fairlead/test/controlplane"
)

// Annotations that the story writes.
const (
	keyAWSSubnets  = "service.beta.kubernetes.io/aws-load-balancer-subnets"
	keyAWSDraining = "service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout"
)

// APIs whose writes the story waits for.
const (
	apiAuthorize = "ec2.AuthorizeSecurityGroupIngress"
	apiRevoke    = "ec2.RevokeSecurityGroupIngress"
	apiRegister  = "elbv2.RegisterTargets"
	apiClassic   = "elb.RegisterInstancesWithLoadBalancer"
)

// aws is the story of AWS.
type aws struct {
	*simulated

	before string // the load balancing before the first Service
	took   struct{ network, classic, gone time.Duration }
}

// up tells the story, act by act.
func (d *aws) up(ctx context.Context) error {
	d.tell.paragraph("Fairlead on AWS: what cloud-provider-aws does, with the plan shown first",
		`All that follows happens now, on this machine's loopback interface, without an account. EC2 and Elastic Load
		Balancing are simulated, strictly; their latencies are shortened. Everything else is real. Times are seconds since
		the start.`)
	err := inTurn(ctx, d.actCluster, d.actInstall, d.actNodes, d.actNetwork, d.actClassic, d.actChange, d.actMistake,
		d.actRefusal, d.actScale, d.actDelete)
	if err != nil {
		return err
	}
	d.summary()
	return nil
}

func (d *aws) actCluster(ctx context.Context) error {
	d.tell.act("A cluster, and AWS",
		`A real etcd and kube-apiserver. In region us-east-1 there are, as an installer leaves them, a VPC, a public and a
		private subnet in each of three zones, a security group of the nodes, and two instances.`)
	if err := d.startSimulator(ctx, 2); err != nil {
		return err
	}
	d.tell.line(kindDone, "the simulated AWS answers at %s", d.sim.url)
	return d.startControlPlane(ctx, controlplane.Options{})
}

func (d *aws) actInstall(ctx context.Context) error {
	d.tell.act("Fairlead takes cloud-provider-aws' place",
		`manifests/overlays/aws: the peer's ServiceAccount, and fewer rights. It reads the cloud.conf that is there. Before
		it starts, kubectl fairlead plan tells from outside what it would write:`)
	if err := d.writeConfig(ctx); err != nil {
		return err
	}
	if err := d.install(ctx, "manifests/overlays/aws", ""); err != nil {
		return err
	}
	var err error
	if d.before, err = d.balancing(ctx); err != nil {
		return err
	}
	return d.plan(ctx, nothingPlanned, "--all")
}

func (d *aws) actNodes(ctx context.Context) error {
	d.tell.act("Two nodes",
		`The controller manager learns from EC2 who they are. It runs with its ServiceAccount's token, not as
		administrator.`)
	if err := d.watch(ctx, func(ctx context.Context) error { return follow(ctx, d.simulated, awsLine) }); err != nil {
		return err
	}
	machines, err := d.machines(ctx)
	if err != nil {
		return err
	}
	for i := range machines {
		if err := d.createNode(ctx, machines[i].NewNode()); err != nil {
			return err
		}
	}
	if err := d.startController(ctx); err != nil {
		return err
	}
	return d.board.await(ctx, "two initialized nodes", func() bool { return d.initialized() == 2 })
}

func (d *aws) actNetwork(ctx context.Context) error {
	d.tell.act("A network load balancer",
		`web-nlb, two ports for clients of one range. The controller is held still for a moment, so that the plan can be
		read before it acts. Then it goes on.`)
	d.tell.line(kindSvc, "%s", serviceHeader())
	var err error
	if d.took.network, err = d.serve(ctx, web.NLB, "aws-nlb.yaml"); err != nil {
		return err
	}
	return d.plugin(ctx, 0, "explain", web.NLB)
}

func (d *aws) actClassic(ctx context.Context) error {
	d.tell.act("A classic load balancer",
		`web-classic, one port. It has a security group of its own, which the nodes let in.`)
	var err error
	d.took.classic, err = d.serve(ctx, web.Classic, "aws-classic.yaml")
	return err
}

// serve applies a Service, and says how long it took until it had a name.
func (d *aws) serve(ctx context.Context, service, file string) (time.Duration, error) {
	begun, err := d.held(ctx, service, func() error { return d.applyFrom(ctx, web.Objects, file, "Service") })
	if err != nil {
		return 0, err
	}
	err = d.board.await(ctx, "the name of "+service, func() bool { return len(addresses(d.board.services[service])) == 1 })
	took := time.Since(begun)
	return took, errors.Join(err, d.awaitEvent(ctx, service, "EnsuredLoadBalancer"))
}

func (d *aws) actChange(ctx context.Context) error {
	d.tell.act("A change",
		`Clients of web-nlb now come from 198.51.100.0/24: the rules for them are written before those of the old range go.`)
	granted, revoked := d.count(apiAuthorize), d.count(apiRevoke)
	_, err := d.held(ctx, web.NLB, func() error {
		return d.patch(ctx, web.NLB, `{"spec":{"loadBalancerSourceRanges":["198.51.100.0/24"]}}`)
	})
	if err != nil {
		return err
	}
	return d.board.await(ctx, "both writes", func() bool {
		return d.wrote(apiAuthorize) > granted && d.wrote(apiRevoke) > revoked
	})
}

func (d *aws) actMistake(ctx context.Context) error {
	d.tell.act("A mistake is refused when it is made",
		"Somebody wants connections to web-classic to be drained for a minute. The API server answers:")
	return d.refusedByServer(ctx, web.Classic, keyAWSDraining, "1m")
}

// actRefusal shows a change that cannot be served, and its cure.
func (d *aws) actRefusal(ctx context.Context) error {
	d.tell.act("What cannot be done is said",
		`web-nlb shall stand in a subnet that is not there. It is told why, nothing is written, and its traffic goes on.
		Then the annotation is taken back.`)
	if err := d.patch(ctx, web.NLB, fmt.Sprintf(`{"metadata":{"annotations":{%q:"nowhere"}}}`, keyAWSSubnets)); err != nil {
		return err
	}
	failed := func() bool {
		return meta.IsStatusConditionFalse(d.board.services[web.NLB].Status.Conditions, engine.ConditionProgrammed)
	}
	if err := errors.Join(d.awaitEvent(ctx, web.NLB, "SubnetNotFound"), d.board.await(ctx, "the condition that says so", failed)); err != nil {
		return err
	}
	if err := d.patch(ctx, web.NLB, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, keyAWSSubnets)); err != nil {
		return err
	}
	return d.board.await(ctx, "the condition to be taken back", func() bool { return !failed() })
}

func (d *aws) actScale(ctx context.Context) error {
	d.tell.act("A third node",
		`The autoscaler launches an instance, and its kubelet registers. It is registered once in each target group, and
		once in the classic load balancer.`)
	targets, classics := d.count(apiRegister), d.count(apiClassic)
	_, err := d.held(ctx, "--all", func() error {
		m, err := d.launch(ctx)
		if err != nil {
			return err
		}
		return d.createNode(ctx, m.Node())
	})
	if err != nil {
		return err
	}
	return d.board.await(ctx, "the third node as a target", func() bool {
		return d.wrote(apiRegister) == targets+2 && d.wrote(apiClassic) == classics+1
	})
}

func (d *aws) actDelete(ctx context.Context) error {
	d.tell.act("Both Services are deleted", `What was made for them goes, and the rules at the nodes.`)
	begun, err := d.held(ctx, "--all", func() error {
		services := d.admin.CoreV1().Services(metav1.NamespaceDefault)
		return errors.Join(
			services.Delete(ctx, web.NLB, metav1.DeleteOptions{}), services.Delete(ctx, web.Classic, metav1.DeleteOptions{}),
		)
	})
	if err != nil {
		return err
	}
	err = d.board.await(ctx, "the end of both", func() bool {
		return d.board.services[web.NLB] == nil && d.board.services[web.Classic] == nil
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
		return fmt.Errorf("something is left in AWS; before:\n%s\nafter:\n%s", d.before, after)
	}
	d.tell.line(kindDone, "load balancers, target groups and security groups are as they were at the start")
	return errors.Join(d.awaitEvent(ctx, web.NLB, "DeletedLoadBalancer"), d.awaitEvent(ctx, web.Classic, "DeletedLoadBalancer"))
}

func (d *aws) summary() {
	ms := func(t time.Duration) int64 { return t.Milliseconds() }
	d.board.mu.Lock()
	writes := len(d.board.writes)
	d.board.mu.Unlock()
	d.tell.paragraph("What was seen", fmt.Sprintf(
		`%s had its name %d ms after the controller saw it, and %s %d ms, at latencies of 600 ms for a load balancer and
		100 ms for other writes. Both were gone after %d ms, with nothing left. %d writes were made in all, each of them in
		a plan before.`,
		web.NLB, ms(d.took.network), web.Classic, ms(d.took.classic), ms(d.took.gone), writes))
}

// howToUse tells what to do with a demo that stays.
func (d *aws) howToUse() {
	var lines []string
	for _, variable := range d.environment {
		lines = append(lines, "export "+variable)
	}
	d.stays(append(lines, "",
		"kubectl apply --server-side -f test/cloud/aws/web/objects/aws-nlb.yaml",
		"kubectl get svc",
		"kubectl fairlead explain "+web.NLB+" --cloud-config="+d.config,
		"kubectl fairlead plan --all --cloud-config="+d.config,
		"curl "+d.sim.url+"/simulator/state")...)
}

// initialized counts the nodes that the controller manager has initialized. The
// board's lock is held.
func (d *aws) initialized() int {
	n := 0
	for _, node := range d.board.nodes {
		waits := slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == cloudproviderapi.TaintExternalCloudProvider })
		if node.Spec.ProviderID != "" && !waits {
			n++
		}
	}
	return n
}
