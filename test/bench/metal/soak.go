// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/bench/churn"
	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/rack"
)

const (
	// restarts is how often the controller is ended under churn.
	restarts = 20
	// speakerEvery is the time between two restarts of speakers in the soak.
	speakerEvery = 20 * time.Second
	// routeLimit is how long the router may be behind the cluster at the end.
	routeLimit = 30 * time.Second
	// told is how many of many things of a kind are printed.
	told = 20
	// clock prints a moment.
	clock = "15:04:05.000"
)

// controllerOf is the rack's controller.
type controllerOf struct{ *site }

func (c controllerOf) Start(ctx context.Context) error { return c.StartController(ctx) }
func (c controllerOf) Stop() error                     { return c.Controller().Stop() }
func (c controllerOf) Kill() error                     { return c.Controller().Kill() }

// churned runs the churn on a rack, and then holds the router against the
// cluster.
func (b *site) churned(ctx context.Context, o churn.Options) (churn.Report, error) {
	configure := func(pools string) error { return b.Configure(configWith(pools + closedPool)) }
	if err := configure(churn.Pools()); err != nil {
		return churn.Report{}, err
	}
	var services []service
	for _, name := range churn.Names() {
		services = append(services, service{name: name, nodes: []int{0, 1, 2}})
	}
	if err := b.createSlices(ctx, services); err != nil {
		return churn.Report{}, err
	}
	o.Client, o.Controller, o.Configure, o.Say = b.Kube, controllerOf{b}, configure, b.say
	report, err := churn.Run(ctx, o)
	if err != nil {
		return report, err
	}
	return report, b.routesAreRight(ctx)
}

// routesAreRight waits until the router has the IPv4 addresses of the Services
// and no others.
func (b *site) routesAreRight(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, routeLimit)
	defer cancel()
	services, err := b.Kube.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := map[netip.Prefix]bool{}
	for i := range services.Items {
		s := &services.Items[i]
		for _, in := range s.Status.LoadBalancer.Ingress {
			a, err := netip.ParseAddr(in.IP)
			if err == nil && a.Is4() && s.Spec.Type == v1.ServiceTypeLoadBalancer {
				// One that is refused what it asks for keeps what it has.
				want[netip.PrefixFrom(a, a.BitLen())] = true
			}
		}
	}
	return wait(ctx, func() error {
		table, err := b.Routes.Snapshot()
		if err != nil {
			return err
		}
		var wrong []string
		for p, hops := range table {
			if p.Addr().Is4() && !want[p] {
				wrong = append(wrong, fmt.Sprintf("%s is still there", p))
			} else if p.Addr().Is4() && len(hops) != nodes {
				wrong = append(wrong, fmt.Sprintf("%s has %d next hops", p, len(hops)))
			}
		}
		for p := range want {
			if _, ok := table[p]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s is missing", p))
			}
		}
		if slices.Sort(wrong); len(wrong) > 0 {
			return fmt.Errorf("the router's table is wrong in %d places: %v", len(wrong), wrong)
		}
		return nil
	})
}

// measureChurn restarts the controller under churn.
func measureChurn(ctx context.Context, b *site, _ Options) ([]table.Row, error) {
	report, err := b.churned(ctx, churn.Options{Restarts: restarts, Seed: 1})
	for _, f := range report.Faults {
		b.say("fault: %s", f)
	}
	return []table.Row{{
		What: fmt.Sprintf("%d restarts of the controller, half of them by KILL, under churn: addresses changed or given twice", report.Restarts),
		Ours: fmt.Sprintf("%d (%s)", len(report.Faults), report), Target: "0", Peer: "0", Counted: atMost(len(report.Faults), 0),
	}}, err
}

// Soak keeps a rack under churn for a while: controller and speakers restart by
// TERM and KILL, pools are edited, Services come and go, and a client asks two
// Services that stay. It is an error when an address changed or was given
// twice, a request was lost, or the router is wrong in the end.
func Soak(ctx context.Context, out io.Writer, o Options, d time.Duration) (err error) {
	b, err := build(ctx, out, o, proxiesOn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	targets, err := b.startPods(ctx, o.Dir)
	if err != nil {
		return err
	}
	client, err := b.ask(ctx, targets)
	if err != nil {
		return err
	}
	mark, err := b.Routes.Now()
	if err != nil {
		return err
	}
	report, failed := b.soak(ctx, d)
	results, err := client.Stop()
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	b.say("%s", report)
	var faults []error
	for _, f := range report.Faults {
		faults = append(faults, errors.New(f))
	}
	for _, r := range results {
		b.say("%s: %d requests sent, %d lost, dark for at most %s; %d of %d kept connections broken",
			r.Name, r.Sent, len(r.Lost), r.Dark, r.KeptBroken, keptConnections/2)
		for _, l := range r.Lost[:min(len(r.Lost), told)] {
			b.say("%s %s: lost after %s: %s", l.Start.Format(clock), r.Name, millis(l.End.Sub(l.Start)), l.Error)
		}
		if len(r.Lost) > 0 || r.KeptBroken > 0 {
			faults = append(faults, fmt.Errorf("%s: %d requests were lost and %d connections broken", r.Name, len(r.Lost), r.KeptBroken))
		}
	}
	return errors.Join(append(faults, b.routesStayed(mark, targets))...)
}

// routesStayed is an error when the routes of the targets changed since a mark.
func (b *site) routesStayed(mark rack.Mark, targets []rack.Target) error {
	changes, err := b.Routes.Since(mark)
	if err != nil {
		return err
	}
	n := 0
	for _, c := range changes {
		for _, t := range targets {
			if t.URL == "http://"+c.Prefix.Addr().String() {
				if n++; n <= told {
					b.say("%s: %s", t.Name, c)
				}
			}
		}
	}
	if n > 0 {
		return fmt.Errorf("%d changes of the routes of Services that stayed", n)
	}
	return nil
}

// errEnough ends the restarts of speakers.
var errEnough = errors.New("enough")

// soak churns while speakers restart.
func (b *site) soak(ctx context.Context, d time.Duration) (report churn.Report, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		report, err = b.churned(gctx, churn.Options{For: d, Seed: uint64(time.Now().UnixNano())})
		if err != nil {
			return err
		}
		return errEnough
	})
	g.Go(func() error { return b.restartSpeakers(gctx) })
	if err = g.Wait(); errors.Is(err, errEnough) {
		err = nil
	}
	return report, err
}

// restartSpeakers ends one speaker after the other, by TERM and by KILL in turn.
func (b *site) restartSpeakers(ctx context.Context) error {
	for i := 0; ; i++ {
		if err := pause(ctx, speakerEvery); err != nil {
			return nil //nolint:nilerr // ctx ends it
		}
		n := b.Nodes[i%nodes]
		end := n.Speaker().Stop
		if i%2 == 1 {
			end = n.Speaker().Kill
		}
		b.say("%s restarting the speaker of %s", time.Now().Format(clock), n.Name)
		if err := end(); err != nil {
			return err
		}
		if err := begin(ctx, n); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// begin starts a node's speaker and waits until it is ready.
func begin(ctx context.Context, n *rack.Node) error {
	if err := n.StartSpeaker(ctx); err != nil {
		return err
	}
	return n.SpeakerReady(ctx)
}
