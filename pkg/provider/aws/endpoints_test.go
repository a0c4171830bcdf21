// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Endpoints begin a pass only where pods are targets.
func TestEndpointsCountWherePodsAreTargets(t *testing.T) {
	for name, c := range map[string]struct {
		change  []func(*v1.Service)
		usually cloudconfig.AWSTargetType
		want    bool
	}{
		"type nlb":                      {usually: cloudconfig.AWSAddresses},
		"instances":                     {change: []func(*v1.Service){external}, usually: cloudconfig.AWSAddresses},
		"instances, as nothing is said": {change: []func(*v1.Service){class}, usually: cloudconfig.AWSInstances},
		"pods":                          {change: []func(*v1.Service){external, with("nlb-target-type", "ip")}, usually: cloudconfig.AWSInstances, want: true},
		"pods, by the older type":       {change: []func(*v1.Service){with("type", "nlb-ip")}, usually: cloudconfig.AWSInstances, want: true},
		"pods, as nothing is said":      {change: []func(*v1.Service){class}, usually: cloudconfig.AWSAddresses, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			if err := services.Add(newSite(t).service("web", c.change...)); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				config := cloudconfig.NewAWS()
				config.Controller.TargetType = c.usually
				p := aws.New(aws.Options{Config: config, Services: corelisters.NewServiceLister(services)})
				go p.Run(t.Context())
				p.EndpointHandler().OnAdd(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
					Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"},
				}}, false)
				var got bool
				select {
				case <-p.Changed():
					got = true
				case <-time.After(time.Minute):
				}
				if got != c.want {
					t.Errorf("a pass begins: %t", got)
				}
			})
		})
	}
}

// With the policy Local and nodes as targets a pass begins when the last ready
// pod goes, or the first one comes: it tells, and asks AWS nothing.
func TestEndpointsCountForLocalServicesThatNothingServes(t *testing.T) {
	slice := func(ready ...bool) *discoveryv1.EndpointSlice {
		out := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"},
		}}
		for i := range ready {
			out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{fmt.Sprint("10.0.0.", i+1)}, Conditions: discoveryv1.EndpointConditions{Ready: &ready[i]}, NodeName: new("n0"),
			})
		}
		return out
	}
	l := startLive(t, awssim.Options{})
	claims(l.config)
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	l.slices = discoverylisters.NewEndpointSliceLister(indexer)
	l.restart(t)
	svc := newSite(t).service("web", local)
	l.add(t, svc)
	if err := indexer.Add(slice(true, true)); err != nil {
		t.Fatal(err)
	}
	status := l.must(t, -1, provider.Serve, provider.Edit, svc)
	svc.Status.LoadBalancer = *status[plan.Key{Namespace: "default", Name: "web"}]
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { l.provider.Run(ctx) })
	defer run.Wait()
	defer cancel()
	handler := l.provider.EndpointHandler()
	for _, c := range []struct {
		old, cur     *discoveryv1.EndpointSlice
		begins, told bool
	}{
		{slice(true, true), slice(true, false), false, false},
		{slice(true, false), slice(false, false), true, true},
		{slice(false, false), slice(false), false, true},
		{slice(false), slice(true), true, false},
	} {
		if err := indexer.Update(c.cur); err != nil {
			t.Fatal(err)
		}
		handler.OnUpdate(c.old, c.cur)
		if c.begins {
			<-l.provider.Changed()
		}
		l.cloud.ResetCalls()
		d, _, err := l.pass(t, provider.Serve, provider.Config, svc)
		told := slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(d.Notices))...), func(n provider.Notice) bool { return n.Reason == provider.ReasonNoTargets })
		if calls := len(l.cloud.Calls()); err != nil || told != c.told || calls > 0 {
			t.Errorf("told %t, want %t; %d calls: %v", told, c.told, calls, err)
		}
	}
	select {
	case <-l.provider.Changed():
		t.Error("a pass begins though one pod of several stays")
	default:
	}
}
