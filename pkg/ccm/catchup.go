// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
)

const (
	// catchUpPoll is how often the cache is looked at.
	catchUpPoll = 20 * time.Millisecond
	// catchUpList is after how long the Services are listed anew: one that the
	// cache never shows may have been deleted meanwhile.
	catchUpList = time.Second
)

// catchUp waits until the cache of Services knows all that the last leader
// wrote. A cache that synced long ago may lag behind its watch, and what it does
// not show yet could be given away twice.
func catchUp(ctx context.Context, client kubernetes.Interface, cached corelisters.ServiceLister) error {
	for {
		// No resource version: the answer is the newest state, not a cache's.
		list, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list Services after taking the lease: %w", err)
		}
		again := time.Now().Add(catchUpList)
		for time.Now().Before(again) {
			if knowsAll(cached, list.Items) {
				return nil
			}
			poll := time.NewTimer(catchUpPoll)
			select {
			case <-poll.C:
			case <-ctx.Done():
				poll.Stop()
				return ctx.Err()
			}
		}
	}
}

// knowsAll reports whether the cache has each Service at least as new.
func knowsAll(cached corelisters.ServiceLister, services []v1.Service) bool {
	for i := range services {
		have, err := cached.Services(services[i].Namespace).Get(services[i].Name)
		if err != nil {
			return false
		}
		order, err := resourceversion.CompareResourceVersion(have.ResourceVersion, services[i].ResourceVersion)
		if err != nil || order < 0 {
			return false
		}
	}
	return true
}
