// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
)

// answering answers the write once by the fault.
func answering(name string, fault *azuresim.Fault) disturbance {
	return disturbance{name: name, arm: func(w *world, write int) func() bool {
		var struck atomic.Bool
		w.sim.SetFault(func(call azuresim.Call) *azuresim.Fault {
			if call.Write != write {
				return nil
			}
			struck.Store(true)
			return fault
		})
		return struck.Load
	}}
}

func faults() []disturbance {
	done := &azuresim.Fault{When: azuresim.After, Status: http.StatusInternalServerError, Code: "InternalServerError"}
	return []disturbance{
		answering("answered by 412", azuresim.Refuse(http.StatusPreconditionFailed, "PreconditionFailed", 0)),
		answering("answered by 409", azuresim.Refuse(http.StatusConflict, "AnotherOperationInProgress", 0)),
		answering("answered by 429", azuresim.Refuse(http.StatusTooManyRequests, "TooManyRequests", time.Second)),
		answering("answered by 500", azuresim.Refuse(http.StatusInternalServerError, "InternalServerError", 0)),
		answering("done, but answered by 500", done),
		answering("cut before the commit", azuresim.Drop(azuresim.Before)),
		answering("cut after the commit", azuresim.Drop(azuresim.After)),
	}
}

// Every single write fails once, or only its answer is lost.
func TestFaultAtEveryWrite(t *testing.T) {
	for _, pools := range variants() {
		t.Run(pools, func(t *testing.T) { everyWrite(t, pools, faults(), 80) })
	}
}
