// SPDX-License-Identifier: Apache-2.0

// Package sim is what simulated clouds have in common.
package sim

import "sync"

// Moment is a side of a commit for a hook.
type Moment uint8

// Moments of a write.
const (
	BeforeCommit Moment = iota + 1 // it has arrived; nothing is judged yet
	AfterCommit                    // it is visible to all; the client has no answer yet
)

// Verdict is what a hook wants.
type Verdict uint8

// Verdicts.
const (
	Proceed Verdict = iota + 1
	HangUp          // close the connection; before the commit, do not write either
)

// Spoiler spoils calls of type C by faults of type F. The zero value spoils none.
type Spoiler[C, F any] struct {
	mu    sync.Mutex
	fault func(C) *F
	hook  func(Moment, C) Verdict
}

// SetFault sets the function that spoils calls: it is asked about each call
// once, before anything else is done, and nil is no fault. It may be called
// from many goroutines at once. A nil function ends all faults.
func (s *Spoiler[C, F]) SetFault(fault func(C) *F) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// SetHook sets the function that is called before and after each write is
// committed, while no lock is held. A write that is refused for its content has
// no AfterCommit. A nil function ends the calls.
func (s *Spoiler[C, F]) SetHook(hook func(Moment, C) Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Spoil asks for the fault of a call, with no lock held: the function may ask
// the cloud.
func (s *Spoiler[C, F]) Spoil(call C) *F {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(call)
}

// Hook runs the hook and reports whether the call goes on.
func (s *Spoiler[C, F]) Hook(at Moment, call C) bool {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	return hook == nil || hook(at, call) != HangUp
}
