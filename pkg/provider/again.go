// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"time"
)

// Again asks that something be looked at again, such as all Services by a pass.
// What is asked for before anybody listened is asked for once.
type Again chan struct{}

// NewAgain returns one that was not asked.
func NewAgain() Again { return make(Again, 1) }

// Ask asks, and waits for nobody.
func (a Again) Ask() {
	select {
	case a <- struct{}{}:
	default:
	}
}

// Gather asks whenever news comes, until ctx ends: at once for the first, and
// then once for all that come within the window.
func (a Again) Gather(ctx context.Context, news Again, window time.Duration) {
	timer := time.NewTimer(window)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			a.Ask()
		}
		timer.Reset(window)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}
