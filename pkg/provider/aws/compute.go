// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// Kinds of steps' targets.
const (
	kindNetwork          = "aws/loadBalancer"               // by name
	kindAttributes       = "aws/loadBalancerAttributes"     // by the load balancer's name
	kindSubnets          = "aws/loadBalancerSubnets"        // by the load balancer's name
	kindAddressType      = "aws/loadBalancerAddressType"    // by the load balancer's name
	kindGroups           = "aws/loadBalancerGroups"         // by the load balancer's name
	kindTags             = "aws/tags"                       // by the load balancer's name, or that of a target group of a shared one
	kindOwner            = "aws/loadBalancerHead"           // by the load balancer's name
	kindClassic          = "aws/classicLoadBalancer"        // by name
	kindTargetGroup      = "aws/targetGroup"                // by name
	kindHealthCheck      = "aws/healthCheck"                // by the target group's name
	kindTargetSettings   = "aws/targetGroupAttributes"      // by the target group's name
	kindTargets          = "aws/targets"                    // by the target group's name
	kindListeners        = "aws/listeners"                  // by the classic load balancer's name
	kindCertificate      = "aws/listenerCertificate"        // by the classic load balancer's name and the port
	kindListenerPolicy   = "aws/listenerPolicy"             // by the classic load balancer's name and the port
	kindBackendPolicy    = "aws/backendPolicy"              // by the classic load balancer's name and the node port
	kindPolicy           = "aws/policy"                     // by the classic load balancer's name and the policy's
	kindListener         = "aws/listener"                   // by the load balancer's name and the port
	kindListenerSettings = "aws/listenerAttributes"         // by the load balancer's name and the port
	kindPrivateLink      = "aws/privateLinkRules"           // by the load balancer's name
	kindCertificates     = "aws/listenerCertificates"       // by the load balancer's name and the port
	kindGroup            = "aws/securityGroup"              // by name
	kindGroupRules       = "aws/securityGroupRules"         // by the group's name, and the Service that has not made it
	kindNodeGroup        = "aws/nodeSecurityGroup"          // by the group's id; what it lets in
	kindNodeLeftovers    = "aws/nodeSecurityGroupLeftovers" // by the group's id; what it does not let in any more
)

// Input is what a computation depends on.
type Input struct {
	Settings *Settings
	Observed *Observed
	Batch    provider.Batch
	// Without are Services of the batch whose parts stay as they are observed.
	Without map[plan.Key]bool
	// Leftovers: there is no batch; what belongs to no Service is deleted.
	Leftovers bool
}

// Result is what a batch makes of what was observed.
type Result struct {
	// Refused and Notices are as in provider.Decision.
	Refused map[plan.Key]error
	Notices map[plan.Key][]provider.Notice
	// Steps are in no order.
	Steps []plan.Step
	// Writes are what the steps send, by their targets.
	Writes map[plan.ID]Write
	// Places are where the Services of the batch are served.
	Places map[plan.Key]Place
	// NewAddresses are the addresses that load balancers get and do not have, elastic
	// IPs by their allocation ids, and the Services that ask for them.
	NewAddresses map[string]plan.Key
	// Awaited are the load balancers that Services beside the batch share: when one
	// is made, they are to be looked at.
	Awaited map[plan.ID]bool
	// HeadNeeded: a Service of the batch waits for a load balancer that is not there
	// any more, and whose head is not in the batch.
	HeadNeeded bool
}

// Place is the load balancer that serves a Service.
type Place struct {
	Kind Kind
	Name string
}

// Kind is a kind of load balancer. The zero value is none.
type Kind uint8

// The kinds.
const (
	NetworkKind Kind = iota + 1
	ClassicKind
)

// Compute is what shall be done. It is pure, changes nothing of its input, and
// equal inputs give equal results.
//
// A Service that is refused keeps what it has and follows the nodes, and the
// rest is computed without it.
func Compute(in Input) *Result {
	refused := unreadable(&in)
	in, kept := in.keepForms()
	maps.Copy(refused, kept)
	for {
		t := newTurn(&in, refused)
		t.run()
		if len(t.refused) == 0 {
			return t.result(refused)
		}
		maps.Copy(refused, t.refused)
	}
}

// Rewritten is what a step writes when it is computed again.
type Rewritten struct {
	Write Write // no calls: nothing is left to write
	// Left are the Services that are refused by now, with the reason: they are
	// left out as well, and the step does nothing for them.
	Left map[plan.Key]error
}

// Rewrite is what the shared step with the target writes, after other steps
// were done and with the Services of in.Without left out: it is computed again
// from what is known by now. in is the input of r but for Observed and Without.
func (r *Result) Rewrite(in Input, target plan.ID) Rewritten {
	in.Without = maps.Clone(in.Without)
	if in.Without == nil {
		in.Without = map[plan.Key]bool{}
	}
	for key := range r.Refused {
		in.Without[key] = true
	}
	compute := Compute
	if in.Leftovers {
		compute = Leftovers
	}
	again := compute(in)
	out := Rewritten{Write: again.Writes[target], Left: map[plan.Key]error{}}
	for key, err := range again.Refused {
		if !in.Without[key] {
			out.Left[key] = &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("since the plan was made something changed: %w", err)}
		}
	}
	return out
}

