// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

const (
	// targetsPerCall is how many targets one call registers or deregisters: all
	// that a target group may have by AWS's quota, as its API reference names no
	// limit of a call.
	targetsPerCall = 1000
	// crowd is how many targets a load balancer may have in one zone, or in all
	// when traffic crosses zones: AWS, quotas of Network Load Balancers.
	crowd = 500
)

// node is a node that may receive traffic.
type node struct {
	name, instance string
	labels         map[string]string
}

// nodesOf are the nodes whose instances can be targets, by instance. Those that
// AWS is ending are none.
func (t *turn) nodesOf(list []*v1.Node) []node {
	var out []node
	for _, n := range list {
		id, ok := names.InstanceID(n.Spec.ProviderID)
		if !ok || t.ends(id) {
			continue
		}
		out = append(out, node{name: n.Name, instance: id, labels: n.Labels})
	}
	slices.SortFunc(out, func(x, y node) int { return cmp.Compare(x.instance, y.instance) })
	return out
}

// ends reports whether the instance is known to be going.
func (t *turn) ends(id string) bool {
	i, ok := t.observed.Instances[id]
	if !ok {
		return false
	}
	switch i.State {
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		return true
	case ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped:
	}
	return false
}

// sleeps reports whether the instance is known to be stopped, or to stop: AWS
// takes no such target, and leaves it one that is.
func (t *turn) sleeps(id string) bool {
	i, ok := t.observed.Instances[id]
	return ok && i.sleeps()
}

func (i *Instance) sleeps() bool {
	return i.State == ec2types.InstanceStateNameStopping || i.State == ec2types.InstanceStateNameStopped
}

// targetsOf are the instances of the nodes with the labels, in the nodes' order.
// An empty value stands for any.
func targetsOf(nodes []node, labels map[string]string) []string {
	var out []string
	for _, n := range nodes {
		ok := true
		for key, want := range labels {
			have, has := n.labels[key]
			ok = ok && has && (want == "" || have == want)
		}
		if ok {
			out = append(out, n.instance)
		}
	}
	return slices.Compact(out)
}

// putTargets registers what is missing in a target group and deregisters what
// is too much. It never takes the last instance away: a view of no nodes at all
// is most likely a partial one. The address of a pod that is gone may be
// another's soon, so the last of them goes. What is stopped comes when it runs.
func (t *turn) putTargets(a *ask, g groupRef, want []Target, have map[Target]elbv2types.TargetHealthStateEnum) {
	if len(want) == 0 && !t.podsKnown(a, have) {
		return
	}
	missing, surplus := targetChanges(want, have)
	missing = slices.DeleteFunc(missing, func(x Target) bool { return t.sleeps(x.ID) })
	if a.sharesTargets() {
		surplus = nil // other clusters have theirs there
	}
	var diffs []plan.Diff
	come, leave := targetCalls(g, missing, surplus)
	calls := slices.Concat(come, leave)
	if len(have)+len(missing) > crowd { // there may be no room for those that come
		calls = slices.Concat(leave, come)
	}
	if len(calls) == 0 {
		return
	}
	if len(missing) > 0 {
		diffs = append(diffs, plan.Diff{Field: "targets", Want: targetNames(missing)})
	}
	if len(surplus) > 0 {
		diffs = append(diffs, plan.Diff{Field: "targets", Have: targetNames(surplus)})
	}
	t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindTargets, Name: g.name}, Needs: g.needs(), Why: diffs}, calls...)
}

// targetCalls register what is missing, and deregister what is too much.
func targetCalls(g groupRef, missing, surplus []Target) (come, leave []Call) {
	for chunk := range slices.Chunk(missing, targetsPerCall) {
		come = append(come, &elbv2.RegisterTargetsInput{TargetGroupArn: awssdk.String(g.ref.Text()), Targets: descriptions(chunk)})
	}
	for chunk := range slices.Chunk(surplus, targetsPerCall) {
		leave = append(leave, &elbv2.DeregisterTargetsInput{TargetGroupArn: awssdk.String(g.ref.Text()), Targets: descriptions(chunk)})
	}
	return come, leave
}

// sharesTargets reports whether other clusters have targets in the same target
// groups. It counts for a refused form too, which has no intent.
func (a *ask) sharesTargets() bool {
	on, err := strconv.ParseBool(strings.TrimSpace(a.written(intent.KeyAWSMultiCluster)))
	return a.external && err == nil && on
}

// instancesAt are the Service's instances as targets.
func (a *ask) instancesAt(port int32) []Target {
	out := make([]Target, len(a.targets))
	for i, id := range a.targets {
		out[i] = Target{ID: id, Port: port}
	}
	return out
}

func targetChanges(list []Target, have map[Target]elbv2types.TargetHealthStateEnum) (missing, surplus []Target) {
	want := make(map[Target]bool, len(list))
	for _, x := range list {
		want[x] = true
		if state, ok := have[x]; !ok || state == elbv2types.TargetHealthStateEnumDraining {
			missing = append(missing, x)
		}
	}
	for x, state := range have {
		if !want[x] && state != elbv2types.TargetHealthStateEnumDraining {
			surplus = append(surplus, x)
		}
	}
	slices.SortFunc(missing, compareTargets)
	slices.SortFunc(surplus, compareTargets)
	return missing, surplus
}

func compareTargets(x, y Target) int {
	return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Port, y.Port))
}

func sortedTargets[V any](m map[Target]V) []Target {
	return slices.SortedFunc(maps.Keys(m), compareTargets)
}

func descriptions(targets []Target) []elbv2types.TargetDescription {
	out := make([]elbv2types.TargetDescription, len(targets))
	for i, x := range targets {
		out[i] = elbv2types.TargetDescription{Id: awssdk.String(x.ID), Port: awssdk.Int32(x.Port)}
	}
	return out
}

// targetNames names a few targets, and counts the others.
func targetNames(targets []Target) string {
	list := make([]string, len(targets))
	for i, x := range targets {
		list[i] = fmt.Sprintf("%s:%d", x.ID, x.Port)
	}
	return someOf(list)
}

// someOf names a few, and counts the others.
func someOf(list []string) string {
	const most = 3
	return strings.Join(provider.Few(list, most), ", ")
}
