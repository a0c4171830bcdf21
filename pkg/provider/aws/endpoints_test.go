// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"maps"
	"slices"
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

// begins reports whether a pass begins when a slice changes; old may be nil.
func begins(t *testing.T, usually cloudconfig.AWSTargetType, services cache.Indexer, old, cur *discoveryv1.EndpointSlice) (got bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config := cloudconfig.NewAWS()
		config.Controller.TargetType = usually
		p := aws.New(aws.Options{Config: config, Services: corelisters.NewServiceLister(services)})
		go p.Run(t.Context())
		if handler := p.EndpointHandler(); old == nil {
			handler.OnAdd(cur, false)
		} else {
			handler.OnUpdate(old, cur)
		}
		select {
		case <-p.Changed():
			got = true
		case <-time.After(time.Minute):
		}
	})
	return got
}

// readiness is the slice of a Service whose pods are ready or not.
func readiness(ready ...bool) *discoveryv1.EndpointSlice {
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
			if got := begins(t, c.usually, services, nil, readiness()); got != c.want {
				t.Errorf("a pass begins: %t", got)
			}
		})
	}
}

// With the policy Local and nodes as targets a pass begins when the last ready
// pod goes, or the first one comes: it tells, and asks AWS nothing.
func TestEndpointsCountForLocalServicesThatNothingServes(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	l.slices = discoverylisters.NewEndpointSliceLister(indexer)
	l.restart(t)
	svc := newSite(t).service("web", local)
	l.add(t, svc)
	if err := indexer.Add(readiness(true, true)); err != nil {
		t.Fatal(err)
	}
	status := l.must(t, -1, provider.Serve, provider.Edit, svc)
	svc.Status.LoadBalancer = *status[plan.Key{Namespace: "default", Name: "web"}]
	for _, c := range []struct {
		old, cur     *discoveryv1.EndpointSlice
		begins, told bool
	}{
		{readiness(true, true), readiness(true, false), false, false},
		{readiness(true, false), readiness(false, false), true, true},
		{readiness(false, false), readiness(false), false, true},
		{readiness(false), readiness(true), true, false},
	} {
		if err := indexer.Update(c.cur); err != nil {
			t.Fatal(err)
		}
		if got := begins(t, cloudconfig.AWSInstances, l.services, c.old, c.cur); got != c.begins {
			t.Errorf("a pass begins: %t, want %t", got, c.begins)
		}
		l.cloud.ResetCalls()
		d, _, err := l.pass(t, provider.Serve, provider.Config, svc)
		told := slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(d.Notices))...), func(n provider.Notice) bool { return n.Reason == provider.ReasonNoTargets })
		if calls := len(l.cloud.Calls()); err != nil || told != c.told || calls > 0 {
			t.Errorf("told %t, want %t; %d calls: %v", told, c.told, calls, err)
		}
	}
	svc.Spec.Type = v1.ServiceTypeNodePort
	if begins(t, cloudconfig.AWSInstances, l.services, readiness(true), readiness(false)) {
		t.Error("a pass begins for a Service without a load balancer")
	}
}
