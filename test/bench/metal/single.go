// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/bench/table"
)

// The targets for one Service.
const (
	createTarget   = 75 * time.Millisecond
	deleteTarget   = 62 * time.Millisecond
	endpointTarget = 62 * time.Millisecond
)

// local tells whether only nodes with an endpoint announce the Service.
func (s service) local() bool { return s.policy == v1.ServiceExternalTrafficPolicyLocal }

// latencies are those of all trials.
type latencies struct {
	address, create, remove, endpoint []time.Duration
}

// single measures one Service at a time: how it comes and goes, and how one of
// policy Local loses an endpoint.
func (b *site) single(ctx context.Context, where string, trials int) ([]table.Row, error) {
	var l latencies
	mover := service{name: "mover", policy: v1.ServiceExternalTrafficPolicyLocal, nodes: []int{0, 1, 2}}
	addrs, err := b.present(ctx, []service{mover})
	if err != nil {
		return nil, err
	}
	for i := range trials {
		s := service{name: fmt.Sprintf("one-%04d", i), policy: v1.ServiceExternalTrafficPolicyCluster, nodes: []int{0, 1, 2}}
		if err := b.comeAndGo(ctx, s, &l); err != nil {
			return nil, fmt.Errorf("trial %d: %w", i, err)
		}
		if err := b.loseEndpoint(ctx, mover, addrs[0], &l); err != nil {
			return nil, fmt.Errorf("trial %d: %w", i, err)
		}
	}
	if err := b.clear(ctx, []service{mover}, addrs); err != nil {
		return nil, err
	}
	row := func(what string, all []time.Duration, target time.Duration, peer string) table.Row {
		r := table.Row{What: "One Service, " + where + ": " + what, Ours: spread(all), Peer: peer}
		if target > 0 {
			r.Target, r.Timed = "p50 "+millis(target), atMost(quantile(all, 0.5).Round(time.Millisecond), target)
		}
		return r
	}
	rows := []table.Row{
		row("create to address", l.address, 0, ""),
		row("create to all next hops", l.create, createTarget, "81 ms"),
		row("endpoint gone to next hop gone", l.endpoint, endpointTarget, "67 ms"),
		row("delete to route gone", l.remove, deleteTarget, "67 ms"),
	}
	for _, r := range rows {
		b.say("%s: %s", r.What, r.Ours)
	}
	return rows, nil
}

// settle is the pause between the steps of a trial, so that what is left over
// from one is not measured in the next.
const settle = 150 * time.Millisecond

// comeAndGo measures a Service from its creation to its end.
func (b *site) comeAndGo(ctx context.Context, s service, l *latencies) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.createSlices(ctx, []service{s}); err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	f, begin := follow(b.Routes), time.Now()
	if err := b.createService(ctx, s); err != nil {
		return err
	}
	addrs, given, err := b.status.addresses(ctx, []service{s})
	if err != nil {
		return err
	}
	complete, err := f.await(ctx, nodes, addrs[0])
	if err != nil {
		return err
	}
	l.address = append(l.address, given.Sub(begin))
	l.create = append(l.create, complete.Sub(begin))
	if err := pause(ctx, settle); err != nil {
		return err
	}
	begin = time.Now()
	if err := b.deleteServices(ctx, []service{s}); err != nil {
		return err
	}
	complete, err = f.await(ctx, 0, addrs[0])
	if err != nil {
		return err
	}
	l.remove = append(l.remove, complete.Sub(begin))
	return errors.Join(b.deleteSlices(ctx, []service{s}), pause(ctx, settle))
}

// loseEndpoint measures how the route loses the next hop of a node without an
// endpoint, and gives the endpoint back.
func (b *site) loseEndpoint(ctx context.Context, s service, addr netip.Addr, l *latencies) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	fewer := s
	fewer.nodes = s.nodes[1:]
	f, begin := follow(b.Routes), time.Now()
	for _, now := range []service{fewer, s} {
		if _, err := b.Kube.DiscoveryV1().EndpointSlices(namespace).Update(ctx, now.slice(b), metav1.UpdateOptions{}); err != nil {
			return err
		}
		complete, err := f.await(ctx, len(now.nodes), addr)
		if err != nil {
			return err
		}
		if len(now.nodes) < len(s.nodes) {
			l.endpoint = append(l.endpoint, complete.Sub(begin))
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
	}
	return nil
}
