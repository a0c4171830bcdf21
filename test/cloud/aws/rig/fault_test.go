// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// answering answers the write once by the fault.
func answering(name string, fault func(awssim.Call) *awssim.Fault) harness.Disturbance[*world] {
	return harness.Spoiling(name, func(w *world, chosen func(int) bool) {
		w.sim.SetFault(func(call awssim.Call) *awssim.Fault {
			if !chosen(call.Write) {
				return nil
			}
			return fault(call)
		})
	})
}

// always is the same fault for all calls.
func always(fault *awssim.Fault) func(awssim.Call) *awssim.Fault {
	return func(awssim.Call) *awssim.Fault { return fault }
}

// clash is what a call is answered that finds other things than it was made for,
// by its action.
func clash(call awssim.Call) *awssim.Fault {
	code, ok := map[string]string{
		"CreateLoadBalancer": "DuplicateLoadBalancerName", "CreateTargetGroup": "DuplicateTargetGroupName", "CreateListener": "DuplicateListener",
		"CreateSecurityGroup": "InvalidGroup.Duplicate", "AuthorizeSecurityGroupIngress": "InvalidPermission.Duplicate",
		"RevokeSecurityGroupIngress": "InvalidPermission.NotFound", "DeleteTargetGroup": "ResourceInUse", "DeleteSecurityGroup": "DependencyViolation",
		"DeleteListener": "ListenerNotFound", "ModifyListener": "ListenerNotFound",
		"CreateLoadBalancerPolicy": "DuplicatePolicyName", "CreateLoadBalancerListeners": "DuplicateListener",
	}[call.Action]
	if !ok {
		code = "ConcurrentModification"
	}
	return awssim.Refuse(http.StatusBadRequest, code)
}

func faults() []harness.Disturbance[*world] {
	done := &awssim.Fault{When: awssim.After, Status: http.StatusInternalServerError, Code: "InternalError"}
	return []harness.Disturbance[*world]{
		answering("throttled", awssim.Throttled),
		answering("answered by a conflict", clash),
		answering("answered by 500", always(awssim.Refuse(http.StatusInternalServerError, "InternalFailure"))),
		answering("done, but answered by 500", always(done)),
		answering("cut before the commit", always(awssim.Drop(awssim.Before))),
		answering("cut after the commit", always(awssim.Drop(awssim.After))),
	}
}
