// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/provider"
)

const nothing = "Nothing to do.\n"

func TestWhatThePeerLeftNeedsNoWrite(t *testing.T) {
	for _, name := range cases(t) {
		for _, cause := range []provider.Cause{provider.Drift, provider.Nodes, provider.Config, provider.Resync, provider.Edit, provider.Repair} {
			t.Run(name, func(t *testing.T) {
				s := load(t, name)
				got := text(t, s.compute(s.all(provider.Serve, cause)))
				if name == "nlb-managed-group" && cause >= provider.Edit {
					golden(t, "the nodes let the load balancers group in after an edit", got)
					got = nothing
				}
				if got != nothing {
					t.Errorf("cause %d:\n%s", cause, got)
				}
				if got := text(t, s.compute(s.all(provider.Keep, cause))); got != nothing {
					t.Errorf("kept, cause %d:\n%s", cause, got)
				}
			})
		}
	}
}

func TestWhatThePeerLeftIsRemovedWhole(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			s.settle(t, s.all(provider.Remove, provider.Edit))
			s.empty(t)
		})
	}
}
