// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

const (
	// terminating is how long a Pod goes on to serve after its deletion, as one
	// with a preStop hook does.
	terminating = 2 * time.Second
	// retryAfter is when the kubelet tries again what failed.
	retryAfter = 200 * time.Millisecond
)

// kubelet stands for the kubelets of all nodes and for the scheduler: it binds
// Pods to nodes, runs a server for each in the node's namespace, and tells the
// cluster how they are. One goroutine owns its maps.
type kubelet struct {
	rack    *Rack
	pods    cache.SharedIndexInformer
	factory informers.SharedInformerFactory
	wake    chan string   // keys of Pods to look at
	calls   chan func()   // what others want done by the owner
	quit    chan struct{} // closed to end
	done    sync.WaitGroup

	servers map[string]*server // by key
	hosts   map[string]byte    // last bytes given, by node
}

// server is a Pod that runs.
type server struct {
	uid     string
	node    string
	program *Program
	ips     []netip.Addr
	ends    time.Time // when it stops serving; zero while it is to stay
}

// startKubelet watches Pods until close.
func startKubelet(ctx context.Context, r *Rack) (*kubelet, error) {
	k := &kubelet{
		rack: r, factory: informers.NewSharedInformerFactory(r.Kube, 0),
		wake: make(chan string, 1024), calls: make(chan func()), quit: make(chan struct{}),
		servers: map[string]*server{}, hosts: map[string]byte{},
	}
	k.pods = k.factory.Core().V1().Pods().Informer()
	touch := func(obj any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
			k.look(key)
		}
	}
	_, err := k.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: touch, UpdateFunc: func(_, obj any) { touch(obj) }, DeleteFunc: touch,
	})
	if err != nil {
		return nil, err
	}
	k.factory.Start(k.quit)
	k.done.Go(k.run)
	if !cache.WaitForCacheSync(ctx.Done(), k.pods.HasSynced) {
		return k, context.Cause(ctx)
	}
	return k, nil
}

// look asks for a look at a Pod.
func (k *kubelet) look(key string) {
	select {
	case k.wake <- key:
	case <-k.quit:
	}
}

// lookLater asks for it after a while.
func (k *kubelet) lookLater(key string, after time.Duration) {
	time.AfterFunc(after, func() { k.look(key) })
}

// run looks at Pods until close.
func (k *kubelet) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-k.quit:
			return
		case f := <-k.calls:
			f()
		case key := <-k.wake:
			if err := k.sync(ctx, key); err != nil {
				k.lookLater(key, retryAfter)
			}
		}
	}
}

// call lets the owner of the maps run f, and waits for it.
func (k *kubelet) call(f func()) {
	done := make(chan struct{})
	select {
	case k.calls <- func() { defer close(done); f() }:
		<-done
	case <-k.quit:
	}
}

// close ends all servers.
func (k *kubelet) close() error {
	close(k.quit)
	k.done.Wait()
	k.factory.Shutdown()
	var errs []error
	for _, s := range k.servers {
		errs = append(errs, s.program.Kill())
	}
	return errors.Join(errs...)
}

// forget kills the servers of a node that lost its power.
func (k *kubelet) forget(node string) {
	k.call(func() {
		for key, s := range k.servers {
			if s.node == node {
				_ = s.program.Kill() // it is going anyway
				delete(k.servers, key)
			}
		}
	})
}

// resume runs the servers of a node again, with other addresses.
func (k *kubelet) resume(ctx context.Context, node string) error {
	for _, obj := range k.pods.GetStore().List() {
		pod, ok := obj.(*v1.Pod)
		if !ok || pod.Spec.NodeName != node || !ours(pod) {
			continue
		}
		k.look(pod.Namespace + "/" + pod.Name)
		running := func(context.Context) error {
			var s *server
			k.call(func() { s = k.servers[pod.Namespace+"/"+pod.Name] })
			if s == nil {
				return fmt.Errorf("the Pod %s does not run again", pod.Name)
			}
			return nil
		}
		if err := poll(ctx, running); err != nil {
			return err
		}
	}
	return nil
}

// ours tells whether a Pod is one that the kubelet runs: the rack itself runs
// the programs that the Pods of system namespaces stand for.
func ours(pod *v1.Pod) bool {
	return pod.Namespace != systemNamespace && pod.Namespace != metav1.NamespaceSystem
}

// sync makes one Pod what its object says.
func (k *kubelet) sync(ctx context.Context, key string) error {
	obj, exists, err := k.pods.GetStore().GetByKey(key)
	if err != nil {
		return err
	}
	s := k.servers[key]
	pod, ok := obj.(*v1.Pod)
	if !exists || !ok || (s != nil && s.uid != string(pod.UID)) {
		if s == nil {
			return nil
		}
		delete(k.servers, key)
		return s.program.Stop()
	}
	switch {
	case !ours(pod):
		return nil
	case pod.DeletionTimestamp != nil:
		return k.terminate(ctx, key, pod, s)
	case pod.Spec.NodeName == "":
		return k.schedule(ctx, pod)
	case s == nil:
		return k.serve(ctx, key, pod)
	default:
		return k.tell(ctx, pod, s)
	}
}

