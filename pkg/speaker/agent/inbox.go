// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/speaker"
)

// inbox gathers what happened until the loop has time for it: idle, it is read
// at once; busy, everything that came meanwhile is one turn. Nothing waits for
// more to come.
type inbox struct {
	wake chan struct{}

	mu   sync.Mutex
	mail mail
}

// mail is what happened since the last turn.
type mail struct {
	services map[types.NamespacedName]struct{}
	metal    *cloudconfig.Metal // nil: unchanged
	health   speaker.Health     // zero: nothing new
	fault    error              // the configuration cannot be used
}

func newInbox() *inbox {
	return &inbox{
		wake: make(chan struct{}, 1),
		mail: mail{services: map[types.NamespacedName]struct{}{}},
	}
}

// nudge lets the loop take a turn.
func (i *inbox) nudge() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) service(key types.NamespacedName) {
	i.mu.Lock()
	i.mail.services[key] = struct{}{}
	i.mu.Unlock()
	i.nudge()
}

func (i *inbox) configure(m *cloudconfig.Metal) {
	i.mu.Lock()
	i.mail.metal, i.mail.fault = m, nil
	i.mu.Unlock()
	i.nudge()
}

func (i *inbox) refuse(err error) {
	i.mu.Lock()
	i.mail.fault = err
	i.mu.Unlock()
	i.nudge()
}

func (i *inbox) kubeProxy(h speaker.Health) {
	i.mu.Lock()
	i.mail.health = h
	i.mu.Unlock()
	i.nudge()
}

// first waits for a configuration and returns what came with it. It fails when
// the configuration cannot be used or ctx ends.
func (i *inbox) first(ctx context.Context) (mail, error) {
	for {
		i.mu.Lock()
		metal, fault := i.mail.metal, i.mail.fault
		i.mu.Unlock()
		switch {
		case metal != nil:
			return i.take(), nil
		case fault != nil:
			return mail{}, fault
		}
		select {
		case <-ctx.Done():
			return mail{}, ctx.Err()
		case <-i.wake:
		}
	}
}

// take empties the inbox.
func (i *inbox) take() mail {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.mail
	i.mail = mail{services: map[types.NamespacedName]struct{}{}}
	return m
}
