// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
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
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// What was made a moment ago is not done with when AWS does not know it yet.
func TestServiceIsNotDoneWithWhatAWSDoesNotKnowYet(t *testing.T) {
	for action, code := range map[string]string{
		"DeleteSecurityGroup": "InvalidGroup.NotFound", "DeleteTargetGroup": "TargetGroupNotFound", "DeleteLoadBalancer": "LoadBalancerNotFound",
	} {
		t.Run(action, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			l.config.ManagedNLBSecurityGroups = true
			l.restart(t)
			before := l.picture(t)
			svc := newSite(t).service("web")
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			unknown := false
			l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
				if c.Action != action || unknown {
					return nil
				}
				unknown = true
				return awssim.Refuse(http.StatusBadRequest, code)
			})
			if _, _, err := l.pass(t, provider.Remove, provider.Edit, svc); plan.KindOf(err) != plan.Transient || api.Code(err) != code {
				t.Errorf("the first pass ends with %v", err)
			}
			l.must(t, -1, provider.Remove, provider.Edit, svc)
			if diff := cmp.Diff(before, l.picture(t)); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

// A Service that goes waits until lists show all that was made for it: a load
// balancer, rules alone, or its part of what another one has.
func TestServiceThatGoesWaitsForWhatIsNotListedYet(t *testing.T) {
	shared := []func(*v1.Service){external, with("name", "front")}
	for name, tt := range map[string]struct {
		lag          awssim.Lag
		first, goes  []func(*v1.Service) // of Services; the one that goes comes last
		nodePort     int32               // of an edit before it goes; 0: none
		firstIsOlder bool                // it is listed when the other one comes
	}{
		"with a load balancer":                 {lag: awssim.Lag{ELB: time.Minute}},
		"with rules":                           {lag: awssim.Lag{EC2: time.Minute}, firstIsOlder: true},
		"with a classic one":                   {lag: awssim.Lag{ELB: time.Minute, EC2: time.Minute}, goes: []func(*v1.Service){classic}},
		"with a target group of an older one":  {lag: awssim.Lag{ELB: time.Minute}, nodePort: 30999},
		"as a follower":                        {lag: awssim.Lag{ELB: time.Minute}, first: shared, goes: shared},
		"as a follower of an older one":        {lag: awssim.Lag{ELB: time.Minute}, first: shared, goes: shared, firstIsOlder: true},
		"as a follower with a new node port":   {lag: awssim.Lag{ELB: time.Minute}, first: shared, goes: shared, nodePort: 30999},
		"with a group that load balancers use": {lag: awssim.Lag{EC2: time.Minute}, goes: []func(*v1.Service){external}},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{Lag: tt.lag})
			l.cloud.Advance(time.Hour) // the machines are old
			s := newSite(t)
			first := s.service("first", tt.first...)
			goes := s.service("goes", append([]func(*v1.Service){ports(tcp("a", 81, 30081))}, tt.goes...)...)
			serve := func(list ...*v1.Service) {
				for _, svc := range list {
					l.add(t, svc)
				}
				l.must(t, -1, provider.Serve, provider.Edit, list...)
			}
			var before []string
			if tt.firstIsOlder || tt.first == nil {
				serve(first)
				l.cloud.Advance(time.Hour)
				before = l.picture(t)
				serve(goes)
			} else {
				serve(first, goes)
			}
			if tt.nodePort != 0 {
				l.cloud.Advance(time.Hour)
				goes = goes.DeepCopy()
				goes.Spec.Ports[0].NodePort = tt.nodePort
				serve(goes)
			}
			d, _, err := l.pass(t, provider.Remove, provider.Edit, goes)
			if why := d.Refused[provider.KeyOf(goes)]; err != nil || plan.KindOf(why) != plan.Transient || !strings.Contains(fmt.Sprint(why), "does not list yet") {
				t.Errorf("it does not wait: %v, %v\n%s", err, why, d.Plan)
			}
			l.cloud.Advance(time.Hour)
			for range 2 { // a target group may be of its load balancer for a moment
				if d, _, err = l.pass(t, provider.Remove, provider.Edit, goes); err == nil {
					break
				}
			}
			if err != nil || len(d.Refused) > 0 {
				t.Fatalf("%v, %v", err, d.Refused)
			}
			if err := l.services.Delete(goes); err != nil {
				t.Fatal(err)
			}
			l.cloud.Advance(time.Hour)
			if diff := cmp.Diff(before, l.picture(t)); before != nil && diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
			if state := string(l.cloud.State()); strings.Contains(state, "default/goes") || strings.Contains(state, "30081") || strings.Contains(state, "30999") {
				t.Errorf("left behind:\n%s", state)
			}
		})
	}
}

// What lists do not show in time was deleted by hand: nobody waits for it.
func TestServiceThatGoesDoesNotWaitForEver(t *testing.T) {
	l := startLive(t, awssim.Options{Lag: awssim.Lag{ELB: time.Hour}})
	now := l.stopClock(t)
	svc := newSite(t).service("web")
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	if d, _, err := l.pass(t, provider.Remove, provider.Edit, svc); err != nil || len(d.Refused) != 1 {
		t.Errorf("it does not wait: %v, %v", err, d.Refused)
	}
	now.Step(aws.LongestUnlisted)
	l.must(t, -1, provider.Remove, provider.Edit, svc)
}

// A Service that is edited before lists show its load balancer keeps its name.
// One whose load balancer is not listed for longer lost it.
func TestAnotherHostnameIsToldOfWhenListsShouldShowTheFirst(t *testing.T) {
	for name, form := range map[string]func(*v1.Service){"network": external, "classic": classic} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{Lag: awssim.Lag{ELB: time.Hour}})
			now := l.stopClock(t)
			svc := newSite(t).service("web", form)
			l.add(t, svc)
			status := l.must(t, -1, provider.Serve, provider.Edit, svc)
			svc.Status.LoadBalancer = *status[provider.KeyOf(svc)]
			told := func() bool {
				d, _, _ := l.pass(t, provider.Serve, provider.Edit, svc) // AWS may say that it is there
				return slices.ContainsFunc(d.Notices[provider.KeyOf(svc)], func(n provider.Notice) bool { return n.Reason == aws.ReasonAddressChanged })
			}
			if told() {
				t.Error("told though lists may be late")
			}
			now.Step(aws.LongestUnlisted)
			if !told() {
				t.Error("not told though lists cannot be so late")
			}
		})
	}
}
