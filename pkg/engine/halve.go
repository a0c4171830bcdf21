// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/fairlead/fairlead/pkg/plan"
)

// fewKeys is up to how many Services a refused shared write is halved to the
// end, whatever the cloud answers: more are asked for by samples first.
const fewKeys = 8

// halving finds the Services whose parts make the cloud refuse a shared write:
// every half that the cloud takes stays in. A part can be wrong in itself
// (Invalid), need what is not free (Exhausted), or name what we have no right
// to (Denied).
type halving struct {
	step    plan.Step
	execute func(plan.Step, map[plan.Key]bool) error
	keys    []plan.Key
	without map[plan.Key]bool // what is left out of the next write
	failed  map[plan.Key]error
	taken   bool  // the cloud took a write
	sampled bool  // the samples were tried
	ended   error // why no further write is tried
}

// halve tries the parts of the keys alone and together until those that are
// refused are known, and returns them with their errors. The write of all was
// refused before.
func halve(st plan.Step, keys []plan.Key, without map[plan.Key]bool, execute func(plan.Step, map[plan.Key]bool) error) map[plan.Key]error {
	h := halving{step: st, execute: execute, keys: keys, without: without, failed: map[plan.Key]error{}}
	for _, k := range keys {
		h.without[k] = true
	}
	h.split(keys)
	return h.failed
}

func (h *halving) split(keys []plan.Key) {
	mid := len(keys) / 2
	h.try(keys[:mid])
	h.try(keys[mid:])
}

// try writes with the keys added to what was taken so far.
func (h *halving) try(keys []plan.Key) {
	if keys = h.open(keys); len(keys) == 0 {
		return
	}
	err := h.ended
	if err == nil {
		err = h.write(keys)
	}
	switch {
	case err == nil:
		h.taken = true
	case h.ended != nil || !isRefusal(err):
		// Another writer was there, or the cloud wants no more calls: the rest
		// fails as these did, and is tried again.
		h.ended = err
		h.fail(keys, err)
	case len(keys) == 1:
		h.fail(keys, err)
		h.sample(err)
	default:
		h.split(keys)
	}
}

// open are the keys that are neither taken nor failed.
func (h *halving) open(keys []plan.Key) []plan.Key {
	var open []plan.Key
	for _, k := range keys {
		if h.without[k] && h.failed[k] == nil {
			open = append(open, k)
		}
	}
	return open
}

// write writes with the keys, which stay left out when it fails.
func (h *halving) write(keys []plan.Key) error {
	for _, k := range keys {
		delete(h.without, k)
	}
	err := h.execute(h.step, h.without)
	if err != nil {
		for _, k := range keys {
			h.without[k] = true
		}
	}
	return err
}

func (h *halving) fail(keys []plan.Key, err error) {
	for _, k := range keys {
		h.failed[k] = err
	}
}

// sample ends the halving when the cause lies in no Service. It is called when
// one alone was refused with err: when nothing was taken before, one in the
// middle and the last one are tried alone as well, and when both are refused
// alike, so is the rest.
func (h *halving) sample(err error) {
	if h.taken || h.sampled || len(h.keys) <= fewKeys {
		return
	}
	h.sampled = true
	for _, i := range []int{len(h.keys) / 2, len(h.keys) - 1} {
		h.try(h.keys[i : i+1])
		if other := h.failed[h.keys[i]]; other == nil || !alike(other, err) {
			return
		}
	}
	h.ended = err
}

// alike reports whether the errors have one kind and one reason.
func alike(a, b error) bool {
	return plan.KindOf(a) == plan.KindOf(b) && reasonOf(a) == reasonOf(b)
}
