// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

func versioned(name, version string) *v1.Service {
	return &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: version}}
}

func TestLeaderWaitsUntilItsCacheHasCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		for _, svc := range []*v1.Service{versioned("a", "10"), versioned("b", "20"), versioned("gone", "5")} {
			if err := client.Tracker().Add(svc); err != nil {
				t.Fatal(err)
			}
		}
		stale := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		put := func(svc *v1.Service) {
			if err := stale.Add(svc); err != nil {
				t.Fatal(err)
			}
		}
		put(versioned("a", "11"))
		put(versioned("b", "19")) // behind
		done := make(chan error, 1)
		go func() { done <- catchUp(t.Context(), client, corelisters.NewServiceLister(stale)) }()
		waiting := func(what string) {
			time.Sleep(10 * catchUpPoll) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("went on (%v) although %s", err, what)
			default:
			}
		}
		waiting("b is behind and one is missing")
		put(versioned("b", "20"))
		waiting("one is missing")
		if err := client.Tracker().Delete(v1.SchemeGroupVersion.WithResource("services"), "default", "gone"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * catchUpList) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("still waits for a Service that was deleted")
		}
	})
}

func TestCatchingUpEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(versioned("a", "1"))
		empty := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := catchUp(ctx, client, corelisters.NewServiceLister(empty)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's end", err)
		}
	})
}
