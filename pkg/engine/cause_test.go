// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// causes are those of the passes over a Service, in order.
func (c *cloud) causes(name string) []provider.Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []provider.Cause
	for _, b := range c.passes {
		for _, it := range b.Items {
			if it.Key == keyOf(name) {
				out = append(out, it.Cause)
			}
		}
	}
	return out
}

// showing is the Service with the address that it has by now.
func showing(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	svc.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	return svc
}

func labelled(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	svc.Labels = map[string]string{"tier": "gold"}
	return svc
}

// An edit of what no provider reads is none.
func TestOnlyWhatIsReadIsEdited(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*v1.Service)
		want   provider.Cause
	}{
		"a port":                      {func(svc *v1.Service) { svc.Spec.Ports[0].Port = 81 }, provider.Edit},
		"a label":                     {func(svc *v1.Service) { svc.Labels = map[string]string{"tier": "gold"} }, provider.Edit},
		"an annotation of ours":       {func(svc *v1.Service) { svc.Annotations = map[string]string{intent.KeyRepair: "1"} }, provider.Edit},
		"an annotation of somebody's": {func(svc *v1.Service) { svc.Annotations = map[string]string{"example.com/note": "new"} }, provider.Resync},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				r := start(t, c)
				svc := r.serve(t, service("web", 80))
				edited := showing(svc)
				tt.change(edited)
				r.serve(t, edited)
				if all := c.causes("web"); len(all) != 2 || all[1] != tt.want {
					t.Errorf("causes %d, want the second to be %d", all, tt.want)
				}
			})
		})
	}
}

// An edit is one until it was served, whatever leads to the next try.
func TestEditStaysOneUntilItIsServed(t *testing.T) {
	denied := &plan.Error{Kind: plan.Denied, Reason: "Denied", Err: errors.New("no right; grant it")}
	lost := errors.New("500")
	for name, tt := range map[string]struct {
		err  error
		next func(t *testing.T, r *rig, edited *v1.Service)
	}{
		"looked at again by itself": {denied, func(*testing.T, *rig, *v1.Service) {
			after(firstLook)
		}},
		"something is freed": {denied, func(_ *testing.T, r *rig, _ *v1.Service) {
			r.ServiceHandler().OnUpdate(showing(service("other", 81)), service("other", 81))
		}},
		"the nodes change": {denied, func(_ *testing.T, r *rig, _ *v1.Service) {
			r.NodeHandler().OnAdd(&v1.Node{Spec: v1.NodeSpec{ProviderID: "metal://a"}}, false)
			after(nodeWindow)
		}},
		"upstream tries again": {denied, func(t *testing.T, r *rig, edited *v1.Service) {
			if err := r.ensure(t, edited); err != nil {
				t.Error(err)
			}
		}},
		"upstream tries again after many lost answers": {lost, func(t *testing.T, r *rig, edited *v1.Service) {
			if err := r.ensure(t, edited); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				r := start(t, c)
				svc := r.serve(t, service("web", 80))
				edited := r.put(t, showing(svc))
				edited.Spec.Ports[0].Port = 81
				c.fault = always(tt.err)
				if err := r.ensure(t, edited); err == nil {
					t.Fatal("no error")
				}
				c.set(func() { c.fault = nil })
				synctest.Wait()
				before := len(c.causes("web"))
				tt.next(t, r, edited)
				synctest.Wait()
				after := c.causes("web")[before:]
				if len(after) != 1 || after[0] != provider.Edit {
					t.Errorf("causes after the edit was refused: %d, want one edit", after)
				}
				if err := r.ensure(t, edited); err != nil {
					t.Fatal(err)
				}
				if all := c.causes("web"); all[len(all)-1] != provider.Resync {
					t.Errorf("causes %d, want that the edit is over once it was served", all)
				}
			})
		})
	}
}

// A refusal that meets a waiting drift pass is not forgotten by it.
func TestRefusalDuringADriftTimerIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.writeTime = 3 * time.Second
		c.fault = always(invalid("not yet"))
		r := start(t, c, func(o *Options) {
			o.Drift = cloudconfig.Drift{Mode: cloudconfig.DriftReport, Interval: time.Second}
		})
		if err := r.ensure(t, r.put(t, service("web", 80))); err == nil {
			t.Fatal("no error")
		}
		c.set(func() { c.fault = nil })
		after(2 * firstLook)
		if c.part("web") == "" {
			t.Errorf("not served; causes %d", c.causes("web"))
		}
	})
}

// Only an edit of what a refused Service may share something with lets it try
// again.
func TestEditRetriesOnlyWhoMayBeConcerned(t *testing.T) {
	inGroup := func(svc *v1.Service, group string) *v1.Service {
		svc.Annotations = map[string]string{"group": group}
		return svc
	}
	plain := service("third", 82)
	plain.Spec.Type, plain.Finalizers = v1.ServiceTypeClusterIP, nil
	same := service("third", 82)
	for name, tt := range map[string]struct {
		was, is *v1.Service
		passes  int
	}{
		"one of the group":              {inGroup(service("third", 82), "a"), inGroup(labelled(service("third", 82)), "a"), 1},
		"one of another group":          {inGroup(service("third", 82), "b"), inGroup(labelled(service("third", 82)), "b"), 0},
		"one without a load balancer":   {inGroup(plain, "a"), inGroup(labelled(plain), "a"), 0},
		"none: the informer's resync":   {same, same, 0},
		"an address of another group":   {inGroup(showing(plain), "b"), inGroup(plain.DeepCopy(), "b"), 0},
		"an address of the same group":  {inGroup(showing(plain), "a"), inGroup(plain.DeepCopy(), "a"), 1},
		"one that is ours no more then": {inGroup(service("third", 82), "a"), inGroup(plain.DeepCopy(), "a"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.groupOf = func(s *v1.Service) provider.Group { return provider.Group(s.Annotations["group"]) }
				c.most = 1
				r := start(t, c)
				for i, svc := range []*v1.Service{service("first", 80), service("second", 81)} {
					if err := r.ensure(t, r.put(t, inGroup(svc, "a"))); (err != nil) != (i == 1) {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				passes := c.count("observe")
				r.ServiceHandler().OnUpdate(tt.was, tt.is)
				synctest.Wait()
				if n := c.count("observe") - passes; n != tt.passes {
					t.Errorf("%d passes, want %d", n, tt.passes)
				}
			})
		})
	}
}

// What others do neither shortens nor lengthens the wait between two looks.
func TestBackOffOfARefusedServiceSurvivesTheEditsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := exhausted(t)
		c := r.cloud
		// Looked at after 15, 45 and 105 s: the next are 120 and 240 s later.
		after(106 * time.Second)
		other := service("other", 82)
		r.ServiceHandler().OnUpdate(other, labelled(other))
		synctest.Wait()
		var waits []time.Duration
		for range 2 {
			passes, began := c.count("observe"), time.Now()
			for c.count("observe") == passes {
				after(time.Second)
			}
			waits = append(waits, time.Since(began))
		}
		if want := []time.Duration{120 * time.Second, 240 * time.Second}; !slices.Equal(waits, want) {
			t.Errorf("looked again after %v, want %v", waits, want)
		}
	})
}
