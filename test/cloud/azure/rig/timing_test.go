// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// first is a fault of the first call that is a PUT of the type.
func first(kind string, fault *azuresim.Fault) func(azuresim.Call) *azuresim.Fault {
	var done atomic.Bool
	return func(call azuresim.Call) *azuresim.Fault {
		if call.Method == http.MethodPut && call.Type == kind && done.CompareAndSwap(false, true) {
			return fault
		}
		return nil
	}
}

// puts are the PUTs of a type since a call.
func puts(w *world, kind string, since int) []azuresim.Call {
	var out []azuresim.Call
	for _, call := range w.sim.Calls()[since:] {
		if call.Method == http.MethodPut && call.Type == kind {
			out = append(out, call)
		}
	}
	return out
}

// While one type of writes is refused, the others go on; what was refused is
// sent again when its time is over, and not before.
func TestThrottledTypeWaitsAlone(t *testing.T) {
	const wait = 10 * time.Second // time for a pass beside it, on any machine
	for _, tt := range []struct {
		name, refused, beside string
		other                 harness.Step
	}{
		{"load balancer", azuresim.LoadBalancers, azuresim.PublicIPs, harness.Create(harness.NewService("dns", 2, "UDP:53"))},
		{"security group", azuresim.SecurityGroups, azuresim.LoadBalancers, harness.Create(harness.NewService("dns", 2, "UDP:53"))},
		{"public IP", azuresim.PublicIPs, azuresim.LoadBalancers, annotate("old", "azure-load-balancer-tcp-idle-timeout", "9")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := begun(t, "nodeIP")
			w.Do(t, harness.Create(harness.NewService("old", 3, "TCP:80")))
			refused := make(chan struct{})
			fault := first(tt.refused, azuresim.Refuse(http.StatusTooManyRequests, "TooManyRequests", wait))
			w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
				f := fault(call)
				if f != nil {
					close(refused)
				}
				return f
			})
			since := len(w.sim.Calls())
			var beside sync.WaitGroup
			beside.Go(func() {
				<-refused
				if err := w.Play(harness.Quiet(t), []harness.Step{tt.other}); err != nil {
					t.Error(err)
				}
			})
			w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80")))
			beside.Wait()
			calls := puts(w, tt.refused, since)
			if len(calls) < 2 || calls[0].Status != http.StatusTooManyRequests {
				t.Fatalf("calls: %+v", calls)
			}
			if early := calls[0].Arrived.Add(wait).Sub(calls[1].Arrived); early > 0 || calls[1].Status == http.StatusTooManyRequests {
				t.Errorf("the refused write was sent again %s before its time, and answered by %d", early, calls[1].Status)
			}
			meanwhile := 0
			for _, call := range puts(w, tt.beside, calls[0].Seq) {
				if call.Seq < calls[1].Seq {
					meanwhile++
				}
			}
			if meanwhile == 0 {
				t.Errorf("no %s was written while %s waited", tt.beside, tt.refused)
			}
		})
	}
}

// After a refused etag or a lost answer the next write is sent after the reads
// of one pass at most: no try lies between that did nothing.
func TestNextWriteComesAfterOnePassOfReads(t *testing.T) {
	const onePass = 12
	for _, kind := range []string{azuresim.PublicIPs, azuresim.LoadBalancers, azuresim.SecurityGroups, azuresim.ScaleSets} {
		for name, fault := range map[string]*azuresim.Fault{
			"412":         azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0),
			"409":         azuresim.Refuse(http.StatusConflict, "AnotherOperationInProgress", 0),
			"lost before": azuresim.Drop(azuresim.Before),
			"lost after":  azuresim.Drop(azuresim.After),
			"500":         azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0),
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				w := begun(t, "nodeIPConfiguration")
				w.sim.SetFault(first(kind, fault))
				w.Do(t, harness.Create(harness.NewService("web", 1, "TCP:80")))
				// Something that is to be written in any case.
				w.Do(t, annotate("web", "azure-load-balancer-tcp-idle-timeout", "9"))
				var spoiled *azuresim.Call
				reads := 0
				for _, call := range w.sim.Calls() {
					switch {
					case spoiled == nil && call.Type == kind && call.Method == http.MethodPut:
						spoiled = &call
					case spoiled != nil && call.Kind == azuresim.Write:
						if reads > onePass {
							t.Errorf("the next write came after %d reads, want %d at most", reads, onePass)
						}
						return
					case spoiled != nil && call.Kind != azuresim.Poll:
						reads++
					}
				}
				t.Errorf("no write after that of %s", kind)
			})
		}
	}
}
