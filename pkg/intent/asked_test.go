// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"maps"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestOnlyWhatIsReadIsAsked(t *testing.T) {
	svc := &v1.Service{}
	svc.Labels = map[string]string{"helm.sh/chart": "web-2"}
	svc.Annotations = map[string]string{
		v1.LastAppliedConfigAnnotation:              "{}",
		"argocd.argoproj.io/tracking-id":            "web",
		KeyRepair:                                   "1",
		ownPrefix + "adress-pool":                   "misspelt",
		KeyAWSType:                                  "nlb",
		awsOtherPrefix + "scheme":                   "internal",
		awsPrefix + "target-group-attributes.80":    "a=b",
		azurePrefix + "port_80_no_lb_rule":          "true",
		azurePrefix + "azure-load-balancer-internl": "misspelt",
		metalLBPrefix + "address-pool":              "public",
		awsOtherRanges:                              "10.0.0.0/8",
	}
	want := []string{}
	for key := range svc.Annotations {
		if key != v1.LastAppliedConfigAnnotation && key != "argocd.argoproj.io/tracking-id" {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	for provider, labels := range map[string]int{AWS: 0, Azure: 1, Metal: 1} {
		got := Annotations().Asked(svc, provider)
		if keys := slices.Sorted(maps.Keys(got.Annotations)); !slices.Equal(keys, want) {
			t.Errorf("%s: annotations\n%q, want\n%q", provider, keys, want)
		}
		if len(got.Labels) != labels {
			t.Errorf("%s: %d labels, want %d", provider, len(got.Labels), labels)
		}
	}
}
