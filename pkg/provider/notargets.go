// SPDX-License-Identifier: Apache-2.0

package provider

import v1 "k8s.io/api/core/v1"

// ReasonNoTargets is the reason of the Warning of NothingServes.
const ReasonNoTargets = "NoTargets"

// NothingServes is the Warning to the user of a Service whose load balancer is
// made, but with nothing behind it: the text says why, and what helps. It has no
// counts, so that it is told once as long as that lasts.
func NothingServes(why string) Notice {
	return Notice{Reason: ReasonNoTargets, Message: "the load balancer gets no target that can serve: " + why, Warning: true}
}

// WhyNoNode is why no node may receive traffic, and what helps, where KeptOut
// keeps out all that there are.
const WhyNoNode = "the cluster has no node that load balancers may send to: it has none, or all have label " + v1.LabelNodeExcludeBalancers +
	" or are being deleted; take the label off, or add a node"
