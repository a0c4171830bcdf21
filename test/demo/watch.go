// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// watcher follows the cluster, notes everything on the board and tells of it.
type watcher struct {
	board   *board
	tell    *teller
	kubelet *kubelet
	factory informers.SharedInformerFactory
	last    map[string]string // what was told last of a Service
}

func newWatcher(client kubernetes.Interface, b *board, t *teller) *watcher {
	return &watcher{
		board: b, tell: t, kubelet: newKubelet(client, t), last: map[string]string{},
		factory: informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(metav1.NamespaceDefault)),
	}
}

// start begins to watch. The watches end with ctx; wait returns when they have.
func (w *watcher) start(ctx context.Context) (wait func(), err error) {
	core := w.factory.Core().V1()
	err = errors.Join(
		handle(core.Services().Informer(), w.service, w.serviceGone),
		handle(core.Pods().Informer(), w.pod, w.podGone),
		handle(core.Nodes().Informer(), w.node, func(*v1.Node) {}),
		handle(core.Events().Informer(), w.event, func(*v1.Event) {}),
	)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.kubelet.run(ctx, core.Pods().Lister().Pods(metav1.NamespaceDefault))
	}()
	w.factory.Start(ctx.Done())
	for kind, synced := range w.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watch %s: %w", kind, ctx.Err())
		}
	}
	return func() { w.factory.Shutdown(); <-done }, nil
}

// handle calls seen for what is new or changed, and gone for what was deleted.
func handle[T any](informer cache.SharedIndexInformer, seen, gone func(T)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if o, ok := obj.(T); ok {
				seen(o)
			}
		},
		UpdateFunc: func(_, obj any) {
			if o, ok := obj.(T); ok {
				seen(o)
			}
		},
		DeleteFunc: func(obj any) {
			if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = d.Obj
			}
			if o, ok := obj.(T); ok {
				gone(o)
			}
		},
	})
	return err
}

func (w *watcher) service(svc *v1.Service) {
	if svc.Spec.Type != v1.ServiceTypeLoadBalancer {
		return
	}
	if line := serviceLine(svc); w.last[svc.Name] != line {
		w.last[svc.Name] = line
		w.tell.line(kindSvc, "%s", line)
	}
	w.board.change(func() { w.board.services[svc.Name] = svc })
}

func (w *watcher) serviceGone(svc *v1.Service) {
	if svc.Spec.Type == v1.ServiceTypeLoadBalancer {
		delete(w.last, svc.Name)
		w.tell.line(kindSvc, "%-16s is gone", svc.Name)
	}
	w.board.change(func() { delete(w.board.services, svc.Name) })
}

func (w *watcher) pod(pod *v1.Pod) {
	w.kubelet.look(pod.Name)
	was := w.board.pods[pod.Name]
	if runs(pod) && (was == nil || !runs(was)) {
		w.tell.line(kindPod, "%s is ready on %s", pod.Name, pod.Spec.NodeName)
	}
	w.board.change(func() { w.board.pods[pod.Name] = pod })
}

func (w *watcher) podGone(pod *v1.Pod) {
	w.tell.line(kindPod, "%s on %s is gone", pod.Name, pod.Spec.NodeName)
	w.board.change(func() { delete(w.board.pods, pod.Name) })
}

func (w *watcher) node(node *v1.Node) {
	was := w.board.nodes[node.Name]
	if node.Spec.ProviderID != "" && (was == nil || was.Spec.ProviderID == "") {
		w.tell.line(kindNode, "%s is initialized: %s", node.Name, shortID(node.Spec.ProviderID))
	}
	w.board.change(func() { w.board.nodes[node.Name] = node })
}

// shortID is a provider id without what is long and the same for all nodes.
func shortID(id string) string {
	scheme, rest, _ := strings.Cut(id, "://")
	if _, name, long := strings.Cut(rest, "/providers/"); long {
		rest = "…/" + name
	}
	return scheme + "://" + rest
}

// event tells of an event by us about a Service. What events say about nodes,
// the lines about nodes and sessions say too.
func (w *watcher) event(e *v1.Event) {
	if e.InvolvedObject.Kind != "Service" {
		return
	}
	w.tell.line(kindEvent, "%-16s %s: %s", e.InvolvedObject.Name, e.Reason, e.Message)
	w.board.change(func() { w.board.events[e.InvolvedObject.Name+" "+e.Reason] = true })
}

// serviceColumns are those of `kubectl get svc`, without the age.
const serviceColumns = "%-16s %-13s %-14s %-14s %s"

func serviceHeader() string {
	return fmt.Sprintf(serviceColumns, "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)")
}

// serviceLine is a line of `kubectl get svc`.
func serviceLine(svc *v1.Service) string {
	ports := make([]string, 0, len(svc.Spec.Ports))
	for _, p := range svc.Spec.Ports {
		ports = append(ports, fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol))
	}
	external := "<pending>"
	if a := addresses(svc); len(a) > 0 {
		external = strings.Join(a, ",")
	}
	return fmt.Sprintf(serviceColumns, svc.Name, svc.Spec.Type, svc.Spec.ClusterIP, external, strings.Join(ports, ","))
}

// addresses are the load-balancer addresses of a Service.
func addresses(svc *v1.Service) []string {
	if svc == nil {
		return nil
	}
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, cmp.Or(in.IP, in.Hostname))
	}
	return out
}

// runs tells whether a Pod is ready and stays.
func runs(pod *v1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
		return c.Type == v1.PodReady && c.Status == v1.ConditionTrue
	})
}
