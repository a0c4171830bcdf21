// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// reportWindow is how long changes are gathered before the plan is made again.
const reportWindow = time.Second

// dryRun prints what would be done, and again whenever that changes, until ctx
// ends. No upstream controller runs.
func (m *manager) dryRun(ctx context.Context, out io.Writer) error {
	ctx, end := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer end()
	m.startInformers(ctx)
	if err := m.waitForCaches(ctx); err != nil {
		return err
	}
	prov, conf, err := m.makeProvider(ctx, ctx, &work)
	if err != nil {
		return err
	}
	core := m.SharedInformers.Core().V1()
	eng := engine.New(engine.Options{
		Provider: prov,
		Registry: intent.Annotations(),
		Services: core.Services().Lister(),
		Nodes:    core.Nodes().Lister(),
		Recorder: &record.FakeRecorder{},
		Owns:     m.classes().Owns,
		Left:     m.classes().Left,
		Refresh:  func(...plan.Key) {},
		Clock:    m.clock,
		Drift:    conf.Drift,
	})
	changed := make(chan struct{}, 1)
	for _, informer := range []cache.SharedIndexInformer{core.Services().Informer(), core.Nodes().Informer()} {
		if _, err := informer.AddEventHandler(signal(changed)); err != nil {
			return fmt.Errorf("watch for changes: %w", err)
		}
	}
	return m.report(ctx, eng, out, changed)
}

// report prints the plan when it differs from the last one. What cannot be
// planned now is tried again, but for a refusal of the first: it shows what is
// wrong with the setup.
func (m *manager) report(ctx context.Context, eng *engine.Engine, out io.Writer, changed <-chan struct{}) error {
	last, failed := "", 0
	for {
		groups, err := eng.Report(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err != nil {
			if last == "" && plan.KindOf(err).Refuses() {
				return fmt.Errorf("plan: %w", err)
			}
			wait := engine.RetryAfter(err, failed)
			failed++
			klog.FromContext(ctx).Error(err, "No plan could be made; trying again", "after", wait)
			if !m.pause(ctx, wait) {
				return nil
			}
			continue
		}
		failed = 0
		if text := planText(groups); text != last {
			if _, err := io.WriteString(out, text); err != nil {
				return fmt.Errorf("print the plan: %w", err)
			}
			last = text
		}
		select {
		case <-changed:
		case <-eng.Provider.Changed():
		case <-ctx.Done():
			return nil
		}
		if !m.pause(ctx, reportWindow) {
			return nil
		}
	}
}

// pause waits; it reports false when ctx ends before.
func (m *manager) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-m.clock.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// signal returns a handler that says that something changed. A resync changes
// nothing.
func signal(changed chan<- struct{}) cache.ResourceEventHandler {
	tell := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    tell,
		DeleteFunc: tell,
		UpdateFunc: func(old, cur any) {
			if old != cur {
				tell(cur)
			}
		},
	}
}

// planText is the plan of all groups for people.
func planText(groups []engine.GroupPlan) string {
	var b strings.Builder
	if len(groups) == 0 {
		b.WriteString("No Service is ours.\n")
	}
	for _, g := range groups {
		b.WriteString(g.String())
	}
	return b.String()
}