// schedule binds a Pod to the node with the fewest of its kind that takes any.
func (k *kubelet) schedule(ctx context.Context, pod *v1.Pod) error {
	count := map[string]int{}
	for _, obj := range k.pods.GetStore().List() {
		if p, ok := obj.(*v1.Pod); ok && p.DeletionTimestamp == nil && maps.Equal(p.Labels, pod.Labels) {
			count[p.Spec.NodeName]++
		}
	}
	nodes, err := k.rack.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	best := ""
	for i := range nodes.Items {
		n := &nodes.Items[i]
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t v1.Taint) bool { return t.Effect != v1.TaintEffectPreferNoSchedule })
		if n.Spec.Unschedulable || tainted || !k.powered(n.Name) {
			continue
		}
		if best == "" || count[n.Name] < count[best] {
			best = n.Name
		}
	}
	if best == "" {
		return errors.New("no node takes Pods")
	}
	err = k.rack.Kube.CoreV1().Pods(pod.Namespace).Bind(ctx, &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		Target:     v1.ObjectReference{Kind: "Node", Name: best},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// The next Pod must see this one in the cache.
	return poll(ctx, func(context.Context) error {
		obj, ok, err := k.pods.GetStore().GetByKey(pod.Namespace + "/" + pod.Name)
		if p, is := obj.(*v1.Pod); err == nil && ok && is && p.Spec.NodeName == "" {
			return errors.New("the binding has not come back yet")
		}
		return err
	})
}

func (k *kubelet) powered(node string) bool {
	n := k.node(node)
	return n != nil && n.powered()
}

func (k *kubelet) node(name string) *Node {
	for _, n := range k.rack.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// serve starts a server for a Pod and waits until it listens.
func (k *kubelet) serve(ctx context.Context, key string, pod *v1.Pod) error {
	node := k.node(pod.Spec.NodeName)
	if node == nil || !node.powered() {
		return nil
	}
	k.hosts[node.Name]++
	host := k.hosts[node.Name]
	order := serveOrder{Pod: pod.Name}
	s := &server{uid: string(pod.UID), node: node.Name, ips: []netip.Addr{nth(node.place.pods, host), nth(node.place.pods6, host)}}
	for _, addr := range s.ips {
		for _, c := range pod.Spec.Containers {
			for _, p := range c.Ports {
				order.Listen = append(order.Listen, netip.AddrPortFrom(addr, uint16(p.ContainerPort)))
			}
		}
	}
	in, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cmd, err := helperCommand("pod-"+pod.Name, node.place.ns, helpServe, k.rack.opts.LogDir)
	if err != nil {
		return err
	}
	ready := &firstWrite{done: make(chan struct{})}
	cmd.input, cmd.output = bytes.NewReader(in), ready
	if s.program, err = cmd.start(); err != nil {
		return err
	}
	select {
	case <-ready.done:
	case <-s.program.done:
		return fmt.Errorf("the Pod %s ended: %s", pod.Name, s.program.tail())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.program.Kill())
	}
	k.servers[key] = s
	return k.tell(ctx, pod, s)
}

// tell writes a Pod's status when it is not what it should be.
func (k *kubelet) tell(ctx context.Context, pod *v1.Pod, s *server) error {
	if pod.Status.Phase == v1.PodRunning && len(pod.Status.PodIPs) > 0 && pod.Status.PodIP == s.ips[0].String() {
		return nil
	}
	pod = pod.DeepCopy()
	now := metav1.Now()
	pod.Status = v1.PodStatus{
		Phase: v1.PodRunning, PodIP: s.ips[0].String(), StartTime: &now,
		Conditions: []v1.PodCondition{
			{Type: v1.PodScheduled, Status: v1.ConditionTrue},
			{Type: v1.ContainersReady, Status: v1.ConditionTrue},
			{Type: v1.PodReady, Status: v1.ConditionTrue, LastTransitionTime: now},
		},
	}
	for _, addr := range s.ips {
		pod.Status.PodIPs = append(pod.Status.PodIPs, v1.PodIP{IP: addr.String()})
	}
	_, err := k.rack.Kube.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// terminate lets a deleted Pod serve for a while, stops its server in good
// order, and then lets the object go.
func (k *kubelet) terminate(ctx context.Context, key string, pod *v1.Pod, s *server) error {
	node := k.node(pod.Spec.NodeName)
	if node != nil && !node.powered() {
		return nil // nobody is there to confirm
	}
	if s != nil {
		if s.ends.IsZero() {
			s.ends = time.Now().Add(terminating)
		}
		if left := time.Until(s.ends); left > 0 {
			k.lookLater(key, left)
			return nil
		}
		if err := s.program.Stop(); err != nil {
			return err
		}
		delete(k.servers, key)
	}
	err := k.rack.Kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// nth is an address of a prefix by its last byte.
func nth(p netip.Prefix, host byte) netip.Addr {
	raw := p.Addr().AsSlice()
	raw[len(raw)-1] = host
	addr, _ := netip.AddrFromSlice(raw)
	return addr
}

// firstWrite closes done when something is written.
type firstWrite struct {
	once sync.Once
	done chan struct{}
}

// Write takes note and drops what is written.
func (f *firstWrite) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.done) })
	return len(p), nil
}
