// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws"
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
