// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Machines that cannot join yet are looked at after growing waits, anew when
// others wait, and no more when none does.
func TestMachinesThatWaitAreLookedAtAgain(t *testing.T) {
	tests := map[string]struct {
		// waiting are the nodes that each look finds waiting.
		waiting [][]string
		looks   []time.Duration
	}{
		"none":              {[][]string{nil}, nil},
		"one for a while":   {[][]string{{"a"}, {"a"}, {"a"}, nil}, []time.Duration{15 * time.Second, 45 * time.Second, 105 * time.Second}},
		"another one comes": {[][]string{{"a"}, {"a"}, {"b", "a"}, nil}, []time.Duration{15 * time.Second, 45 * time.Second, 60 * time.Second}},
		"one that is off for long": {
			[][]string{{"a"}, {"a"}, {"a"}, {"a"}, {"a"}, {"a"}, {"a"}, nil},
			[]time.Duration{15 * time.Second, 45 * time.Second, 105 * time.Second, 225 * time.Second, 465 * time.Second, 765 * time.Second, 1065 * time.Second},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				l, start := newLater(), time.Now()
				var looks []time.Duration
				l.wait(tt.waiting[0])
				go l.run(ctx, func() {
					looks = append(looks, time.Since(start))
					l.wait(tt.waiting[len(looks)])
				})
				<-time.After(time.Hour)
				cancel()
				synctest.Wait()
				if !slices.Equal(looks, tt.looks) {
					t.Errorf("looked after %v, want %v", looks, tt.looks)
				}
			})
		})
	}
}

// Passes that others begin do not move the look, nor do they pile up.
func TestPassesBesideDoNotMoveTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l, start := newLater(), time.Now()
		looked := make(chan time.Duration, 1)
		go l.run(ctx, func() { looked <- time.Since(start) })
		for range 10 {
			l.wait([]string{"a"})
			<-time.After(time.Second)
		}
		if at := <-looked; at != firstLook {
			t.Errorf("looked after %s", at)
		}
		cancel()
		synctest.Wait()
	})
}

// Writes that fail are tried again after growing waits, and anew when they have
// been done meanwhile.
func TestFailedWritesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l, start := newLater(), time.Now()
		var looks []time.Duration
		l.failed("a", time.Second)
		go l.run(ctx, func() {
			looks = append(looks, time.Since(start))
			switch len(looks) {
			case 1, 2:
				l.failed("b", 30*time.Second)
				l.failed("a", time.Second)
			case 3:
				l.done("a")
				l.failed("a", time.Second)
			}
		})
		<-time.After(time.Hour)
		cancel()
		synctest.Wait()
		if want := []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 8 * time.Second}; !slices.Equal(looks, want) {
			t.Errorf("looked after %v, want %v", looks, want)
		}
	})
}
