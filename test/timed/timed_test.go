// SPDX-License-Identifier: Apache-2.0

package timed

import (
	"testing"
	"time"
)

func TestOneFastTryIsEnough(t *testing.T) {
	const most = 3 * time.Second
	for name, c := range map[string]struct {
		took  []time.Duration
		calls int
		best  time.Duration
		ok    bool
	}{
		"fast at once":           {[]time.Duration{most}, 1, most, true},
		"fast at the last":       {[]time.Duration{9 * time.Second, 5 * time.Second, 4 * time.Second, time.Second}, 4, time.Second, true},
		"always slow":            {[]time.Duration{9 * time.Second, 5 * time.Second, 7 * time.Second, 8 * time.Second}, 4, 5 * time.Second, false},
		"slow by a nanosecond":   {[]time.Duration{most + 1, most + 1, most + 1, most + 1}, 4, most + 1, false},
		"fast the second time":   {[]time.Duration{9 * time.Second, 2 * time.Second}, 2, 2 * time.Second, true},
		"a fifth try comes late": {[]time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second, 9 * time.Second, 0}, 4, 9 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			best, ok := best(most, func() time.Duration {
				calls++
				return c.took[calls-1]
			})
			if calls != c.calls || best != c.best || ok != c.ok {
				t.Errorf("%s at best, %t after %d tries, want %s, %t after %d", best, ok, calls, c.best, c.ok, c.calls)
			}
		})
	}
}
