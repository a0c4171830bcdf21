// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
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

// AWS may say that it does not know what it has just made. What lists show
// nevertheless is there, and is deleted by the next pass.
func TestWhatAWSDidNotKnowIsThereIfListsShowIt(t *testing.T) {
	for _, action := range []string{"DeleteListener", "DeleteTargetGroup"} {
		t.Run(action, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			before := l.picture(t)
			s := newSite(t)
			svc := s.service("web", ports(tcp("web", 80, 31080), tcp("more", 81, 31081)))
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			unknown := 0
			l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
				if c.Action != action || unknown > 0 {
					return nil
				}
				unknown++
				return awssim.Refuse(http.StatusBadRequest, strings.TrimPrefix(action, "Delete")+"NotFound")
			})
			edited := svc.DeepCopy()
			edited.Spec.Ports = edited.Spec.Ports[:1]
			l.add(t, edited)
			// The pass may fail: the listener keeps its target group, or that was made
			// a moment ago.
			_, _, err := l.pass(t, provider.Serve, provider.Edit, edited)
			if code := api.Code(err); err != nil && code != "ResourceInUse" && code != "TargetGroupNotFound" {
				t.Fatal(err)
			}
			if unknown != 1 {
				t.Fatalf("%s was not called", action)
			}
			l.must(t, -1, provider.Serve, provider.Edit, edited)
			l.must(t, 0, provider.Serve, provider.Resync, edited)
			l.must(t, -1, provider.Remove, provider.Edit, edited)
			if diff := cmp.Diff(before, l.picture(t)); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
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
	for _, st := range providertest.Decide(t, going).Plan.Steps {
		if err := going.Execute(t.Context(), st, nil); err != nil {
			t.Fatalf("%s: %v", st.Target, err)
		}
	}
	var met []string
	for _, st := range providertest.Decide(t, coming).Plan.Steps {
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
