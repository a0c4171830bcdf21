// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/test/bench/table"
	"github.com/fairlead/fairlead/test/rack"
)

//go:embed pods.yaml
var podsManifest string

const (
	// localShare is one in how many Services that announces from the nodes of its
	// endpoints alone, of which it has one.
	localShare = 10
	// keptConnections are as many as MetalLB was measured with, half of them to
	// a Service of each policy.
	keptConnections = 200
	// steady is how many requests must be answered in a row before anything is
	// measured: at one in 10 ms, more than the time in which kube-proxy acts.
	steady = 200
	// proxySettle is how long three kube-proxies on a small machine may still
	// work on 1,000 new Services.
	proxySettle = 20 * time.Second
)

// mixed is n Services of which some are Local with one endpoint.
func mixed(prefix string, n int) []service {
	services := batch(prefix, n)
	for i := range services {
		if i%localShare == 0 {
			services[i].policy = v1.ServiceExternalTrafficPolicyLocal
			services[i].nodes = []int{i / localShare % nodes}
		}
	}
	return services
}

// startPods creates the Services of pods.yaml and what to ask them.
func (b *site) startPods(ctx context.Context, dir string) ([]rack.Target, error) {
	file := filepath.Join(dir, "pods.yaml")
	if err := os.WriteFile(file, []byte(podsManifest), 0o600); err != nil {
		return nil, err
	}
	if err := b.Apply(ctx, file); err != nil {
		return nil, err
	}
	var targets []rack.Target
	for _, name := range []string{"web-cluster", "web-local"} {
		addr, err := b.Address(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		if err := b.Routes.AwaitNextHops(ctx, addr, b.Nodes[0].Addr, b.Nodes[1].Addr, b.Nodes[2].Addr); err != nil {
			return nil, err
		}
		targets = append(targets, rack.Target{Name: name, URL: "http://" + addr.String(), Kept: keptConnections / 2})
	}
	return targets, nil
}

// ask starts a client. Requests are counted once all kube-proxies have the
// Services, which those of a first client tell.
func (b *site) ask(ctx context.Context, targets []rack.Target) (*rack.Client, error) {
	for last := false; ; last = true {
		client, err := b.StartClient(targets...)
		if err != nil {
			return nil, err
		}
		if err := client.Steady(ctx, steady); err != nil {
			return nil, err
		}
		if last {
			return client, nil
		}
		if _, err := client.Stop(); err != nil {
			return nil, err
		}
	}
}

// measureRolling restarts all speakers one after the other, as a DaemonSet
// does: the next when the last is ready.
func measureRolling(ctx context.Context, b *site, o Options) ([]table.Row, error) {
	targets, err := b.startPods(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	services := mixed("roll", manyServices)
	if _, err := b.present(ctx, services); err != nil {
		return nil, err
	}
	if err := pause(ctx, proxySettle); err != nil {
		return nil, err
	}
	client, err := b.ask(ctx, targets)
	if err != nil {
		return nil, err
	}
	mark, err := b.Routes.Now()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	for _, n := range b.Nodes {
		if err := restartSpeaker(ctx, n); err != nil {
			return nil, err
		}
	}
	took := time.Since(begin)
	// The routers' memory of stale routes ends with the End-of-RIB at the latest.
	if err := client.More(ctx, steady); err != nil {
		return nil, err
	}
	changes, err := b.Routes.Since(mark)
	if err != nil {
		return nil, err
	}
	for i, c := range changes[:min(len(changes), 10)] {
		b.say("route change %d: %s", i+1, c)
	}
	results, err := client.Stop()
	if err != nil {
		return nil, err
	}
	return b.rollingRows(len(changes), results, took), nil
}

func restartSpeaker(ctx context.Context, n *rack.Node) error {
	if err := n.Speaker().Stop(); err != nil {
		return err
	}
	return begin(ctx, n)
}

func (b *site) rollingRows(changes int, results []rack.Result, took time.Duration) []table.Row {
	sent, lost, keptSent, broken := 0, 0, 0, 0
	for _, r := range results {
		b.say("%s: %d requests sent, %d lost, dark for at most %s; %d on kept connections, %d broken",
			r.Name, r.Sent, len(r.Lost), r.Dark, r.KeptSent, r.KeptBroken)
		sent, lost, keptSent, broken = sent+r.Sent, lost+len(r.Lost), keptSent+r.KeptSent, broken+r.KeptBroken
	}
	what := fmt.Sprintf("Rolling restart of all speakers (%s) with %d Services: ", table.Seconds(took), manyServices)
	return []table.Row{
		{What: what + "route changes in the router", Ours: fmt.Sprint(changes), Target: "0", Peer: "1,734", Counted: atMost(changes, 0)},
		{
			What: what + "kept connections broken", Ours: fmt.Sprintf("%d of %d (%d requests on them)", broken, keptConnections, keptSent),
			Target: "0", Peer: "64 of 200", Counted: atMost(broken, 0),
		},
		{
			What: what + "requests lost", Ours: fmt.Sprintf("%d of %d", lost, sent), Target: "0",
			Peer: "67 `Local` Services dark for 3.7 s at p50", Counted: atMost(lost, 0),
		},
	}
}
