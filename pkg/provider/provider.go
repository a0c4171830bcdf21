// SPDX-License-Identifier: Apache-2.0

// Package provider is the contract between the engine and a cloud. Each cloud
// is one folder below this one.
package provider

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// Group names the Services that share written cloud objects. They are
// observed, planned and written together, one pass at a time.
type Group string

// Want is what shall become of a Service's load balancer. The zero value is
// none.
type Want uint8

// The wants.
const (
	// Serve: the load balancer is to be as the intent says.
	Serve Want = iota + 1
	// Keep: the Service's new form is refused. What serves it now stays as it
	// is, and follows the nodes; nothing is made anew.
	Keep
	// Remove: nothing of the load balancer shall remain.
	Remove
)

// Cause is why a Service is in a batch. The zero value is none.
type Cause uint8

// The causes, the weakest first: where several meet, the last one counts.
const (
	Drift  Cause = iota + 1 // the timer
	Nodes                   // the nodes changed
	Freed                   // something it waits for may be free now
	Config                  // the configuration changed
	Resync                  // the first time since the start, or the same form again
	Edit                    // the user changed the Service
	Repair                  // the user asked for what differs to be set right
)

// Item is one Service of a batch.
type Item struct {
	Key     plan.Key
	Service *v1.Service // the newest known, read-only
	Want    Want
	Cause   Cause
	Intent  intent.Intent // set when Want is Serve
}

// Edited reports whether the user asked for what the Service says now, so that
// what differs is set right though a peer would leave it.
func (it *Item) Edited() bool { return it.Cause == Edit || it.Cause == Repair }

// Batch is what one pass is about.
type Batch struct {
	Group Group
	Items []Item     // oldest Service first, then by key; one for each key
	Nodes []*v1.Node // the nodes that may receive traffic, by name, read-only
	// Before is what was observed for some of the items a moment ago, in the same
	// pass: nothing of it was written since. Nil: nothing was.
	Before Pass
}

// ByKey are the items by the Services' keys.
func (b *Batch) ByKey() map[plan.Key]*Item {
	out := make(map[plan.Key]*Item, len(b.Items))
	for i := range b.Items {
		out[b.Items[i].Key] = &b.Items[i]
	}
	return out
}

// UnknownStep answers Execute for a step that the pass did not decide.
func UnknownStep(st plan.Step) error {
	return &plan.Error{Kind: plan.Invalid, Reason: "UnknownStep", Err: fmt.Errorf("%s is no step of this pass; plan again", st.Target)}
}

// Provider is one cloud.
type Provider interface {
	// Name is the name in --cloud-provider.
	Name() string
	// Group names the group of the Service. It depends only on what survives
	// in the Service until its load balancer is removed.
	Group(svc *v1.Service) Group
	// Observe makes the few reads that the batch needs. It writes nothing, and
	// is never called twice at once for one group.
	Observe(ctx context.Context, batch Batch) (Pass, error)
	// Find reports the load balancer of a Service, and whether any fragment of
	// it remains. Absence is no error. Where in doubt it says yes: the answer
	// no means that nothing has to be removed.
	Find(ctx context.Context, svc *v1.Service) (*v1.LoadBalancerStatus, bool, error)
	// NodeFingerprint reduces a node to what load balancers of this cloud
	// depend on. Passes start when it changes, for a node that comes too;
	// empty when nothing depends on the node.
	NodeFingerprint(node *v1.Node) string
	// Changed receives when Services may have to be looked at again for a
	// reason outside the cluster's Services and nodes, such as a new
	// configuration. It may be nil.
	Changed() <-chan struct{}
	// Instances and Routes are the cloud's answers about nodes; nil where the
	// cloud has none to give.
	Instances() cloudprovider.InstancesV2
	Routes() cloudprovider.Routes
}

// Decision is what shall be done for a batch.
type Decision struct {
	// Plan has the steps in any order: who carries them out orders them.
	Plan plan.Plan
	// Refused are the Services that cannot be served as they want, each with
	// the sentence that says why and what to do. What serves them stays.
	Refused map[plan.Key]error
	// Notices are to be told to the user, as events of the Service.
	Notices map[plan.Key][]Notice
	// Again is when the Services of the group are to be looked at once more though
	// nothing happens, as the cloud does not show yet what they need; zero: never.
	// The provider makes it longer from look to look (Sought).
	Again time.Duration
}

// Notice is something a user should know about a Service that is served.
type Notice struct {
	Reason  string // fixed and PascalCase
	Message string // one sentence
	Warning bool
}

// Pass is one turn over one batch: what was observed, and what follows.
type Pass interface {
	// Decide computes what shall be done. It is pure, and equal observations
	// give equal decisions.
	Decide() Decision
	// Execute does one step of the decision. The parts of the Services in
	// without are left as they were observed, or as an earlier execution wrote
	// them: a shared step may be executed several times in one pass, with other
	// Services left out, so a conditional write uses the newest etag. Every step
	// can be done again after a lost answer. Errors are *plan.Error, whose sentence
	// names what was to be written, as nobody adds it; or a *plan.LeftOutError when it
	// was done but for parts that the cloud refuses, or that could not be in it any
	// more. Steps that do not need each other run side by side.
	Execute(ctx context.Context, step plan.Step, without map[plan.Key]bool) error
	// Status is the status of the Service after the steps that serve it are
	// done, never nil for a Service with Want Serve that was not refused. Every
	// address has its ipMode.
	Status(key plan.Key) *v1.LoadBalancerStatus
}
