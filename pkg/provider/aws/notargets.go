// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
)

// warnNoTargets tells of a Service whose load balancer can serve nothing. Pods
// that come together with their Service are ready a moment later: of them it
// tells where there was an address before.
func (t *turn) warnNoTargets(a *ask) {
	why := t.whyNoInstances(a)
	if why == "" && a.hasHostname() {
		why = t.whyNoEndpoints(a)
	}
	if why != "" {
		a.notices = append(a.notices, provider.NothingServes(why))
	}
}

// whyNoTargets is why the load balancer of a Service can serve nothing, and what
// helps; empty where something can, or nobody knows.
func (t *turn) whyNoTargets(a *ask) string {
	return cmp.Or(t.whyNoInstances(a), t.whyNoEndpoints(a))
}

func (a *ask) sendsToPods() bool {
	return slices.ContainsFunc(a.mappings, func(m *mapping) bool { return m.kind == elbv2types.TargetTypeEnumIp })
}

func (t *turn) whyNoEndpoints(a *ask) string {
	if a.sendsToPods() {
		return t.whyNoPods(a)
	}
	return t.whyNoneIsLocal(a)
}

// whyNoInstances is whyNoTargets as far as nodes are the reason.
func (t *turn) whyNoInstances(a *ask) string {
	switch {
	case a.sendsToPods():
		return ""
	case t.nodesGiven == 0:
		return provider.WhyNoNode + untilThen
	case len(t.nodes) == 0:
		return "no node is an EC2 instance that AWS is not ending; add one, or let pods be targets where all are Fargate's or hybrid nodes" + untilThen
	case len(a.targets) == 0:
		return fmt.Sprintf("annotation %s asks for nodes with %s, and none that may serve has that; label nodes, or correct the annotation", intent.KeyAWSNodeLabels, labelsText(a.nodeLabels())) + untilThen
	case !slices.ContainsFunc(a.targets, func(id string) bool { return !t.sleeps(id) }):
		return "the instances of all nodes that may serve are stopped; start one, or add a node"
	}
	return ""
}

// untilThen says what putTargets does without any node.
const untilThen = ". Targets of before stay until then"

// labelsText are labels as the annotation has them, sorted.
func labelsText(labels map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, strings.TrimSuffix(key+"="+labels[key], "="))
	}
	return strings.Join(out, ",")
}

// whyNoPods is whyNoTargets where pods are targets. A Service that is new has
// its endpoints a moment later.
func (t *turn) whyNoPods(a *ask) string {
	if slices.ContainsFunc(a.mappings, func(m *mapping) bool { return len(t.targetsAt(a, m)) > 0 }) {
		return ""
	}
	all, ready := 0, 0
	for _, s := range t.observed.Slices[a.key] {
		all += len(s.Endpoints)
		ready += len(readyIn(s))
	}
	selects := len(a.item.Service.Spec.Selector) > 0
	switch {
	case t.observed.Slices == nil:
		return ""
	case len(t.observed.Slices[a.key]) == 0 && selects:
		return "the Service has no EndpointSlice, which kube-controller-manager writes for its selector; see that it runs, and may write them" + untilThen
	case all == 0 && selects:
		return "no pod has the labels of spec.selector; start pods, or correct the selector"
	case all == 0:
		return "the Service has no selector, and nobody has written an EndpointSlice for it; do one of the two"
	case ready == 0:
		return "no pod behind the Service is ready; kubectl describe pod says why"
	}
	return "no ready pod has a port of the Service at an address of its family; correct targetPort, or spec.ipFamilies"
}

// whyNoneIsLocal is why all targets of a Service with the policy Local fail
// their health checks; empty where one passes, or endpoints are not known.
func (t *turn) whyNoneIsLocal(a *ask) string {
	if a.item.Intent.Traffic != intent.Local || len(t.observed.Slices[a.key]) == 0 {
		return ""
	}
	serving := map[string]bool{}
	for _, n := range t.nodes {
		if slices.Contains(a.targets, n.instance) {
			serving[n.name] = true
		}
	}
	for _, s := range t.observed.Slices[a.key] {
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			if isReady(e) && (e.NodeName == nil || serving[awssdk.ToString(e.NodeName)]) {
				return ""
			}
		}
	}
	return "externalTrafficPolicy is Local, and no node that may serve has a ready pod of the Service, so all fail the health check; kubectl get pods -o wide says where they are"
}
