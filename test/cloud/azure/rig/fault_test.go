// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"time"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// answering answers the write once by the fault.
func answering(name string, fault *azuresim.Fault) harness.Disturbance[*world] {
	return harness.Spoiling(name, func(w *world, chosen func(int) bool) {
		w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
			if !chosen(call.Write) {
				return nil
			}
			return fault
		})
	})
}

func faults() []harness.Disturbance[*world] {
	done := &azuresim.Fault{When: azuresim.After, Status: http.StatusInternalServerError, Code: "InternalServerError"}
	return []harness.Disturbance[*world]{
		answering("answered by 412", azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0)),
		answering("answered by 409", azuresim.Refuse(http.StatusConflict, "AnotherOperationInProgress", 0)),
		answering("answered by 429", azuresim.Refuse(http.StatusTooManyRequests, "TooManyRequests", time.Second)),
		answering("answered by 500", azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0)),
		answering("done, but answered by 500", done),
		answering("cut before the commit", azuresim.Drop(azuresim.Before)),
		answering("cut after the commit", azuresim.Drop(azuresim.After)),
	}
}
