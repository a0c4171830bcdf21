// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/controllers/service"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"

	"github.com/fairlead/fairlead/pkg/plan"
)

// countingBalancer counts calls by Service.
type countingBalancer struct {
	cloudprovider.LoadBalancer

	mu      sync.Mutex
	ensures map[string]int
	nodes   int // of the last Ensure
	updates int
}

func (b *countingBalancer) EnsureLoadBalancer(_ context.Context, _ string, svc *v1.Service, nodes []*v1.Node) (*v1.LoadBalancerStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ensures[svc.Name]++
	b.nodes = len(nodes)
	return &v1.LoadBalancerStatus{}, nil
}

func (b *countingBalancer) UpdateLoadBalancer(context.Context, string, *v1.Service, []*v1.Node) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.updates++
	return nil
}

func (b *countingBalancer) count() (services, ensures, updates int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.ensures {
		ensures += n
	}
	return len(b.ensures), ensures, b.updates
}

// strictServices and strictNodes end the test when upstream comes to use more
// of the informers than the views take care of.
type strictServices struct{ coreinformers.ServiceInformer }

func (s strictServices) Informer() cache.SharedIndexInformer {
	return strictInformer{inner: s.ServiceInformer.Informer()}
}

type strictNodes struct{ coreinformers.NodeInformer }

func (s strictNodes) Informer() cache.SharedIndexInformer {
	return strictInformer{inner: s.NodeInformer.Informer()}
}

type strictInformer struct {
	cache.SharedIndexInformer // nil: its methods panic

	inner cache.SharedIndexInformer
}

func (s strictInformer) HasSynced() bool { return s.inner.HasSynced() }

func (s strictInformer) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	return s.inner.AddEventHandler(h)
}

func (s strictInformer) AddEventHandlerWithResyncPeriod(h cache.ResourceEventHandler, d time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	return s.inner.AddEventHandlerWithResyncPeriod(h, d)
}

// serviceRig is upstream's service controller behind the views, over a fake
// API server.
type serviceRig struct {
	client   *fake.Clientset
	balancer *countingBalancer
	view     *ServiceView
}

func newServiceRig(t *testing.T, nodes, services int) *serviceRig {
	t.Helper()
	r := &serviceRig{client: fake.NewClientset(), balancer: &countingBalancer{ensures: map[string]int{}}}
	for i := range nodes {
		r.addNode(t, fmt.Sprintf("n%d", i))
	}
	for i := range services {
		r.addService(t, fmt.Sprintf("s%d", i))
	}
	factory := informers.NewSharedInformerFactory(r.client, 0)
	core := factory.Core().V1()
	r.view = NewServiceView(strictServices{core.Services()}, Classes{Provider: "metal", Unclassed: ServeUnclassed})
	sc, err := service.New(cloud{name: "metal", balancer: r.balancer}, shownClient{r.client},
		r.view, NodeView{strictNodes{core.Nodes()}}, "kubernetes", utilfeature.DefaultFeatureGate)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	factory.Start(ctx.Done())
	go func() {
		defer close(ended)
		sc.Run(ctx, 5, controllersmetrics.NewControllerManagerMetrics("test"))
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		factory.Shutdown()
	})
	r.until(t, services)
	return r
}

func (r *serviceRig) addNode(t *testing.T, name string) {
	t.Helper()
	if _, err := r.client.CoreV1().Nodes().Create(t.Context(), newNode(name, "metal://"+name), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (r *serviceRig) addService(t *testing.T, name string) {
	t.Helper()
	svc := actual{kind: lb}.service()
	svc.Name = name
	if _, err := r.client.CoreV1().Services("default").Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// until waits for so many Ensures in all.
func (r *serviceRig) until(t *testing.T, ensures int) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, n, _ := r.balancer.count()
		return n >= ensures, nil
	})
	if _, n, _ := r.balancer.count(); err != nil || n > ensures {
		t.Fatalf("%d Ensures, want %d", n, ensures)
	}
}

// Trap 2: upstream lists all nodes for every Service at every change of one.
func TestTrap02NodeChangesDoNotReachTheServiceController(t *testing.T) {
	const services = 20
	r := newServiceRig(t, 50, services)
	r.addNode(t, "late")
	if err := r.client.CoreV1().Nodes().Delete(t.Context(), "n1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// What would come of it comes before a Service that is created later.
	r.addService(t, "last")
	r.until(t, services+1)
	if n, _, updates := r.balancer.count(); n != services+1 || updates != 0 {
		t.Errorf("%d Services ensured and %d updates, want %d and none", n, updates, services+1)
	}
	if r.balancer.nodes != 1 {
		t.Errorf("%d nodes shown, want 1: none would be an event for each Service", r.balancer.nodes)
	}
}

func TestRefreshEnsuresAgain(t *testing.T) {
	r := newServiceRig(t, 1, 3)
	r.view.Refresh(plan.Key{Namespace: "default", Name: "s1"}, plan.Key{Namespace: "default", Name: "none"})
	r.until(t, 4)
	r.balancer.mu.Lock()
	defer r.balancer.mu.Unlock()
	if r.balancer.ensures["s1"] != 2 {
		t.Errorf("Ensures by Service: %v, want s1 twice", r.balancer.ensures)
	}
}

func TestUnchangedServicesAreNotEnsuredAgain(t *testing.T) {
	r := newServiceRig(t, 1, 3)
	svc, err := r.client.CoreV1().Services("default").Get(t.Context(), "s1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc.Labels = map[string]string{"a": "b"}
	if _, err := r.client.CoreV1().Services("default").Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.addService(t, "last")
	r.until(t, 4)
}
