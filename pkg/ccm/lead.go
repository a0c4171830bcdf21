// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
)

const (
	// drainTime bounds how long what is in flight may take at the end. Pods
	// have 30 s by default.
	drainTime = 10 * time.Second
	// quietTime is how long no write may have been in flight for the drain to be
	// over: an answer's status is written after it.
	quietTime = 150 * time.Millisecond
)

// leadership is what runs while we lead.
type leadership struct {
	*manager
	view   *ServiceView
	engine *engine.Engine
	cloud  cloud
	work   sync.WaitGroup // all that was started
}

// lead starts everything and runs it until ctx ends. Then it begins nothing
// new, lets what is in flight end, and returns when nothing is written any
// more.
func (m *manager) lead(ctx context.Context) error {
	services, endServices := context.WithCancel(context.WithoutCancel(ctx))
	defer endServices()
	passes, endPasses := context.WithCancel(services)
	defer endPasses()
	nodes, endNodes := context.WithCancel(services)
	defer endNodes()

	l := &leadership{manager: m}
	if err := l.start(ctx, services, passes, nodes); err != nil {
		endServices()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err = errors.Join(err, waitFor(drain, &l.work))
		if ctx.Err() != nil {
			return nil // told to stop before it began
		}
		return err
	}
	<-ctx.Done()

	log := klog.FromContext(ctx)
	log.Info("Stopping: finishing what is in flight")
	endNodes()
	l.view.Park()
	endPasses()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := l.engine.Drain(drain)
	err = errors.Join(err, m.writes.objects.quiet(drain, quietTime))
	m.lastWords(services)
	endServices()
	err = errors.Join(err, waitFor(drain, &l.work))
	if err != nil {
		log.Error(err, "Stopping with work in flight; the next leader does it again")
	}
	m.writes.shut()
	return nil
}

// start builds everything and lets it run, each part until its context ends.
func (l *leadership) start(ctx, services, passes, nodes context.Context) error {
	if err := l.build(ctx, services); err != nil {
		return err
	}
	l.work.Go(func() { l.engine.Run(passes) })
	l.work.Go(func() { l.watchDrift(services) })
	return l.startControllers(services, nodes)
}

// waitFor waits until the work has ended, or ctx has.
func waitFor(ctx context.Context, work *sync.WaitGroup) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("what the provider does still runs: %w", ctx.Err())
	}
}

// build makes the provider, the engine and the views. What it starts runs until
// services ends.
func (l *leadership) build(ctx, services context.Context) error {
	if err := l.waitForCaches(ctx); err != nil {
		return err
	}
	if err := catchUp(ctx, l.Client, l.SharedInformers.Core().V1().Services().Lister()); err != nil {
		return err
	}
	prov, conf, err := l.makeProvider(ctx, services, &l.work)
	if err != nil {
		return err
	}
	client, err := l.ClientBuilder.Client("service-controller")
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	core := l.SharedInformers.Core().V1()
	classes := l.classes()
	l.view = NewServiceView(core.Services(), classes)
	l.engine = engine.New(engine.Options{
		Provider: prov,
		Registry: intent.Annotations(),
		Services: core.Services().Lister(),
		Nodes:    core.Nodes().Lister(),
		Client:   client,
		Recorder: l.recorder,
		Owns:     classes.Owns,
		Left:     classes.Left,
		Refresh:  l.view.Refresh,
		Clock:    l.clock,
		Drift:    conf.Drift,
	})
	if _, err := core.Nodes().Informer().AddEventHandler(l.engine.NodeHandler()); err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	if _, err := core.Services().Informer().AddEventHandler(l.engine.ServiceHandler()); err != nil {
		return fmt.Errorf("watch Services: %w", err)
	}
	l.cloud = cloud{
		name:     prov.Name(),
		balancer: quietBalancer{LoadBalancer: l.engine, view: l.view},
		routes:   prov.Routes(),
	}
	if inner := prov.Instances(); inner != nil {
		l.cloud.instances = &guardedInstances{
			inner:  inner,
			scheme: l.manager.cloud.Scheme,
			brake:  newBrake(l.opts.MaxMissingNodesPercent, l.countNodes, l.clock),
			clock:  l.clock,
		}
	}
	return nil
}

func (m *manager) classes() Classes {
	return NewClasses(m.cloud.Name, m.opts.unclassed(), m.conf)
}

func (m *manager) countNodes() int {
	nodes, err := m.SharedInformers.Core().V1().Nodes().Lister().List(labels.Everything())
	if err != nil {
		return 0 // a lister over a cache has no errors
	}
	return len(nodes)
}
