// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// failingCloud cannot be observed as often as there are errors left.
type failingCloud struct {
	mu    sync.Mutex
	errs  []error
	looks int
}

func (*failingCloud) Name() string                         { return "metal" }
func (*failingCloud) Group(*v1.Service) provider.Group     { return "all" }
func (*failingCloud) NodeFingerprint(*v1.Node) string      { return "" }
func (*failingCloud) Changed() <-chan struct{}             { return nil }
func (*failingCloud) Instances() cloudprovider.InstancesV2 { return nil }
func (*failingCloud) Routes() cloudprovider.Routes         { return nil }
func (*failingCloud) Find(context.Context, *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	return nil, false, nil
}

func (c *failingCloud) Observe(context.Context, provider.Batch) (provider.Pass, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	if len(c.errs) == 0 {
		return emptyPass{}, nil
	}
	err := c.errs[0]
	c.errs = c.errs[1:]
	return emptyPass{}, err
}

type emptyPass struct{ provider.Pass }

func (emptyPass) Decide() provider.Decision { return provider.Decision{} }

func TestDryRunGoesOnAfterAnError(t *testing.T) {
	throttled := &plan.Error{Kind: plan.Throttled, Reason: "Throttled", RetryAfter: time.Minute, Err: errors.New("too many requests")}
	denied := &plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("no right to read; grant it")}
	for name, tt := range map[string]struct {
		first, later []error // of the first plan, and of the one after a change
		ends         string  // the error that ends it
	}{
		"throttled":                 {first: []error{throttled}},
		"lost answers":              {first: []error{errors.New("503"), errors.New("503")}},
		"denied at the first look":  {first: []error{denied}, ends: "no right to read"},
		"denied later":              {later: []error{denied, denied}},
		"throttled, and then again": {first: []error{throttled}, later: []error{throttled}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &failingCloud{errs: tt.first}
				services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
				put := func(name string) {
					if err := services.Add(&v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}); err != nil {
						t.Error(err)
					}
				}
				put("web")
				eng := engine.New(engine.Options{
					Provider: c, Registry: intent.Annotations(), Services: corelisters.NewServiceLister(services),
					Nodes:    corelisters.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})),
					Recorder: &record.FakeRecorder{}, Owns: func(*v1.Service) bool { return true }, Clock: clock.RealClock{},
				})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				changed, ended := make(chan struct{}, 1), make(chan error, 1)
				var out strings.Builder
				m := &manager{clock: clock.RealClock{}}
				go func() { ended <- m.report(ctx, eng, &out, changed) }()
				settle := func() {
					t.Helper()
					time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock
					synctest.Wait()
				}
				settle()
				if tt.ends != "" {
					if err := <-ended; err == nil || !strings.Contains(err.Error(), tt.ends) {
						t.Errorf("ended with %v, want %q", err, tt.ends)
					}
					return
				}
				c.mu.Lock()
				c.errs = tt.later
				c.mu.Unlock()
				put("more")
				changed <- struct{}{}
				settle()
				for _, want := range []string{"Group all, Services: 1\n", "Group all, Services: 2\n"} {
					if strings.Count(out.String(), want) != 1 {
						t.Errorf("printed %q, want %q once", out.String(), want)
					}
				}
				if want := 2 + len(tt.first) + len(tt.later); c.looks != want {
					t.Errorf("%d looks, want %d", c.looks, want)
				}
				stop()
				if err := <-ended; err != nil {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

func TestWhatWasStartedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var work sync.WaitGroup
		release := make(chan struct{})
		work.Go(func() { <-release })
		ctx, cancel := context.WithTimeout(t.Context(), drainTime)
		defer cancel()
		began := time.Now()
		if err := waitFor(ctx, &work); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != drainTime {
			t.Errorf("got %v after %s, want the end of the wait after %s", err, time.Since(began), drainTime)
		}
		close(release)
		if err := waitFor(t.Context(), &work); err != nil {
			t.Error(err)
		}
	})
}
