// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/cloud-provider/api"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// rig is an engine over a cloud, with caches that tests fill by hand.
type rig struct {
	*Engine
	cloud    *cloud
	services cache.Indexer
	nodes    cache.Indexer
	client   *fake.Clientset
	recorder *record.FakeRecorder

	mu        sync.Mutex
	refreshed []plan.Key
	stop      context.CancelFunc
}

// start runs an engine until the test ends. It must be called in a bubble,
// which waits for every goroutine: what leaks fails the test.
func start(t *testing.T, c *cloud, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{
		cloud:    c,
		services: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		nodes:    cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		client:   fake.NewClientset(),
		recorder: record.NewFakeRecorder(10000),
	}
	o := Options{
		Provider: c,
		Registry: intent.Annotations(),
		Services: corelisters.NewServiceLister(r.services),
		Nodes:    corelisters.NewNodeLister(r.nodes),
		Client:   r.client,
		Recorder: r.recorder,
		Owns:     func(s *v1.Service) bool { return s.Spec.Type == v1.ServiceTypeLoadBalancer },
		Refresh: func(keys ...plan.Key) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refreshed = append(r.refreshed, keys...)
		},
		Clock: clock.RealClock{},
		Drift: cloudconfig.Drift{Mode: cloudconfig.DriftOff},
	}
	for _, f := range change {
		f(&o)
	}
	r.Engine = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go r.Run(ctx)
	t.Cleanup(func() {
		cancel()
		<-r.stopped
	})
	return r
}

func service(name string, port int32) *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name),
			Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"},
		},
		Spec: v1.ServiceSpec{
			Type:                  v1.ServiceTypeLoadBalancer,
			Ports:                 []v1.ServicePort{{Protocol: v1.ProtocolTCP, Port: port, NodePort: 30000}},
			ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies:            []v1.IPFamily{v1.IPv4Protocol},
			ClusterIP:             "10.0.0.1",
		},
	}
}

func keyOf(name string) plan.Key { return plan.Key{Namespace: "default", Name: name} }

// put stores a Service in the cache and in the API server.
func (r *rig) put(t *testing.T, svc *v1.Service) *v1.Service {
	t.Helper()
	if err := r.services.Add(svc); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Tracker().Add(svc); err != nil {
		if err := r.client.Tracker().Update(v1.SchemeGroupVersion.WithResource("services"), svc, svc.Namespace); err != nil {
			t.Fatal(err)
		}
	}
	return svc
}

func (r *rig) ensure(t *testing.T, svc *v1.Service) error {
	t.Helper()
	_, err := r.EnsureLoadBalancer(t.Context(), "kubernetes", svc, nil)
	return err
}

// ensureAll calls for many Services at once and returns their errors by name.
func (r *rig) ensureAll(t *testing.T, services []*v1.Service) map[string]error {
	t.Helper()
	var (
		mu   sync.Mutex
		errs = map[string]error{}
		wg   sync.WaitGroup
	)
	for _, svc := range services {
		wg.Go(func() {
			if err := r.ensure(t, svc); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[svc.Name] = err
			}
		})
	}
	wg.Wait()
	return errs
}

func (r *rig) putMany(t *testing.T, n int) []*v1.Service {
	t.Helper()
	var out []*v1.Service
	for i := range n {
		out = append(out, r.put(t, service(fmt.Sprintf("svc-%03d", i), int32(i+1))))
	}
	return out
}

func (r *rig) said() []string {
	var out []string
	for {
		select {
		case e := <-r.recorder.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func (r *rig) condition(t *testing.T, name string) *metav1.Condition {
	t.Helper()
	svc, err := r.client.CoreV1().Services("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.services.Update(svc); err != nil {
		t.Fatal(err)
	}
	return meta.FindStatusCondition(svc.Status.Conditions, ConditionProgrammed)
}

func TestCallsAtOnceShareFewPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.readTime, c.writeTime = 50*time.Millisecond, time.Second
		r := start(t, c)
		began := time.Now()
		if errs := r.ensureAll(t, r.putMany(t, 200)); len(errs) > 0 {
			t.Fatal(errs)
		}
		if n := c.count("observe"); n > 3 {
			t.Errorf("200 calls made %d passes, want at most 3", n)
		}
		if n := c.count("update balancer"); n > 3 {
			t.Errorf("200 calls made %d writes of the balancer, want at most 3", n)
		}
		if n := c.count("create address"); n != 200 {
			t.Errorf("%d addresses created, want 200", n)
		}
		if len(c.parts) != 200 {
			t.Errorf("%d Services are served, want 200", len(c.parts))
		}
		// Each pass creates its addresses, maxParallel at once, then writes once.
		if took, most := time.Since(began), 10*time.Second; took > most {
			t.Errorf("took %s, want at most %s", took, most)
		}
	})
}

