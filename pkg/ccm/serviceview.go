// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"maps"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/plan"
)

// refreshAnnotation stands only in the old form of an update that Refresh
// replays: the upstream controller takes any change of annotations for a
// reason to ensure.
const refreshAnnotation = "fairlead.dev/refresh"

// ServiceView is the Service informer that the upstream service controller is
// given. That controller calls only Informer().HasSynced,
// Informer().AddEventHandlerWithResyncPeriod and Lister().Services().Get.
type ServiceView struct {
	coreinformers.ServiceInformer

	classes Classes
	parked  chan struct{}
	park    sync.Once

	mu       sync.Mutex
	handlers []cache.ResourceEventHandler
}

// NewServiceView returns a view of the informer's Services.
func NewServiceView(informer coreinformers.ServiceInformer, classes Classes) *ServiceView {
	return &ServiceView{ServiceInformer: informer, classes: classes, parked: make(chan struct{})}
}

// Informer is the informer of the shown Services.
func (v *ServiceView) Informer() cache.SharedIndexInformer {
	return serviceViewInformer{SharedIndexInformer: v.ServiceInformer.Informer(), view: v}
}

// Lister lists the shown Services.
func (v *ServiceView) Lister() corelisters.ServiceLister {
	return serviceViewLister{ServiceLister: v.ServiceInformer.Lister(), view: v}
}

// Park keeps the upstream controller from starting on another Service: each of
// its workers reads the Service first, and stays there until the process ends.
// What has begun goes on.
func (v *ServiceView) Park() { v.park.Do(func() { close(v.parked) }) }

// Refresh asks the upstream controller for a fresh Ensure, or the clean-up that
// is due. Keys of Services that are not there, or want nothing, do nothing.
func (v *ServiceView) Refresh(keys ...plan.Key) {
	v.mu.Lock()
	handlers := v.handlers
	v.mu.Unlock()
	for _, key := range keys {
		svc, err := v.ServiceInformer.Lister().Services(key.Namespace).Get(key.Name)
		if err != nil {
			continue // gone; its deletion is an event of its own
		}
		shown := v.classes.Show(svc)
		old := *shown
		old.Annotations = maps.Clone(shown.Annotations)
		if old.Annotations == nil {
			old.Annotations = map[string]string{}
		}
		old.Annotations[refreshAnnotation] = ""
		for _, h := range handlers {
			h.OnUpdate(&old, shown)
		}
	}
}

// hold never returns once the view is parked. An error would lead to events
// and log lines for each Service that the next leader looks after at once.
func (v *ServiceView) hold() {
	select {
	case <-v.parked:
		select {}
	default:
	}
}

type serviceViewInformer struct {
	cache.SharedIndexInformer
	view *ServiceView
}

// AddEventHandlerWithResyncPeriod gives the handler the events of the real
// informer with the Services as they are shown.
func (i serviceViewInformer) AddEventHandlerWithResyncPeriod(
	handler cache.ResourceEventHandler, resync time.Duration,
) (cache.ResourceEventHandlerRegistration, error) {
	i.view.mu.Lock()
	i.view.handlers = append(i.view.handlers, handler)
	i.view.mu.Unlock()
	return i.SharedIndexInformer.AddEventHandlerWithResyncPeriod(
		shownEvents{ResourceEventHandler: handler, classes: i.view.classes}, resync)
}

// shownEvents passes on the events of Services as they are shown.
type shownEvents struct {
	cache.ResourceEventHandler
	classes Classes
}

func (e shownEvents) OnAdd(obj any, initial bool) {
	e.ResourceEventHandler.OnAdd(e.show(obj), initial)
}

func (e shownEvents) OnUpdate(old, cur any) {
	shown := e.show(cur)
	before := shown // a resync replays the cache: old and cur are one object
	if old != cur {
		before = e.show(old)
	}
	e.ResourceEventHandler.OnUpdate(before, shown)
}

// OnDelete passes on a tombstone as it is: the upstream controller needs no
// more than its key.
func (e shownEvents) OnDelete(obj any) { e.ResourceEventHandler.OnDelete(e.show(obj)) }

func (e shownEvents) show(obj any) any {
	if svc, ok := obj.(*v1.Service); ok {
		return e.classes.Show(svc)
	}
	return obj
}

type serviceViewLister struct {
	corelisters.ServiceLister
	view *ServiceView
}

func (l serviceViewLister) List(sel labels.Selector) ([]*v1.Service, error) {
	return showAll(l.view.classes, l.ServiceLister.List, sel)
}

func (l serviceViewLister) Services(namespace string) corelisters.ServiceNamespaceLister {
	return serviceViewNamespaceLister{ServiceNamespaceLister: l.ServiceLister.Services(namespace), view: l.view}
}

type serviceViewNamespaceLister struct {
	corelisters.ServiceNamespaceLister
	view *ServiceView
}

func (l serviceViewNamespaceLister) List(sel labels.Selector) ([]*v1.Service, error) {
	return showAll(l.view.classes, l.ServiceNamespaceLister.List, sel)
}

func (l serviceViewNamespaceLister) Get(name string) (*v1.Service, error) {
	l.view.hold()
	svc, err := l.ServiceNamespaceLister.Get(name)
	if err != nil {
		return nil, err
	}
	return l.view.classes.Show(svc), nil
}

func showAll(c Classes, list func(labels.Selector) ([]*v1.Service, error), sel labels.Selector) ([]*v1.Service, error) {
	services, err := list(sel)
	if err != nil {
		return nil, err
	}
	shown := make([]*v1.Service, len(services))
	for i, svc := range services {
		shown[i] = c.Show(svc)
	}
	return shown, nil
}
