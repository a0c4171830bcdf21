// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// A pass begins when a label changes that pools depend on, and for no other.
func TestLabelsOfNodesThatPoolsDependOn(t *testing.T) {
	selector, err := labels.Parse("tier in (web, db), !spare")
	if err != nil {
		t.Fatal(err)
	}
	one := &cloudconfig.Azure{LoadBalancer: cloudconfig.AzureLoadBalancer{ExcludeControlPlane: true}}
	several := &cloudconfig.Azure{LoadBalancers: []cloudconfig.AzureLoadBalancerConfig{{Name: "a", NodeSelector: selector}, {Name: "b"}}}
	tests := map[string]struct {
		conf     *cloudconfig.Azure
		old, cur map[string]string
		changes  bool
	}{
		"another label":                    {several, nil, map[string]string{"team": "x"}, false},
		"a label of a selector":            {several, map[string]string{"tier": "web"}, map[string]string{"tier": "db"}, true},
		"a label that may not be there":    {several, nil, map[string]string{"spare": ""}, true},
		"a label of no selector":           {one, map[string]string{"tier": "web"}, map[string]string{"tier": "db"}, false},
		"the resource group":               {one, nil, map[string]string{"kubernetes.azure.com/resource-group": "other"}, true},
		"the resource group in other case": {one, map[string]string{"kubernetes.azure.com/resource-group": "RIG"}, map[string]string{"kubernetes.azure.com/resource-group": "rig"}, false},
		"not Azure's any more":             {one, nil, map[string]string{"kubernetes.azure.com/managed": "False"}, true},
		"a control plane":                  {one, nil, map[string]string{"node-role.kubernetes.io/control-plane": ""}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := azure.New(azure.Options{Config: tt.conf})
			of := func(set map[string]string) string {
				return p.NodeFingerprint(&v1.Node{
					ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: set},
					Spec:       v1.NodeSpec{ProviderID: "azure:///subscriptions/s/resourceGroups/rig/providers/Microsoft.Compute/virtualMachines/n"},
				})
			}
			if (of(tt.old) != of(tt.cur)) != tt.changes {
				t.Errorf("%q and %q", of(tt.old), of(tt.cur))
			}
		})
	}
}

// A node that is not Azure's is in no pool, in whatever case its label says so.
func TestUnmanagedNodesInAnyCase(t *testing.T) {
	for _, value := range []string{"false", "False"} {
		s := empty(t)
		s.settings.Members = azure.ByAddress
		theirs := s.nodes[0].DeepCopy()
		theirs.Labels = map[string]string{"kubernetes.azure.com/managed": value}
		s.nodes = append([]*v1.Node{theirs}, s.nodes[1:]...)
		s.apply(t, s.batch(item(newService("web", "TCP:80"), provider.Serve, provider.Edit)), nil)
		if doc := string(s.doc(s.lbID("kubernetes"))); strings.Contains(doc, theirs.Status.Addresses[0].Address) || !strings.Contains(doc, s.nodes[1].Status.Addresses[0].Address) {
			t.Errorf("with %s the pool has other members: %s", value, doc)
		}
	}
}
