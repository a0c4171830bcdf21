// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// Lists show for a while what is deleted. Nothing is opened again for it.
func TestWhatIsDeletedNeedsNothingThoughListsShowIt(t *testing.T) {
	l := startLive(t, awssim.Options{Lag: awssim.Lag{ELB: time.Minute}})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	s := newSite(t)
	stays, goes := s.service("stays"), s.service("goes", ports(tcp("web", 80, 31080)))
	for _, svc := range []*v1.Service{stays, goes} {
		l.add(t, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, stays, goes)
	l.cloud.Advance(time.Hour)
	l.must(t, 0, provider.Serve, provider.Resync, stays, goes)
	l.must(t, -1, provider.Remove, provider.Edit, goes)
	if err := l.services.Delete(goes); err != nil {
		t.Fatal(err)
	}
	l.must(t, 0, provider.Serve, provider.Resync, stays)
	l.cloud.Advance(time.Hour)
	l.must(t, 0, provider.Serve, provider.Resync, stays)
}

// A pass may have looked before the last one deletes the group that load
// balancers share: that is no fault of the Service.
func TestAGroupThatIsDeletedMeanwhileIsAConflict(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	s := newSite(t)
	last, next := s.service("last"), s.service("next")
	l.add(t, last)
	l.must(t, -1, provider.Serve, provider.Edit, last)
	going, err := l.provider.Observe(t.Context(), provider.Batch{Group: "aws", Nodes: l.nodes, Items: []provider.Item{item(last, provider.Remove, provider.Edit)}})
	if err != nil {
		t.Fatal(err)
	}
	l.add(t, next)
	coming, err := l.provider.Observe(t.Context(), provider.Batch{Group: "aws", Nodes: l.nodes, Items: []provider.Item{item(next, provider.Serve, provider.Edit)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range going.Decide().Plan.Steps {
		if err := going.Execute(t.Context(), st, nil); err != nil {
			t.Fatalf("%s: %v", st.Target, err)
		}
	}
	var met []string
	for _, st := range coming.Decide().Plan.Steps {
		err := coming.Execute(t.Context(), st, nil)
		e, _ := errors.AsType[*plan.Error](err)
		switch {
		case err == nil:
		case e.Kind != plan.Conflict || e.Reason != aws.ReasonChangedMeanwhile:
			t.Errorf("%s: %v", st.Target, err)
		default:
			met = append(met, st.Target.Kind)
		}
	}
	for _, kind := range []string{"aws/loadBalancer", "aws/nodeSecurityGroup"} {
		if !slices.Contains(met, kind) {
			t.Errorf("%s met no conflict", kind)
		}
	}
	l.must(t, -1, provider.Serve, provider.Edit, next)
	l.must(t, 0, provider.Serve, provider.Resync, next)
}
