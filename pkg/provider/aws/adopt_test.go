// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	v1 "k8s.io/api/core/v1"

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

// What the peer made otherwise than the Service says now is told, and stays.
func TestWhatDiffersOnAdoptedLoadBalancersIsTold(t *testing.T) {
	s := load(t, "nlb-default")
	svc := s.services[0].DeepCopy()
	svc.Annotations[annotation+"subnets"] = "subnet-0a,subnet-0b"
	svc.Annotations[annotation+"additional-resource-tags"] = "team=shop,cost=1"
	s.services, s.observed.Services = []*v1.Service{svc}, []*v1.Service{svc}
	golden(t, "adopted in other subnets and with other tags", text(t, s.compute(s.all(provider.Serve, provider.Resync))))

	classic := load(t, "clb-default")
	svc = classic.services[0].DeepCopy()
	svc.Annotations = map[string]string{annotation + "additional-resource-tags": "team=shop,cost=1"}
	classic.services, classic.observed.Services = []*v1.Service{svc}, []*v1.Service{svc}
	golden(t, "adopted classic with other tags", text(t, classic.compute(classic.all(provider.Serve, provider.Resync))))
}