// turn is one computation.
type turn struct {
	settings       *Settings
	observed       *Observed
	nodes          []node // whose instances can be targets, of nodesGiven that may serve
	nodesGiven     int
	asks           []*ask // oldest Service first
	inBatch        map[plan.Key]*ask
	without        map[plan.Key]bool
	refused        map[plan.Key]error
	refusedBefore  map[plan.Key]error // by earlier computations of the batch
	steps          []plan.Step
	writes         map[plan.ID]Write
	networks       []*Network // by ARN; nil: not sorted yet
	networksByName map[string]*Network
	// descriptions are those of all rules of security groups.
	descriptions map[string]bool
	groupsByName map[string]*ec2types.SecurityGroup
	// ours are names of load balancers, ownersByName Services of the batch by
	// those whose rules are theirs; nil: not asked yet.
	ours         map[string]bool
	ownersByName map[string]*ask
	// backend is the id of the security group that network load balancers
	// share; empty when it is not there.
	backend string
	// coming are the Services outside the batch whose load balancers are being
	// made.
	coming []*ask
	// sharedPorts are the ports at which the nodes let that group in, by
	// protocol; hiddenPorts: there are others, which only pods tell.
	sharedPorts protocolPorts
	hiddenPorts bool
	// guards are those of instances that were looked at, by the instances' ids.
	guards map[string]guard
	// newAddresses are the addresses that load balancers get, by the Services that ask.
	newAddresses map[string]plan.Key
	// living are the Services of the external form that want a load balancer, and
	// sharing what those have that name it.
	living  map[plan.Key]*v1.Service
	sharing map[string]*share
	// attached are the target groups by the ARNs of their load balancers, and
	// tagged by the Services of the external form that their tags name.
	attached map[string][]*TargetGroup
	tagged   map[plan.Key][]*TargetGroup
}

func newTurn(in *Input, refused map[plan.Key]error) *turn {
	t := &turn{
		settings: in.Settings, observed: in.Observed, without: in.Without,
		refused: map[plan.Key]error{}, refusedBefore: refused, writes: map[plan.ID]Write{}, inBatch: map[plan.Key]*ask{}, guards: map[string]guard{}, newAddresses: map[string]plan.Key{},
		networksByName: in.Observed.networksByName(), descriptions: map[string]bool{}, groupsByName: map[string]*ec2types.SecurityGroup{},
	}
	for _, g := range in.Observed.Groups {
		if g.VpcId == nil || *g.VpcId == in.Settings.VPC {
			t.groupsByName[awssdk.ToString(g.GroupName)] = g
		}
	}
	for _, id := range slices.Sorted(maps.Keys(in.Observed.Groups)) {
		if t.backend == "" && in.Settings.Tags.OwnsBackend(ec2Tags(in.Observed.Groups[id].Tags)) {
			t.backend = id
		}
	}
	t.findLiving(in)
	t.nodes, t.nodesGiven = t.nodesOf(in.Batch.Nodes), len(in.Batch.Nodes)
	for i := range in.Batch.Items {
		it := &in.Batch.Items[i]
		if in.Without[it.Key] {
			continue
		}
		a := newAsk(it, t, t.nodes)
		if refused[it.Key] != nil {
			a.want = provider.Keep
		}
		t.asks = append(t.asks, a)
		if !a.outlived {
			t.inBatch[a.key] = a
		}
	}
	t.findShares()
	return t
}

func (t *turn) refuse(a *ask, err error) {
	if t.refused[a.key] == nil {
		t.refused[a.key] = err
	}
}

// run computes the steps. It may stop early when a Service is refused: then all
// is computed again with what that one has kept as it is.
func (t *turn) run() {
	t.handOver()
	for _, follows := range []bool{false, true} {
		for _, a := range t.asks {
			if a.follows() != follows {
				continue
			}
			if err := t.one(a); err != nil {
				t.refuse(a, err)
			}
		}
	}
	for _, a := range t.asks {
		t.leave(a)
		if a.serve() {
			t.warnNoTargets(a)
			a.warnClients()
		}
	}
	if len(t.refused) == 0 {
		t.coming = t.findComing()
		t.secureNodes()
		t.dropNetworkGroups()
		t.dropClassicGroups()
		t.dropBackend()
	}
}

// one computes the private steps of one Service.
func (t *turn) one(a *ask) error {
	switch {
	case a.elsewhere:
		return nil
	case a.want == provider.Remove:
		t.removeNetworks(a)
		t.removeClassic(a)
		return nil
	case a.want == provider.Keep:
		t.keepNetwork(a)
		t.keepClassic(a)
		return nil
	case len(t.observed.Subnets) == 0:
		return refuse(ReasonNoSubnets, "VPC %s has no subnet in region %s that can be seen; correct VPC and region in the cloud-config", t.settings.VPC, t.settings.Region)
	case t.waitsForNodes(a):
		return api.Reworded(t.observed.NodesUnread, "the Service waits until it is known which security groups its nodes have, to let its load balancer in there, and they cannot be read: "+t.observed.NodesUnread.Error())
	case a.follows():
		return t.followNetwork(a)
	case a.kind == NetworkKind:
		return t.serveNetwork(a)
	default:
		return t.serveClassic(a)
	}
}
