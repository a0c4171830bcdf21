// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"maps"
	"net/netip"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Kinds of steps' targets. Those of the nodes' machines are of package machines.
const (
	kindLoadBalancer  = "azure/loadBalancer"  // by name
	kindPublicIP      = "azure/publicIP"      // by name, with the group where that is not the cluster's
	kindPrivateLink   = "azure/privateLink"   // by name, with the group where that is not the usual one
	kindSubnet        = "azure/subnet"        // by name
	kindSecurityGroup = "azure/securityGroup" // by name
)

// Input is what a computation depends on.
type Input struct {
	Settings *Settings
	Observed *Observed
	Batch    provider.Batch
	// Without are Services of the batch whose parts stay as they are observed.
	Without map[plan.Key]bool
	// Leftovers: the batch stands for Services that are gone. Only what is theirs
	// is written, and what bears names of ours and leads nowhere.
	Leftovers bool
	// placed are the load balancer configurations that were chosen before.
	placed map[plan.Key]string
}

// Result is what a batch makes of what was observed.
type Result struct {
	// Refused and Notices are as in provider.Decision.
	Refused map[plan.Key]error
	Notices map[plan.Key][]provider.Notice
	// Steps are in no order, and without those of machines: see WithMembership.
	Steps []plan.Step
	// Writes are what the steps write, by their targets.
	Writes map[plan.ID]Write
	// Places are where the Services of the batch are served, one place for
	// each family.
	Places map[plan.Key][]Place
	// Unreadable are the ids of documents that are not as Azure writes them, and
	// left alone.
	Unreadable []string
	// Pools are the backend pools of all nodes, as they shall be.
	Pools  []Pool
	placed map[plan.Key]string
	// renewed are those of Refused that the steps take apart nevertheless.
	renewed map[plan.Key]bool
}

// Rewritten is what a step writes when it is computed again.
type Rewritten struct {
	Write Write // zero: nothing is left to write
	// Left are the Services that are refused by now, with the reason: they are
	// left out as well, and the step does nothing for them.
	Left map[plan.Key]error
}

// Empty reports whether nothing is left to write.
func (r *Rewritten) Empty() bool { return r.Write.ID == "" }

// Rewrite is what the step with the target writes, after other steps were done
// and with the Services of in.Without left out: a step that Services share is
// computed again from the newest documents. in is the input of r but for
// Observed and Without.
func (r *Result) Rewrite(in Input, target plan.ID) (Rewritten, error) {
	in.placed = r.placed
	in.Without = maps.Clone(in.Without)
	if in.Without == nil {
		in.Without = map[plan.Key]bool{}
	}
	for key := range r.Refused {
		in.Without[key] = in.Without[key] || !r.renewed[key]
	}
	again, err := Compute(in)
	if err != nil {
		return Rewritten{}, err
	}
	var out Rewritten
	for key, err := range again.Refused {
		if again.renewed[key] {
			continue
		}
		if out.Left == nil {
			out.Left = map[plan.Key]error{}
		}
		out.Left[key] = &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("since the plan was made something changed: %w", err)}
	}
	out.Write = again.Writes[target]
	if out.Write.Incomplete {
		return out, &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("an address that %s needs is not there yet", target)}
	}
	return out, nil
}

// Compute is what shall be done. It is pure, changes nothing of its input, and
// equal inputs give equal results. An error is a security group that cannot be
// read; other such documents fail the Services that they may be about.
//
// A Service that is refused is left as it is, as those in Without: what it has
// stays, and the rest is computed without it.
func Compute(in Input) (*Result, error) {
	refused := map[plan.Key]error{}
	for {
		t, err := newTurn(&in, refused)
		if err != nil {
			return nil, &plan.Error{Kind: plan.Transient, Reason: ReasonUnreadableResource, Err: err}
		}
		t.run()
		if len(t.refused) == 0 {
			return t.result(refused), nil
		}
		maps.Copy(refused, t.refused)
	}
}

// turn is one computation. It works on a world of its own.
type turn struct {
	*world
	asks []*ask // what is served and what is removed, oldest Service first
	kept []*provider.Item
	// leftovers is as in Input.
	leftovers bool
	others    []*v1.Service           // all Services that are not among the asks
	bases     map[string]plan.Key     // of all Services that are to live
	before    map[string][]netip.Addr // frontends' addresses as observed, by base
	refused   map[plan.Key]error
	dropped   map[string]*ask // by whom frontends are taken away, by id
	placed    map[plan.Key]string
	// pending are the rules that Services placed before will have.
	pending map[*balancer]int
	// after are the load balancers that one waits for.
	after map[*balancer]map[*balancer]bool
	// arrangement are the nodes of each configuration, once it is known.
	arrangement map[string]map[string]bool
}