// The first call comes alone and is observed for at once. Those that come
// meanwhile go with it, since nothing is written yet.
func TestFirstOfABurstTakesTheOthersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.readTime, c.writeTime = 50*time.Millisecond, time.Second
		r := start(t, c)
		services := r.putMany(t, 50)
		var wg sync.WaitGroup
		began := time.Now()
		for i, svc := range services {
			wg.Go(func() {
				if i > 0 {
					if err := wait(t.Context(), 10*time.Millisecond); err != nil {
						t.Error(err)
					}
				}
				if err := r.ensure(t, svc); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := c.count("update balancer"); n != 1 {
			t.Errorf("%d writes of the balancer, want 1", n)
		}
		c.mu.Lock()
		n := c.again
		c.mu.Unlock()
		if n != 1 {
			t.Errorf("%d observations know of the one before, want 1", n)
		}
		// Two observations, the addresses, the balancer.
		if took, want := time.Since(began), 2100*time.Millisecond; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}

func TestAFewThatComeWhileManyAreObservedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.readTime, c.writeTime = 50*time.Millisecond, time.Second
		r := start(t, c)
		services := r.putMany(t, 10)
		late := r.put(t, service("late", 80))
		var wg sync.WaitGroup
		wg.Go(func() {
			if errs := r.ensureAll(t, services); len(errs) > 0 {
				t.Error(errs)
			}
		})
		wg.Go(func() {
			if err := wait(t.Context(), 75*time.Millisecond); err != nil {
				t.Error(err)
			}
			if err := r.ensure(t, late); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if n := len(c.passes[len(c.passes)-1].Items); n != 1 {
			t.Errorf("the last pass is of %d Services, want the late one alone", n)
		}
	})
}

func TestIdleEngineAddsNoLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		began := time.Now()
		if err := r.ensure(t, r.put(t, service("web", 80))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s beside the cloud's own time", took)
		}
	})
}

func TestResyncWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		services := r.putMany(t, 20)
		r.ensureAll(t, services)
		before := maps.Clone(c.calls)
		if errs := r.ensureAll(t, services); len(errs) > 0 {
			t.Fatal(errs)
		}
		delete(before, "observe")
		after := maps.Clone(c.calls)
		delete(after, "observe")
		if !maps.Equal(before, after) {
			t.Errorf("writes grew from %v to %v", before, after)
		}
	})
}

func invalid(text string) error {
	return &plan.Error{Kind: plan.Invalid, Reason: "Rejected", Err: errors.New(text)}
}

func TestBadAnnotationFailsItsServiceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		services := r.putMany(t, 200)
		services[7].Annotations = map[string]string{"metallb.io/loadBalancerIPs": "not-an-address"}
		errs := r.ensureAll(t, services)
		if len(errs) != 1 || errs["svc-007"] == nil {
			t.Fatalf("failed: %v, want svc-007 alone", errs)
		}
		if !strings.Contains(errs["svc-007"].Error(), "not-an-address") {
			t.Errorf("the error does not name the value: %v", errs["svc-007"])
		}
	})
}

func TestRefusedFormKeepsWhatIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		if err := r.ensure(t, svc); err != nil {
			t.Fatal(err)
		}
		bad := svc.DeepCopy()
		bad.Annotations = map[string]string{"metallb.io/loadBalancerIPs": "not-an-address"}
		bad.Spec.Ports[0].Port = 81
		if err := r.ensure(t, r.put(t, bad)); err == nil {
			t.Fatal("a bad annotation was taken")
		}
		if got := c.parts[keyOf("web")]; got != "port 80 to 0 nodes" {
			t.Errorf("served as %q, want the form before", got)
		}
	})
}

