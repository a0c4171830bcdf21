// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

// BenchmarkComputeResync is a restart with 250 Services: nothing is written.
func BenchmarkComputeResync(b *testing.B) {
	s := empty(b)
	batch := s.batch()
	for i := range 250 {
		batch.Items = append(batch.Items, item(numbered(i), provider.Serve, provider.Edit))
	}
	s.apply(b, batch, nil)
	for b.Loop() {
		if _, err := azure.Compute(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkComputeCreate is 250 Services that come at once.
func BenchmarkComputeCreate(b *testing.B) {
	s := empty(b)
	batch := s.batch()
	for i := range 250 {
		batch.Items = append(batch.Items, item(numbered(i), provider.Serve, provider.Edit))
	}
	for b.Loop() {
		if _, err := azure.Compute(azure.Input{Settings: &s.settings, Observed: &s.observed, Batch: batch}); err != nil {
			b.Fatal(err)
		}
	}
}
