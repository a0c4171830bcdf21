// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/manifests"
)

// stopGrace is how long one of our programs may take to end by itself. The
// controller manager finishes what is in flight first.
const stopGrace = 10 * time.Second

// play is the demo of one cloud.
type play interface {
	// up tells the story. What it starts, down ends, also after an error.
	up(ctx context.Context) error
	down() error
	// howToUse tells what to do with a demo that stays.
	howToUse()
}

// newPlay is the play of the cloud that was asked for.
func newPlay(p paths, t *teller) play {
	s := &stage{paths: p, tell: t, board: newBoard()}
	switch p.cloud {
	case cloudAzure:
		return &azure{simulated: &simulated{stage: s, kind: kindAzure}}
	case cloudAWS:
		return &aws{simulated: &simulated{stage: s, kind: kindAWS}}
	case cloudMetal:
	}
	return &metal{stage: s}
}

// stage is what all plays have: a control plane, programs and a teller.
type stage struct {
	paths

	tell     *teller
	board    *board
	cp       *controlplane.ControlPlane
	admin    *kubernetes.Clientset
	apply    *manifests.Client
	programs []*process
	unwatch  func() error   // nil before watch
	undos    []func() error // to be called in reverse
}

// undo remembers what must be done in the end.
func (d *stage) undo(f func() error) { d.undos = append(d.undos, f) }

// connect makes the clients of an administrator.
func (d *stage) connect() error {
	var err, err2 error
	d.admin, err = kubernetes.NewForConfig(d.cp.Config())
	d.apply, err2 = manifests.NewClient(d.cp.Config())
	return errors.Join(err, err2)
}

// inTurn plays acts until one fails.
func inTurn(ctx context.Context, acts ...func(context.Context) error) error {
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// down ends everything that up has started: first the telling, since that
// sessions end now is no news, then our programs, all at once.
func (d *stage) down() error {
	var err error
	if d.unwatch != nil {
		err = d.unwatch()
	}
	ends := make([]error, len(d.programs))
	var all sync.WaitGroup
	for i, p := range d.programs {
		all.Go(func() { ends[i] = p.stop(stopGrace) })
	}
	all.Wait()
	err = errors.Join(err, errors.Join(ends...))
	for _, f := range slices.Backward(d.undos) {
		err = errors.Join(err, f())
	}
	return err
}

// watch follows the cluster until down, and what follow follows.
func (d *stage) watch(ctx context.Context, follow func(context.Context) error) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	wait, err := newWatcher(d.admin, d.board, d.tell).start(inner)
	if err != nil {
		cancel()
		return err
	}
	followed := make(chan error, 1)
	go func() { followed <- follow(inner) }()
	d.unwatch = func() error {
		cancel()
		wait()
		return <-followed
	}
	return nil
}

// program is one of our binaries to be run.
type program struct {
	name   string // of its log
	binary string // name unless set
	args   []string
	env    []string // beside ours
}

// launch starts one of our binaries, to be stopped in the end.
func (d *stage) launch(ctx context.Context, p program) error {
	_, err := d.start(ctx, p)
	return err
}

func (d *stage) start(ctx context.Context, p program) (*process, error) {
	p.binary = cmp.Or(p.binary, p.name)
	proc, err := launch(ctx, p, d.bin, d.logs())
	if err != nil {
		return nil, err
	}
	d.programs = append(d.programs, proc)
	go func() {
		<-proc.done
		d.board.change(func() { d.board.failed = errors.Join(d.board.failed, endedError(p.name)) })
	}()
	return proc, nil
}

// endedError says that a program has ended that should not.
type endedError string

func (e endedError) Error() string { return string(e) + " has ended" }
