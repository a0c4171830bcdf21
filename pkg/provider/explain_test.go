// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

func TestACrowdStaysShort(t *testing.T) {
	c := &provider.Crowd{Kind: "node"}
	c.Add("late", "unhealthy")
	for i := range 500 {
		c.Add(fmt.Sprint("n", i), "healthy")
	}
	for i := range 20 {
		c.Add(fmt.Sprint("odd", i), fmt.Sprint("reason ", i))
	}
	got := c.Parts()
	want := []provider.Part{{What: "node late", State: "unhealthy"}, {What: "500 nodes: n0, n1, n2, …", State: "healthy"}}
	for i := range 8 {
		want = append(want, provider.Part{What: fmt.Sprint("node odd", i), State: fmt.Sprint("reason ", i)})
	}
	want = append(want, provider.Part{What: "12 more nodes, for other reasons"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c.All("healthy") {
		t.Error("all are said to be healthy")
	}
}

func TestComparisonsSayHowThingsStand(t *testing.T) {
	diffs := []plan.Diff{{Field: "port", Have: "1", Want: "2"}}
	for _, tt := range []struct {
		c            provider.Comparison
		state, whole string
		parts        int
	}{
		{provider.Comparison{Wanted: true}, "not there yet", "not there yet", 0},
		{provider.Comparison{Says: "active", Here: true}, "active, to be taken away", "active, to be taken away", 0},
		{provider.Comparison{Says: "active", Here: true, Wanted: true, Equal: true}, "active, in step", "active", 0},
		{provider.Comparison{Here: true, Wanted: true, Diffs: diffs}, "differs from what is wanted", "", 1},
	} {
		if s, w, n := tt.c.State(), tt.c.Whole(), len(tt.c.Parts()); s != tt.state || w != tt.whole || n != tt.parts {
			t.Errorf("got %q, %q and %d parts, want %q, %q and %d", s, w, n, tt.state, tt.whole, tt.parts)
		}
	}
}

func TestNodesAreKeptOutForAReason(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1.Node)
		want   string
	}{
		"not ready, which is the health check's business": {func(n *v1.Node) {
			n.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionFalse}}
		}, ""},
		"label":           {func(n *v1.Node) { n.Labels = map[string]string{v1.LabelNodeExcludeBalancers: ""} }, "it has label node.kubernetes.io/exclude-from-external-load-balancers"},
		"label says no":   {func(n *v1.Node) { n.Labels = map[string]string{v1.LabelNodeExcludeBalancers: "false"} }, ""},
		"deleted":         {func(n *v1.Node) { n.DeletionTimestamp = &now }, "it is being deleted"},
		"to be deleted":   {func(n *v1.Node) { n.Spec.Taints = []v1.Taint{{Key: "ToBeDeletedByClusterAutoscaler"}} }, "the cluster autoscaler is about to delete it (taint ToBeDeletedByClusterAutoscaler)"},
		"any other taint": {func(n *v1.Node) { n.Spec.Taints = []v1.Taint{{Key: "x"}} }, ""},
	} {
		n := &v1.Node{}
		tt.change(n)
		if got := provider.KeptOut(n); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
