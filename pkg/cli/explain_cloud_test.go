// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// cloudExample is a Service that waits while an old form of it is served.
func cloudExample(now time.Time) *cloudView {
	key := plan.Key{Namespace: "shop", Name: "web"}
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	return &cloudView{
		service: &v1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
			Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyLocal},
			Status: v1.ServiceStatus{
				Conditions:   []metav1.Condition{{Type: engine.ConditionProgrammed, Status: metav1.ConditionFalse, Reason: "PublicIPNotFound", Message: "no such public IP"}},
				LoadBalancer: v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: "20.50.0.2"}}},
			},
		},
		lease: leaseSeen{readable: true},
		events: []v1.Event{
			{Reason: "TooOld", LastTimestamp: ago(time.Hour)},
			{Reason: "EnsuringLoadBalancer", Message: "Ensuring load balancer", LastTimestamp: ago(9 * time.Minute)},
			{Reason: "EnsuredLoadBalancer", Message: "Ensured load balancer", LastTimestamp: ago(8 * time.Minute)},
			{Reason: "EnsuringLoadBalancer", Message: "Ensuring load balancer", LastTimestamp: ago(3 * time.Minute)},
			{Reason: "PublicIPNotFound", Message: "no such public IP", EventTime: metav1.NewMicroTime(now.Add(-2 * time.Minute))},
			{Reason: "SyncLoadBalancerFailed", Message: "no such public IP", Count: 4, LastTimestamp: ago(time.Second)},
		},
		group: engine.GroupPlan{
			Plan:    plan.Plan{Steps: []plan.Step{{Action: plan.Update, Target: plan.ID{Kind: "azure/loadBalancer", Name: "kubernetes"}}}},
			Refused: map[plan.Key]error{key: errors.New("no such public IP")},
			Notices: map[plan.Key][]provider.Notice{key: {{Reason: "AdoptedAsIs", Message: "it stays as it is"}}},
		},
		parts: []provider.Part{
			{What: "load balancer kubernetes", State: "Succeeded", Parts: []provider.Part{
				{What: "frontend web", State: "Succeeded, in step", Parts: []provider.Part{{What: "public IP web 20.50.0.2", State: "Updating, in step"}}},
				{What: "pool kubernetes", State: "Succeeded, in step", Parts: []provider.Part{{What: "node a", State: "in the pool"}}},
			}},
			{What: "security group nsg"},
		},
	}
}

func TestExplainOnACloud(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, change := range map[string]func(*cloudView){
		"cloud-waits.txt": func(*cloudView) {},
		"cloud-refused.txt": func(v *cloudView) { // and no controller has said so yet
			v.service.Status = v1.ServiceStatus{}
			v.group.Plan, v.group.Notices, v.events, v.parts = plan.Plan{}, nil, nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := cloudExample(now)
			change(v)
			var out bytes.Buffer
			if err := v.print(&out, now); err != nil {
				t.Fatal(err)
			}
			goldenSite(t, name, out.String())
		})
	}
}

func TestEventsAreOfTheServiceAndByTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	client := fake.NewClientset()
	for name, at := range map[string]time.Time{"b": now, "a": now.Add(time.Minute)} {
		e := &v1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, LastTimestamp: metav1.NewTime(at)}
		if _, err := client.CoreV1().Events("shop").Create(t.Context(), e, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := readEvents(t.Context(), client, &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	if err != nil || len(events) != 2 || events[0].Name != "b" {
		t.Errorf("got %v, %v", events, err)
	}
}

// stub is a provider that only makes passes.
type stub struct {
	provider.Provider
	pass provider.Pass
}

func (s stub) Observe(context.Context, provider.Batch) (provider.Pass, error) { return s.pass, nil }

type stubPass struct{ provider.Pass }

func TestPassesOfCloudsAreKept(t *testing.T) {
	var keeper passKeeper
	made := stubPass{}
	clouds := keeper.clouds([]ccm.Cloud{{Name: "azure", New: func(context.Context, ccm.Deps) (provider.Provider, error) {
		return stub{pass: made}, nil
	}}})
	p, err := clouds[0].New(t.Context(), ccm.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Observe(t.Context(), provider.Batch{}); err != nil || keeper.pass != provider.Pass(made) {
		t.Errorf("kept %v, %v", keeper.pass, err)
	}
}
