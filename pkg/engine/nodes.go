// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/provider"
)

// NodeHandler takes what happens to nodes. It is to be added to the informer
// of the real nodes. The nodes that are there at the start change nothing:
// every Service is ensured then, with all of them.
func (e *Engine) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if !initial {
				e.nodeChanged(nil, nodeOf(obj))
			}
		},
		UpdateFunc: func(old, cur any) { e.nodeChanged(nodeOf(old), nodeOf(cur)) },
		DeleteFunc: func(obj any) { e.nodeChanged(nodeOf(obj), nil) },
	}
}

func nodeOf(obj any) *v1.Node {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	n, _ := obj.(*v1.Node)
	return n
}

// nodeChanged starts the window of a pass when load balancers depend on what
// changed.
func (e *Engine) nodeChanged(old, cur *v1.Node) {
	if e.nodeFacts(old) == e.nodeFacts(cur) {
		return
	}
	select {
	case e.nodes <- struct{}{}:
	default:
	}
}

// nodeFacts are what load balancers depend on: empty for a node that receives
// no traffic.
func (e *Engine) nodeFacts(n *v1.Node) string {
	if n == nil || provider.KeptOut(n) != "" {
		return ""
	}
	facts := e.Provider.NodeFingerprint(n)
	if facts == "" {
		return ""
	}
	return fmt.Sprintf("%s %s", n.Name, facts)
}

// targets lists the nodes that may receive traffic, by name.
func targets(nodes corelisters.NodeLister) []*v1.Node {
	all, err := nodes.List(labels.Everything())
	if err != nil {
		return nil // a lister over a cache has no errors
	}
	all = slices.DeleteFunc(all, func(n *v1.Node) bool { return provider.KeptOut(n) != "" })
	slices.SortFunc(all, func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) })
	return all
}
