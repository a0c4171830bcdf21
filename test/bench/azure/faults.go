// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// throttledFor is the Retry-After of the refused write.
const throttledFor = 30 * time.Second

// once spoils the first write of the type, and none after.
func once(typeName string, f *azuresim.Fault) func(azuresim.Call) *azuresim.Fault {
	var done atomic.Bool
	return func(c azuresim.Call) *azuresim.Fault {
		if c.Kind != azuresim.Write || c.Type != typeName || done.Swap(true) {
			return nil
		}
		return f
	}
}

// throttled measures a write that is refused with Retry-After, while another
// Service is edited that needs other types alone.
func throttled(ctx context.Context, m *table.Meter, o standOptions) error {
	s, err := newGround(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	old, err := s.Now(s.All()[0])
	if err != nil {
		return err
	}
	s.sim.SetFault(once(azuresim.PublicIPs, azuresim.Refuse(http.StatusTooManyRequests, "TooManyRequests", throttledFor)))
	var edited time.Duration
	_, err = s.Measure(func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return s.Create(ctx, s.Services(1)) })
		g.Go(func() error {
			if err := s.untilRefused(ctx); err != nil {
				return err
			}
			began := time.Now()
			now := old.DeepCopy()
			now.Spec.Ports[0].Port = 8080
			if err := s.Cluster.Services.Update(now); err != nil {
				return err
			}
			err := s.Controller.Sync(ctx, now)
			edited = time.Since(began)
			return err
		})
		return g.Wait()
	})
	if err != nil {
		return err
	}
	late, err := s.afterRefusal(http.StatusTooManyRequests, azuresim.PublicIPs)
	late -= throttledFor
	m.Add(table.Row{
		What: fmt.Sprintf("429 with Retry-After %.0f on a PIP: sent again after that time; another Service is edited meanwhile", throttledFor.Seconds()),
		Ours: fmt.Sprintf("%.2f s; the edit took %s", late.Seconds(), table.Seconds(edited)), Target: "5 s; other types go on",
		Peer: "50 to 66 s, and everything waits", Timed: table.Judge(late >= 0, late < 5*time.Second, edited < throttledFor/2),
	})
	return err
}

// untilRefused waits until a call was answered by 429.
func (s *ground) untilRefused(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for sim.Total(s.sim.Counts().Refused) == 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// afterRefusal is the time from the answer that refused a write to the next
// write of the type.
func (s *ground) afterRefusal(status int, typeName string) (time.Duration, error) {
	var refused time.Time
	for _, c := range s.sim.Calls() {
		if c.Kind != azuresim.Write || c.Type != typeName {
			continue
		}
		if !refused.IsZero() {
			return c.Arrived.Sub(refused), nil
		}
		if c.Status == status {
			refused = c.Arrived.Add(c.Took)
		}
	}
	return 0, errors.New("no write was refused and sent again")
}

// spoiled measures how soon the next write starts after one of the load
// balancer that was refused by 412, and one whose answer was lost.
func spoiled(ctx context.Context, m *table.Meter, o standOptions) error {
	s, err := newGround(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	s.sim.SetFault(once(azuresim.LoadBalancers, azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0)))
	_, err = s.Measure(func() error { return s.Create(ctx, s.Services(1)) })
	if err != nil {
		return err
	}
	after, err := s.afterRefusal(http.StatusPreconditionFailed, azuresim.LoadBalancers)
	if err != nil {
		return err
	}
	add := func(what string, after time.Duration) {
		m.Add(table.Row{What: what, Ours: fmt.Sprintf("%.2f s", after.Seconds()), Target: "1 s", Peer: "5 to 11 s", Timed: table.Judge(after < time.Second)})
	}
	add("412 on the LB: until the next write starts", after)
	s.sim.SetFault(once(azuresim.LoadBalancers, azuresim.Drop(azuresim.Before)))
	if _, err = s.Measure(func() error { return s.Create(ctx, s.Services(1)) }); err != nil {
		return err
	}
	if after, err = s.afterRefusal(0, azuresim.LoadBalancers); err != nil {
		return err
	}
	add("LB write lost before it was done: until it is sent again", after)
	s.sim.SetFault(once(azuresim.LoadBalancers, azuresim.Drop(azuresim.After)))
	if _, err = s.Measure(func() error { return s.Create(ctx, s.Services(1)) }); err != nil {
		return err
	}
	if after, err = s.afterLost(s.latency.Put[azuresim.LoadBalancers]); err != nil {
		return err
	}
	add("Answer of an LB write lost: from when it is done until the next write starts", after)
	return nil
}

// afterLost is the time from the end of the load balancer's write, whose
// answer was lost and which took that long, to the write that follows.
func (s *ground) afterLost(took time.Duration) (time.Duration, error) {
	var end time.Time
	for _, c := range s.sim.Calls() {
		switch {
		case c.Kind != azuresim.Write:
		case !end.IsZero():
			return c.Arrived.Sub(end), nil
		case c.Type == azuresim.LoadBalancers && c.Status == 0:
			end = c.Arrived.Add(took)
		}
	}
	return 0, errors.New("no answer was lost")
}
