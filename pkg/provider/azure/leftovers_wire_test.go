// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

// A public IP in another resource group, without a frontend, is found where a
// Service that lives names the group.
func TestPublicIPsInGroupsThatServicesName(t *testing.T) {
	const group = "azure-load-balancer-resource-group"
	gone := named(with(newService("web", "TCP:80"), group, "network"), "gone", 1)
	for name, tt := range map[string]struct {
		live []*v1.Service
		want map[string][]string
	}{
		"one names it":    {[]*v1.Service{named(with(newService("api", "TCP:81"), group, "Network"), "api", 2)}, map[string][]string{"azure/publicIP": {"network/" + names.Service{UID: gone.UID}.PublicIP("kubernetes", "", intent.V4)}}},
		"nobody names it": {[]*v1.Service{named(newService("api", "TCP:81"), "api", 2)}, map[string][]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := wire(t, story{})
			w.do(t, w.turn([]*v1.Service{gone}))
			if err := w.client.Delete(t.Context(), w.settings.LoadBalancerID("kubernetes"), ""); err != nil {
				t.Fatal(err)
			}
			p, _ := w.liveProvider(t, tt.live...)
			pass, err := p.Leftovers(t.Context(), func(context.Context) ([]*v1.Service, error) { return tt.live, nil })
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, st := range providertest.Decide(t, pass).Plan.Steps {
				got[st.Target.Kind] = append(got[st.Target.Kind], st.Target.Name)
			}
			delete(got, "azure/securityGroup")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
