// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"path/filepath"
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

// demo is one run.
type demo struct {
	paths

	tell     *teller
	board    *board
	router   *router
	cp       *controlplane.ControlPlane
	admin    *kubernetes.Clientset
	apply    *manifests.Client
	programs []*process
	unwatch  func() error   // nil before watch
	undos    []func() error // to be called in reverse
	took     durations
}

func newDemo(p paths, t *teller) *demo {
	return &demo{paths: p, tell: t, board: newBoard()}
}

func (d *demo) config() string { return filepath.Join(d.dir, configKey) }

// undo remembers what must be done in the end.
func (d *demo) undo(f func() error) { d.undos = append(d.undos, f) }

// connect makes the clients of an administrator.
func (d *demo) connect() error {
	var err, err2 error
	d.admin, err = kubernetes.NewForConfig(d.cp.Config())
	d.apply, err2 = manifests.NewClient(d.cp.Config())
	return errors.Join(err, err2)
}

// down ends everything that up has started: first the telling, since that
// sessions end now is no news, then our programs, all at once.
func (d *demo) down() error {
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

// watch follows the cluster and the router until down.
func (d *demo) watch(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	wait, err := newWatcher(d.admin, d.board, d.tell).start(inner)
	if err != nil {
		cancel()
		return err
	}
	followed := make(chan error, 1)
	go func() { followed <- d.board.follow(inner, d.router, d.tell) }()
	d.unwatch = func() error {
		cancel()
		wait()
		return <-followed
	}
	return nil
}
