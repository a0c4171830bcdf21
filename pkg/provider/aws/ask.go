// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"net/netip"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// ask is what one Service of the batch asks of AWS.
type ask struct {
	item *provider.Item
	key  plan.Key
	// want is the item's, but Keep for what was refused.
	want provider.Want
	kind Kind // asked for
	// elsewhere: it is another controller's, and nothing of it is touched while
	// it lives.
	elsewhere bool
	name      string // of its load balancer, by the peer's rule
	place     string // name of the load balancer that serves it
	tags      map[string]string
	targets   []string // ids of the instances that get its traffic, sorted
	// mine: we made its load balancer, or there is none yet.
	mine     bool
	mappings []*mapping
	network  *Network // that is there already; of Serve alone
	// groups are the security groups of its load balancer. The nodes let in the
	// one that all share, or else the first.
	groups []Ref
	// nodeSources are the groups that the nodes let in with all protocols: those
	// of classic load balancers.
	nodeSources []Ref
	// lettingGo are the ids of security groups, not ours, that its classic load
	// balancer has until it is deleted.
	lettingGo []string
	// subnets are the ids of those of its load balancer.
	subnets []string
	notices []provider.Notice
}

func newAsk(it *provider.Item, t *turn, nodes []node) *ask {
	svc := it.Service
	a := &ask{item: it, key: it.Key, want: it.Want, name: names.LoadBalancer(svc.UID)}
	a.place = a.name
	a.kind, a.elsewhere = kindOf(svc, t.settings.Claims)
	more := maps.Clone(t.settings.MoreTags)
	if more == nil {
		more = map[string]string{}
	}
	maps.Copy(more, a.pairs(intent.KeyAWSTags))
	a.tags = t.settings.Tags.ServiceTags(more, svc.Namespace, svc.Name)
	a.mine = t.madeByUs(a.name)
	a.targets = targetsOf(nodes, a.nodeLabels())
	return a
}

// madeByUs reports whether no load balancer with the name is a peer's.
func (t *turn) madeByUs(name string) bool {
	mine := true
	if lb, ok := t.networksByName[name]; ok {
		_, mine = lb.Tags[names.TagMade]
	}
	if lb, ok := t.observed.Classics[name]; ok && mine {
		_, mine = lb.Tags[names.TagMade]
	}
	return mine
}

// kindOf is the kind of load balancer that the Service asks for, and whether
// another controller makes it.
func kindOf(svc *v1.Service, c Claims) (kind Kind, elsewhere bool) {
	switch intent.AWSFormOf(svc) {
	case intent.AWSNetwork:
		return NetworkKind, false
	case intent.AWSExternal:
		lives := svc.DeletionTimestamp == nil && svc.Spec.Type == v1.ServiceTypeLoadBalancer
		return NetworkKind, lives && c != AlsoLoadBalancerController
	case intent.AWSClassic:
	}
	return ClassicKind, false
}

// strict reports whether what differs is set right though the peer would leave
// it: the user asked for what the Service says now, or the load balancer never
// was the peer's.
func (a *ask) strict() bool {
	return a.mine || a.item.Cause == provider.Edit || a.item.Cause == provider.Repair
}

func (a *ask) warn(reason, message string) {
	a.notices = append(a.notices, provider.Notice{Reason: reason, Message: message, Warning: true})
}

func (a *ask) tell(reason, message string) {
	a.notices = append(a.notices, provider.Notice{Reason: reason, Message: message})
}

// hasHostname reports whether the status shows a load balancer.
func (a *ask) hasHostname() bool { return len(a.item.Service.Status.LoadBalancer.Ingress) > 0 }

// clients are the addresses that may connect.
func (a *ask) clients() []netip.Prefix {
	if list := a.item.Intent.SourceRanges; len(list) > 0 {
		return list
	}
	return everyone()
}

// serve reports whether a load balancer is to be as the Service says.
func (a *ask) serve() bool { return a.want == provider.Serve && !a.elsewhere }
