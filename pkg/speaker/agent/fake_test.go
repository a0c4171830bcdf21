// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/speaker"
)

// fakeAPI is agent.API over client-go's fake clientset.
type fakeAPI struct{ *fake.Clientset }

func newFakeAPI(objs ...runtime.Object) fakeAPI { return fakeAPI{fake.NewClientset(objs...)} }

// listWatch makes a ListerWatcher of a typed client's methods.
func listWatch[L runtime.Object](
	c *fake.Clientset,
	list func(context.Context, metav1.ListOptions) (L, error),
	watching func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return list(ctx, o)
		},
		WatchFuncWithContext: watching,
	}, c)
}

func (f fakeAPI) Services() cache.ListerWatcher {
	c := f.CoreV1().Services("")
	return listWatch(f.Clientset, c.List, c.Watch)
}

func (f fakeAPI) EndpointSlices() cache.ListerWatcher {
	c := f.DiscoveryV1().EndpointSlices("")
	return listWatch(f.Clientset, c.List, c.Watch)
}

func (f fakeAPI) Node(string) cache.ListerWatcher {
	c := f.CoreV1().Nodes()
	return listWatch(f.Clientset, c.List, c.Watch)
}

func (f fakeAPI) ConfigMap(ctx context.Context, ns, name string) (*v1.ConfigMap, error) {
	return f.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
}

func (f fakeAPI) UpdateConfigMap(ctx context.Context, m *v1.ConfigMap) error {
	_, err := f.CoreV1().ConfigMaps(m.Namespace).Update(ctx, m, metav1.UpdateOptions{})
	return err
}

func (f fakeAPI) CreateConfigMap(ctx context.Context, m *v1.ConfigMap) error {
	_, err := f.CoreV1().ConfigMaps(m.Namespace).Create(ctx, m, metav1.CreateOptions{})
	return err
}

func (f fakeAPI) Secret(ctx context.Context, ns, name string) (*v1.Secret, error) {
	return f.CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
}

func (f fakeAPI) CreateEvent(ctx context.Context, e *v1.Event) error {
	_, err := f.CoreV1().Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{})
	return err
}

func (f fakeAPI) PatchEvent(ctx context.Context, ns, name string, patch []byte) error {
	_, err := f.CoreV1().Events(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// fakeRouters is the other end of all sessions: what each peer was told.
type fakeRouters struct {
	mu       sync.Mutex
	news     chan struct{}
	sessions map[string]*fakeSession // the newest of each peer
	opened   []string                // peers, in order
	closed   map[string]speaker.CloseMode
}

func newFakeRouters() *fakeRouters {
	return &fakeRouters{
		news: make(chan struct{}), sessions: map[string]*fakeSession{}, closed: map[string]speaker.CloseMode{},
	}
}

// fakeSession is one session, up from its start.
type fakeSession struct {
	routers *fakeRouters
	cfg     speaker.SessionConfig
	changed func()
	first   int // routes that it was opened with
	routes  map[netip.Prefix]speaker.Route
	status  speaker.SessionStatus
}

func (r *fakeRouters) open(_ context.Context, cfg speaker.SessionConfig, routes []speaker.Route, changed func()) (agentSession, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &fakeSession{
		routers: r, cfg: cfg, changed: changed, first: len(routes), routes: map[netip.Prefix]speaker.Route{},
		status: speaker.SessionStatus{Phase: speaker.SessionUp, Since: time.Now()},
	}
	for _, x := range routes {
		s.routes[x.Prefix] = x
	}
	r.sessions[cfg.Peer] = s
	r.opened = append(r.opened, cfg.Peer)
	r.tell()
	changed() // it came up
	return s, nil
}

// tell wakes who waits. It is called under the lock.
func (r *fakeRouters) tell() {
	close(r.news)
	r.news = make(chan struct{})
}

func (s *fakeSession) Update(d speaker.Delta) error {
	s.routers.mu.Lock()
	defer s.routers.mu.Unlock()
	for _, x := range d.Announce {
		s.routes[x.Prefix] = x
	}
	for _, p := range d.Withdraw {
		delete(s.routes, p)
	}
	s.status.Updates++
	s.routers.tell()
	return nil
}

func (s *fakeSession) Status() speaker.SessionStatus {
	s.routers.mu.Lock()
	defer s.routers.mu.Unlock()
	st := s.status
	st.Routes = len(s.routes)
	return st
}

func (s *fakeSession) Close(_ context.Context, mode speaker.CloseMode) error {
	s.routers.mu.Lock()
	defer s.routers.mu.Unlock()
	s.routers.closed[s.cfg.Peer] = mode
	s.routers.tell()
	return nil
}

// set changes the phase of a peer's session.
func (r *fakeRouters) set(peer string, p speaker.SessionPhase, why string) {
	r.mu.Lock()
	s := r.sessions[peer]
	s.status.Phase, s.status.LastError, s.status.Since = p, why, time.Now()
	r.mu.Unlock()
	s.changed()
}

// wait waits until a condition, asked under the lock, holds.
func (r *fakeRouters) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		r.mu.Lock()
		ok, news := cond(), r.news
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-limit:
			t.Fatalf("waited in vain until %s; opened %v, closed %v, sessions %v", what, r.opened, r.closed, r.sessions)
		}
	}
}

// waitRoutes waits until a peer has exactly these routes, as text.
func (r *fakeRouters) waitRoutes(t *testing.T, peer string, want ...string) {
	t.Helper()
	r.wait(t, peer+" has its routes", func() bool {
		s, ok := r.sessions[peer]
		if !ok {
			return false
		}
		var got []string
		for _, x := range s.routes {
			got = append(got, x.String())
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}
