// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The first change of endpoints begins a pass at once, and those that follow
// soon begin one together.
func TestChangesOfEndpointsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Provider{changed: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		go p.followEndpoints(ctx)
		start := time.Now()
		var passes []time.Duration
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-p.changed:
					passes = append(passes, time.Since(start))
				}
			}
		}()
		for range 40 { // one every 100 ms
			select {
			case p.moved <- struct{}{}:
			default:
			}
			<-time.After(100 * time.Millisecond)
		}
		<-time.After(time.Minute)
		cancel()
		synctest.Wait()
		if want := []time.Duration{0, movedWindow}; !slices.Equal(passes, want) {
			t.Errorf("passes after %v, want %v", passes, want)
		}
	})
}