func TestFailedPrivateStepIsLeftOutOfTheSharedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = time.Second
		c.fault = func(st plan.Step, _ map[plan.Key]bool) error {
			if st.Target.Name == "default/svc-003" {
				return &plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("no right to write addresses; grant it")}
			}
			return nil
		}
		r := start(t, c)
		errs := r.ensureAll(t, r.putMany(t, 10))
		if len(errs) != 1 || errs["svc-003"] == nil {
			t.Fatalf("failed: %v, want svc-003 alone", errs)
		}
		if _, served := c.parts[keyOf("svc-003")]; served || len(c.parts) != 9 {
			t.Errorf("served: %v, want all but svc-003", slices.Collect(maps.Keys(c.parts)))
		}
	})
}

func TestCancelledCallerLeavesAndTheOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 10 * time.Second
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.EnsureLoadBalancer(ctx, "kubernetes", svc, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the caller's own deadline", err)
		}
		if err := r.ensure(t, svc); err != nil {
			t.Fatal(err)
		}
		if n := c.count("create address"); n != 1 {
			t.Errorf("%d addresses created, want 1", n)
		}
	})
}

func TestBlockedGroupDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.groupOf = func(s *v1.Service) provider.Group { return provider.Group(s.Labels["group"]) }
		release := make(chan struct{})
		slow := service("slow", 80)
		slow.Labels = map[string]string{"group": "blocked"}
		fast := service("fast", 80)
		fast.Labels = map[string]string{"group": "free"}
		r := start(t, c)
		if err := r.ensure(t, r.put(t, fast)); err != nil {
			t.Fatal(err)
		}
		c.groupOf = nil
		blocked := &blockingCloud{cloud: c, release: release}
		r2 := start(t, c, func(o *Options) { o.Provider = blocked })
		done := make(chan error, 1)
		go func() { done <- r2.ensure(t, r2.put(t, slow)) }()
		synctest.Wait()
		gone := fast.DeepCopy()
		now := metav1.Now()
		gone.DeletionTimestamp = &now
		if err := r2.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", r2.put(t, gone)); err != nil {
			t.Fatal(err)
		}
		if len(c.addresses) != 0 {
			t.Errorf("addresses left: %v", c.addresses)
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// blockingCloud holds up the observation of one group.
type blockingCloud struct {
	*cloud
	release chan struct{}
}

func (b *blockingCloud) Group(s *v1.Service) provider.Group {
	return provider.Group(s.Labels["group"])
}

func (b *blockingCloud) Observe(ctx context.Context, batch provider.Batch) (provider.Pass, error) {
	if batch.Group == "blocked" {
		<-b.release
	}
	return b.cloud.Observe(ctx, batch)
}

func TestPrivateTailRunsBesideTheNextPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		old := r.put(t, service("old", 80))
		if err := r.ensure(t, old); err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		tail := &slowTail{cloud: c, hold: hold}
		r2 := start(t, c, func(o *Options) { o.Provider = tail })
		gone := old.DeepCopy()
		now := metav1.Now()
		gone.DeletionTimestamp = &now
		deleted := make(chan error, 1)
		go func() { deleted <- r2.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", r2.put(t, gone)) }()
		synctest.Wait()
		if err := r2.ensure(t, r2.put(t, service("new", 81))); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-deleted:
			t.Fatalf("the deletion ended before its last step: %v", err)
		default:
		}
		close(hold)
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
	})
}

// slowTail holds up the deletion of addresses.
type slowTail struct {
	*cloud
	hold chan struct{}
}

func (s *slowTail) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	p, err := s.cloud.Observe(ctx, b)
	return &slowTailPass{Pass: p, hold: s.hold}, err
}

type slowTailPass struct {
	provider.Pass
	hold chan struct{}
}

func (s *slowTailPass) Execute(ctx context.Context, st plan.Step, without map[plan.Key]bool) error {
	if st.Target.Kind == "address" && st.Action == plan.Delete {
		<-s.hold
	}
	return s.Pass.Execute(ctx, st, without)
}

