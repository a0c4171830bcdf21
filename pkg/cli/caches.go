// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/informers/core"
	"k8s.io/client-go/informers/discovery"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// caches are informers for one look at the cluster. An informer of client-go
// asks for ever where it may not list; here the first such answer ends the wait.
type caches struct {
	informers.SharedInformerFactory

	denied context.CancelCauseFunc
}

// newCaches returns informers that call denied with what may not be listed.
func newCaches(client kubernetes.Interface, denied context.CancelCauseFunc) *caches {
	return &caches{SharedInformerFactory: informers.NewSharedInformerFactory(client, 0), denied: denied}
}

// Core are the informers of Services, Nodes and their like.
func (c *caches) Core() core.Interface { return core.New(c, v1.NamespaceAll, nil) }

// Discovery are the informers of endpoints.
func (c *caches) Discovery() discovery.Interface { return discovery.New(c, v1.NamespaceAll, nil) }

// InformerFor returns the informer of a kind of objects, and makes it before.
func (c *caches) InformerFor(obj runtime.Object, create internalinterfaces.NewInformerFunc) cache.SharedIndexInformer {
	kind := reflect.TypeOf(obj).Elem().Name() + "s"
	return c.SharedInformerFactory.InformerFor(obj, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		informer := create(client, resync)
		// The only error is of an informer that runs, which a new one does not.
		_ = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
			switch {
			case r.LastSyncResourceVersion() != "": // it was listed, and later changes do not count
			case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
				if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
					err = status // without the reflector's words
				}
				c.denied(fmt.Errorf("list %s: %w; ask for the rights that docs/plugin.md names", kind, err))
			default:
				cache.DefaultWatchErrorHandler(ctx, r, err)
			}
		})
		return informer
	})
}

// list starts the informers that were asked for since the last call, and waits
// for their lists, or until ctx ends, whose cause is then the error.
func (c *caches) list(ctx context.Context) error {
	c.Start(ctx.Done())
	for kind, ok := range c.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return cmp.Or(context.Cause(ctx), fmt.Errorf("list %s: it did not end", kind))
		}
	}
	return nil
}
