// SPDX-License-Identifier: Apache-2.0

package provider

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// EndpointHandler calls changed with the slice before and after each change; nil
// where there is none. Those that are there at the start change nothing.
func EndpointHandler(changed func(old, cur *discoveryv1.EndpointSlice)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if !initial {
				changed(nil, sliceOf(obj))
			}
		},
		UpdateFunc: func(old, cur any) { changed(sliceOf(old), sliceOf(cur)) },
		DeleteFunc: func(obj any) { changed(sliceOf(obj), nil) },
	}
}

func sliceOf(obj any) *discoveryv1.EndpointSlice {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	es, _ := obj.(*discoveryv1.EndpointSlice)
	return es
}
