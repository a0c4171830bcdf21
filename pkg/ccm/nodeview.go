// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// NodeView is the Node informer that the upstream service controller is given:
// one node that never changes, so that the controller neither takes part in
// node changes nor reports that there are no nodes. It would list all nodes
// once for each Service at each change of any node. The engine follows the
// real nodes.
type NodeView struct {
	coreinformers.NodeInformer
}

// Informer has synced when the real one has, and has no events.
func (v NodeView) Informer() cache.SharedIndexInformer {
	return nodeViewInformer{v.NodeInformer.Informer()}
}

// Lister lists the one node.
func (NodeView) Lister() corelisters.NodeLister {
	return nodeViewLister{node: &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "fairlead-all-nodes"}}}
}

type nodeViewInformer struct {
	cache.SharedIndexInformer
}

// AddEventHandlerWithResyncPeriod adds a handler that never gets an event, and
// whose registration has synced when the informer has.
func (i nodeViewInformer) AddEventHandlerWithResyncPeriod(
	cache.ResourceEventHandler, time.Duration,
) (cache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(cache.ResourceEventHandlerFuncs{})
}

type nodeViewLister struct {
	corelisters.NodeListerExpansion
	node *v1.Node
}

func (l nodeViewLister) List(sel labels.Selector) ([]*v1.Node, error) {
	if !sel.Matches(labels.Set(l.node.Labels)) {
		return nil, nil
	}
	return []*v1.Node{l.node}, nil
}

func (l nodeViewLister) Get(name string) (*v1.Node, error) {
	if name != l.node.Name {
		return nil, apierrors.NewNotFound(v1.Resource("nodes"), name)
	}
	return l.node, nil
}
