// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
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
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
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

// exhausted is an engine over a pool of one address: the Service first has it,
// and second waits for it, refused by the error.
func exhausted(t *testing.T) (*rig, error) {
	t.Helper()
	c := newCloud()
	c.most = 1
	r := start(t, c)
	r.serve(t, service("first", 80))
	err := r.ensure(t, r.put(t, service("second", 81)))
	if plan.KindOf(err) != plan.Exhausted {
		t.Fatalf("got %v, want that the pool is exhausted", err)
	}
	return r, err
}

// after lets time pass in the bubble, and waits for what comes of it.
func after(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
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

// deleting is the Service when its deletion has begun.
func deleting(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	now := metav1.Now()
	svc.DeletionTimestamp = &now
	return svc
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

// serve puts a Service that gets what it wants.
func (r *rig) serve(t *testing.T, svc *v1.Service) *v1.Service {
	t.Helper()
	if err := r.ensure(t, r.put(t, svc)); err != nil {
		t.Fatal(err)
	}
	return svc
}

// remove deletes a Service, and waits until nothing is left of it.
func (r *rig) remove(t *testing.T, svc *v1.Service) {
	t.Helper()
	if err := r.EnsureLoadBalancerDeleted(t.Context(), "kubernetes", r.put(t, deleting(svc))); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) ensure(t *testing.T, svc *v1.Service) error {
	t.Helper()
	_, err := r.EnsureLoadBalancer(t.Context(), "kubernetes", svc, nil)
	return err
}

// ensureAll calls for many Services at once and returns their errors by name. The
// first is in a pass, or done, when the others come, so that the passes are the
// same at each run.
func (r *rig) ensureAll(t *testing.T, services []*v1.Service) map[string]error {
	t.Helper()
	var (
		mu   sync.Mutex
		errs = map[string]error{}
		wg   sync.WaitGroup
	)
	for i, svc := range services {
		wg.Go(func() {
			if err := r.ensure(t, svc); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[svc.Name] = err
			}
		})
		if i == 0 {
			synctest.Wait()
		}
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