func newTurn(in *Input, refused map[plan.Key]error) (*turn, error) {
	w, err := newWorld(in)
	if err != nil {
		return nil, err
	}
	t := &turn{world: w, leftovers: in.Leftovers, placed: maps.Clone(in.placed), bases: map[string]plan.Key{}, refused: map[plan.Key]error{}, dropped: map[string]*ask{}, pending: map[*balancer]int{}, after: map[*balancer]map[*balancer]bool{}}
	if t.placed == nil {
		t.placed = map[plan.Key]string{}
	}
	inBatch := map[types.UID]bool{}
	known := map[string]plan.Key{}
	for i := range in.Batch.Items {
		it := &in.Batch.Items[i]
		base := names.Base(it.Service.UID)
		known[base] = it.Key
		if it.Want == provider.Keep || in.Without[it.Key] || refused[it.Key] != nil {
			t.bases[base] = it.Key
			t.kept = append(t.kept, it)
			continue
		}
		inBatch[it.Service.UID] = true
		a := newAsk(it, w)
		a.outlived = it.Want == provider.Remove && provider.Replaced(t.observed.Services, it.Service)
		t.asks = append(t.asks, a)
		if it.Want == provider.Serve {
			t.bases[base] = it.Key
		}
	}
	t.others = t.servicesBeside(inBatch)
	for _, svc := range t.others {
		key := provider.KeyOf(svc)
		t.bases[names.Base(svc.UID)] = key
	}
	maps.Copy(known, t.bases)
	t.before = w.frontsBefore(known)
	return t, nil
}

// servicesBeside are all Services but those that are computed: also one that
// has the name of one that goes. One that is left as it is counts, though no
// lister knows it any more.
func (t *turn) servicesBeside(inBatch map[types.UID]bool) []*v1.Service {
	var out []*v1.Service
	seen := map[types.UID]bool{}
	add := func(svc *v1.Service) {
		if !inBatch[svc.UID] && !seen[svc.UID] {
			seen[svc.UID] = true
			out = append(out, svc)
		}
	}
	for _, it := range t.kept {
		add(it.Service)
	}
	for _, svc := range t.observed.Services {
		add(svc)
	}
	return out
}

func (t *turn) refuse(a *ask, err error) {
	if t.refused[a.key] == nil {
		t.refused[a.key] = err
	}
}

// run computes the world as it shall be. It stops early when a Service is
// refused: then all is computed again without it. Nobody is judged by what a
// refused Service would have had, so that it draws no other one down.
func (t *turn) run() {
	for _, a := range t.asks {
		if err := t.readable(a); err != nil {
			t.refuse(a, err)
		}
		t.warnOfMissingGroup(a)
	}
	if len(t.refused) > 0 {
		return
	}
	for _, a := range t.asks {
		if !a.serve() {
			continue
		}
		if err := t.prepare(a); err != nil {
			t.refuse(a, err)
			if t.leftBy(a) {
				return
			}
		}
	}
	if len(t.refused) > 0 {
		return
	}
	wants := t.wantAll()
	if len(t.refused) > 0 {
		return
	}
	for _, a := range t.asks {
		t.dropParts(a, wants[a])
	}
	for _, a := range t.asks {
		if err := t.putParts(a, wants[a]); err != nil {
			t.refuse(a, err)
		}
	}
	if len(t.refused) > 0 {
		return
	}
	t.dropSharedProbe()
	t.dropLocalPools()
	t.dropFrontends()
	t.joinLinks()
	if len(t.refused) > 0 {
		return
	}
	if !t.leftovers {
		t.fillPools()
		t.fillLocalPools()
		t.warnNoNodes()
	}
	t.releasePublicIPs()
	t.secure()
}

// prepare decides where the Service is served and who may connect.
func (t *turn) prepare(a *ask) error {
	var err error
	if a.clients, err = a.clientsOf(); err != nil {
		return err
	}
	if err = t.place(a); err != nil {
		return err
	}
	return t.chooseFronts(a)
}

// warnOfMissingGroup tells of a Service that is removed though nobody could look
// where it may be.
func (t *turn) warnOfMissingGroup(a *ask) {
	if a.item.Want != provider.Remove || len(a.statusAddresses()) == 0 {
		return
	}
	for _, group := range t.observed.MissingGroups {
		a.warn(ReasonResourceGroupMissing, fmt.Sprintf("resource group %q (%s of the cloud config) is not there, and nothing of the Service was looked for in it; if that is the wrong group, look for what is left in the right one", group, t.settings.groupKey(group)))
	}
}

// leftBy reports whether a Service that is refused has changed what others are
// judged by: frontends, and public IPs that were there.
func (t *turn) leftBy(a *ask) bool {
	if len(a.fronts) > 0 {
		return true
	}
	for _, p := range t.publicIPs {
		if p.exists && p.serves[a.key] {
			return true
		}
	}
	return false
}

// Place is where a Service is served in one family.
type Place struct {
	Family       intent.Family
	LoadBalancer string // id
	Frontend     string // id
	PublicIP     string // id; empty for an internal load balancer
	// Additional are addresses that lead there from elsewhere; they are with
	// the first family alone.
	Additional []netip.Addr
}