func TestStopLetsStepsInFlightEndAndStartsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 5 * time.Second
		r := start(t, c)
		done := make(chan error, 1)
		go func() { done <- r.ensure(t, r.put(t, service("web", 80))) }()
		synctest.Wait()
		r.stop()
		if err := <-done; !errors.Is(err, errStopping) {
			t.Errorf("the caller got %v, want %v", err, errStopping)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.addresses) != 1 || len(c.parts) != 0 {
			t.Errorf("addresses %v, parts %v: want the step in flight done and the next not begun", c.addresses, c.parts)
		}
		if err := r.ensure(t, service("late", 80)); !errors.Is(err, errStopping) {
			t.Errorf("a late caller got %v, want %v", err, errStopping)
		}
	})
}

func TestNodeChangesAreOnePassAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		r := start(t, c)
		r.ensureAll(t, r.putMany(t, 100))
		passes := c.count("observe")
		h := r.NodeHandler()
		for i := range 500 {
			n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}, Spec: v1.NodeSpec{ProviderID: fmt.Sprintf("metal://node-%d", i)}}
			if err := r.nodes.Add(n); err != nil {
				t.Fatal(err)
			}
			h.OnAdd(n, false)
			h.OnUpdate(n, n)
		}
		time.Sleep(nodeWindow + time.Millisecond) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if n := c.count("observe") - passes; n != 1 {
			t.Errorf("500 new nodes made %d passes, want 1", n)
		}
		if got := c.parts[keyOf("svc-042")]; got != "port 43 to 500 nodes" {
			t.Errorf("served as %q, want the new nodes", got)
		}
	})
}

func TestServiceThatWaitsGetsWhatIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.most = 1
		r := start(t, c)
		first := r.put(t, service("first", 80))
		if err := r.ensure(t, first); err != nil {
			t.Fatal(err)
		}
		second := r.put(t, service("second", 81))
		if err := r.ensure(t, second); plan.KindOf(err) != plan.Exhausted {
			t.Fatalf("got %v, want that the pool is exhausted", err)
		}
		synctest.Wait()
		if cond := r.condition(t, "second"); cond == nil || cond.Reason != "Full" || cond.Status != metav1.ConditionFalse {
			t.Errorf("condition %v, want what is waited for", cond)
		}
		if said := r.said(); !slices.Contains(said, "Warning Full no address is free; free one") {
			t.Errorf("events %q, want one that names the cause", said)
		}
		gone := first.DeepCopy()
		now := metav1.Now()
		gone.DeletionTimestamp = &now
		if err := r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", r.put(t, gone)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !slices.Equal(r.refreshed, []plan.Key{keyOf("second")}) {
			t.Errorf("refreshed %v, want the Service that waited", r.refreshed)
		}
		if cond := r.condition(t, "second"); cond == nil || cond.Status != metav1.ConditionTrue {
			t.Errorf("condition %v, want that the wait has ended", cond)
		}
	})
}

func TestSuccessFromTheStartWritesNoCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		if err := r.ensure(t, r.put(t, service("web", 80))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(r.client.Actions()); n != 0 {
			t.Errorf("%d calls to the API server, want none: %v", n, r.client.Actions())
		}
	})
}

func TestEventsAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.fault = func(plan.Step, map[plan.Key]bool) error { return invalid("never") }
		r := start(t, c)
		svc := r.put(t, service("web", 80))
		for range 3 {
			if err := r.ensure(t, svc); err == nil {
				t.Fatal("no error")
			}
			synctest.Wait()
		}
		if said := r.said(); len(said) != 1 {
			t.Errorf("events %q, want one", said)
		}
	})
}

func TestNoticesOfQuickPassesAreAllTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCloud())
		tell := newTeller(r.Options)
		svc := r.put(t, service("web", 80))
		item := provider.Item{Key: keyOf("web"), Service: svc}
		for _, text := range []string{"first", "second", "second"} {
			tell.tell(identOf(svc), item, outcome{notices: []provider.Notice{{Reason: "Told", Message: text}}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			tell.run(ctx)
			close(done)
		}()
		synctest.Wait()
		cancel()
		<-done
		if said := r.said(); !slices.Equal(said, []string{"Normal Told first", "Normal Told second"}) {
			t.Errorf("events %q, want each notice once", said)
		}
	})
}

func TestReportIsAboutOurServicesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := func(s *v1.Service) bool { return s.Name == "foreign" }
		r := start(t, newCloud(), func(o *Options) {
			o.Owns = func(s *v1.Service) bool { return s.Spec.Type == v1.ServiceTypeLoadBalancer && !foreign(s) }
		})
		r.put(t, service("wanted", 80))
		left := service("left", 80)
		left.Spec.Type = v1.ServiceTypeClusterIP
		left.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
		r.put(t, left)
		other := left.DeepCopy()
		other.Name, other.UID = "foreign", "uid-foreign"
		r.put(t, other)
		r.put(t, &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "plain"}})
		r.stop()
		<-r.stopped
		groups, err := r.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(groups) != 1 || groups[0].Services != 2 {
			t.Errorf("%d groups, %v: want one with the Service that wants and the one to be cleaned up", len(groups), groups)
		}
		if writes := r.cloud.count("create address"); writes != 0 {
			t.Errorf("a report made %d writes", writes)
		}
	})
}

func TestRefusedServiceIsTriedAgainWhenOthersChange(t *testing.T) {
	labelled := func(svc *v1.Service) { svc.Labels = map[string]string{"tier": "gold"} }
	preferring := func(svc *v1.Service) { svc.Spec.IPFamilyPolicy = new(v1.IPFamilyPolicyPreferDualStack) }
	shows := func(svc *v1.Service) { svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: "192.0.2.1"}} }
	tests := map[string]struct {
		before, after func(*v1.Service)
		deleted       bool
		passes        int
	}{
		"labels":                                 {after: labelled, passes: 1},
		"what upstream does not see":             {after: preferring, passes: 1},
		"an address that a status shows no more": {before: shows, passes: 1},
		"an address that a status shows now":     {after: shows},
		"a Service with an address is deleted":   {before: shows, deleted: true, passes: 1},
		"a Service without one is deleted":       {deleted: true},
		"nothing":                                {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.most = 1
				r := start(t, c)
				r.ensureAll(t, r.putMany(t, 1))
				if err := r.ensure(t, r.put(t, service("second", 81))); plan.KindOf(err) != plan.Exhausted {
					t.Fatalf("got %v, want that the pool is exhausted", err)
				}
				was, is := service("third", 82), service("third", 82)
				for svc, change := range map[*v1.Service]func(*v1.Service){was: tt.before, is: tt.after} {
					if change != nil {
						change(svc)
					}
				}
				synctest.Wait()
				passes := c.count("observe")
				if tt.deleted {
					r.ServiceHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: was})
				} else {
					r.ServiceHandler().OnUpdate(was, is)
				}
				synctest.Wait()
				if n := c.count("observe") - passes; n != tt.passes {
					t.Errorf("%d passes, want %d", n, tt.passes)
				}
			})
		})
	}
}

func TestRefusedServiceIsLookedAtAgainByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.most = 1
		r := start(t, c)
		r.ensureAll(t, r.putMany(t, 1))
		err := r.ensure(t, r.put(t, service("second", 81)))
		if later, ok := errors.AsType[*api.RetryError](err); !ok || later.RetryAfter() < time.Hour || plan.KindOf(err) != plan.Exhausted {
			t.Fatalf("got %v, want a refusal that keeps the upstream controller from trying", err)
		}
		synctest.Wait()
		r.said()
		begin, passes := time.Now(), c.count("observe")
		time.Sleep(10 * time.Minute) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		// After 15, 45, 105, 225 and 465 s.
		if n := c.count("observe") - passes; n != 5 {
			t.Errorf("%d passes within %s, want 5", n, time.Since(begin))
		}
		if said := r.said(); len(said) > 0 {
			t.Errorf("told again: %q", said)
		}
		c.mu.Lock()
		c.most = 2
		c.mu.Unlock()
		time.Sleep(maxRetry) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if !slices.Equal(r.refreshed, []plan.Key{keyOf("second")}) {
			t.Errorf("refreshed %v, want the Service that waited", r.refreshed)
		}
	})
}
