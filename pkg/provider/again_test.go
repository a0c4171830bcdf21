// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The first of the news begins a pass at once, and those that follow soon begin
// one together.
func TestNewsIsGathered(t *testing.T) {
	const window = 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		changed, moved := NewAgain(), NewAgain()
		ctx, cancel := context.WithCancel(t.Context())
		go changed.Gather(ctx, moved, window)
		start := time.Now()
		var passes []time.Duration
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
					passes = append(passes, time.Since(start))
				}
			}
		}()
		for range 40 { // one every 100 ms
			moved.Ask()
			<-time.After(100 * time.Millisecond)
		}
		<-time.After(time.Minute)
		cancel()
		synctest.Wait()
		if want := []time.Duration{0, window}; !slices.Equal(passes, want) {
			t.Errorf("passes after %v, want %v", passes, want)
		}
	})
}
