// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

func TestWhatThePeerLeftNeedsNoWrite(t *testing.T) {
	for _, file := range states(t) {
		for _, cause := range []provider.Cause{provider.Drift, provider.Resync, provider.Edit, provider.Repair} {
			t.Run(filepath.Base(file), func(t *testing.T) {
				s := load(t, file)
				if got := text(t, s.compute(t, s.all(cause))); got != "Nothing to do.\n" {
					t.Errorf("cause %d:\n%s", cause, got)
				}
				for _, svc := range s.observed.Services {
					if got := text(t, s.compute(t, s.batch(item(svc, provider.Serve, cause)))); got != "Nothing to do.\n" {
						t.Errorf("%s alone:\n%s", svc.Name, got)
					}
				}
			})
		}
	}
}

func TestStatusOfWhatThePeerLeftIsKept(t *testing.T) {
	for _, file := range states(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := load(t, file)
			r := s.compute(t, s.all(provider.Resync))
			var addresses azure.Addresses
			addresses.LearnAll(&s.observed)
			for _, it := range s.all(provider.Resync).Items {
				want := it.Service.Status.LoadBalancer
				if diff := cmp.Diff(&want, addresses.Status(r.Places[it.Key], &want)); diff != "" {
					t.Errorf("%s: -want +got:\n%s", it.Key, diff)
				}
				if diff := cmp.Diff(&want, addresses.Status(r.Places[it.Key], nil)); diff != "" {
					t.Errorf("%s, as new: -want +got:\n%s", it.Key, diff)
				}
			}
		})
	}
}
