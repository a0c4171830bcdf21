// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// paced is a pace on a clock of the test's own, for writes of public IPs.
type paced struct {
	*pace
	clock *clocktesting.FakeClock
	key   gateKey
}

func newPaced() paced {
	c := clocktesting.NewFakeClock(time.Unix(0, 0))
	return paced{newPace(c), c, gateKey{"s", "microsoft.network/publicipaddresses", write}}
}

// send reserves n calls and returns them, and how long the last one waits.
func (p paced) send(n int) ([]slot, time.Duration) {
	var slots []slot
	var wait time.Duration
	for range n {
		var c slot
		c, wait = p.reserve(p.key)
		slots = append(slots, c)
	}
	return slots, wait
}

// answer ends the call; left is what the service says remains.
func (p paced) answer(c slot, left int) {
	h := http.Header{}
	h.Set(p.key.remainingHeader(), strconv.Itoa(left))
	p.done(c, h)
}

func TestPaceKeepsToTheBucketBeforeTheFirstAnswer(t *testing.T) {
	p := newPaced()
	if _, wait := p.send(writeBucket - spare); wait != 0 {
		t.Errorf("the last of a full bucket waits %v", wait)
	}
	if _, wait := p.send(10); wait != time.Second {
		t.Errorf("ten beyond the bucket wait %v, want a second", wait)
	}
}

func TestPaceLearnsFromAnswers(t *testing.T) {
	tests := map[string]struct {
		act  func(p paced)
		left float64
	}{
		"what an answer counts already is not taken twice": {func(p paced) {
			slots, _ := p.send(100)
			p.answer(slots[0], 100)
		}, 100},
		"an old answer that comes late does not give calls back": {func(p paced) {
			slots, _ := p.send(100)
			p.answer(slots[99], 100)
			p.answer(slots[0], 199)
		}, 100},
		"what others take is gone, and those under way are not counted yet": {func(p paced) {
			slots, _ := p.send(10)
			p.answer(slots[0], 50)
		}, 41},
		"a larger bucket is used": {func(p paced) {
			slots, _ := p.send(10)
			p.answer(slots[0], 1000)
		}, 991},
		"refills while a call goes on are no calls of others": {func(p paced) {
			slots, _ := p.send(100)
			p.clock.Step(3 * time.Second)
			p.answer(slots[0], 100)
		}, 130},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPaced()
			tt.act(p)
			if got := p.buckets[p.key].left; got != tt.left {
				t.Errorf("%v calls are left, want %v", got, tt.left)
			}
		})
	}
}

func TestPaceHoldsNobodyWhereTheServiceSaysNothing(t *testing.T) {
	p := newPaced()
	slots, _ := p.send(300)
	p.done(slots[0], http.Header{})
	if _, wait := p.send(1); wait != 0 {
		t.Errorf("waits %v", wait)
	}
}
