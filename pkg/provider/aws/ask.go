// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
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
	// it lives and nothing says that what we made for it is to go.
	elsewhere bool
	// outlived: it stands for a Service that is gone, and what has its tags may
	// be that of a Service with its name that lives.
	outlived bool
	// external: it follows the rules of the AWS Load Balancer Controller.
	external bool
	scheme   elbv2types.LoadBalancerSchemeEnum // of a network load balancer
	base     string                            // the name of its load balancer, by the peer's rule
	name     string                            // of its load balancer: base, but for external ones
	place    string                            // name of the load balancer that serves it
	tags     map[string]string
	targets  []string // ids of the instances that get its traffic, sorted
	unseen   bool     // the security groups of one are not known, or there is none
	// guards are the security groups of its targets that get rules, sorted; nil:
	// not looked for. doubts are what has to be told about them.
	guards, doubts []string
	// mine: we made its load balancer, or there is none yet.
	mine     bool
	mappings []*mapping
	// share is what the Service names for its load balancer; nil: none, or it has
	// another one.
	share *share
	// leaves are the load balancers of others on which it has a part that goes;
	// leaving are the steps that take its listeners off them.
	leaves  []*Network
	leaving []plan.ID
	network *Network // that is there already; of Serve alone
	// groups are the security groups of its load balancer. The nodes let in the
	// one that all share, or else the first.
	groups []Ref
	// judges is what names the groups whose rules, which are not ours, say who the
	// clients are; empty: our rules do.
	judges string
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
	a := &ask{item: it, key: it.Key, want: it.Want, base: names.LoadBalancer(svc.UID)}
	a.name, a.place = a.base, a.base
	a.outlived = t.livesAgain(a)
	a.kind, a.elsewhere = kindOf(svc, t.settings.Claims)
	a.elsewhere = a.elsewhere && !t.lostToController(a)
	a.tags = t.settings.Tags.ServiceTags(t.moreTags(a), svc.Namespace, svc.Name)
	if t.settings.Tags.ID == "" {
		a.tags[names.TagBase] = a.base
	}
	a.warnReserved()
	a.mine = t.madeByUs(a.name)
	a.scheme = schemeOf(it.Intent)
	a.external = !a.elsewhere && t.settings.Claims == AlsoLoadBalancerController && intent.AWSFormOf(svc) == intent.AWSExternal
	if a.external {
		t.beExternal(a)
	}
	a.targets = targetsOf(nodes, a.nodeLabels())
	a.unseen = len(a.targets) == 0 || slices.ContainsFunc(a.targets, func(id string) bool { return t.guardOf(id).hidden })
	return a
}

// livesAgain reports whether the Service goes while another one with its name
// lives already, to which belongs what the tags say.
func (t *turn) livesAgain(a *ask) bool {
	return a.want == provider.Remove && provider.Replaced(t.observed.Services, a.item.Service)
}

// schemeOf is the scheme by the rules of the peer.
func schemeOf(in intent.Intent) elbv2types.LoadBalancerSchemeEnum {
	if intent.AWSInternal(in) == intent.AWSInternalYes {
		return elbv2types.LoadBalancerSchemeEnumInternal
	}
	return elbv2types.LoadBalancerSchemeEnumInternetFacing
}

// moreTags are those that the cloud config and the user add.
func (t *turn) moreTags(a *ask) map[string]string {
	out := maps.Clone(t.settings.MoreTags)
	if out == nil {
		out = map[string]string{}
	}
	for key, value := range a.pairs(intent.KeyAWSTags) {
		if !names.IsReserved(key) {
			out[key] = value
		}
	}
	return out
}

// warnReserved tells of tags in the annotation that would make what is the
// Service's another's.
func (a *ask) warnReserved() {
	for _, key := range slices.Sorted(maps.Keys(a.pairs(intent.KeyAWSTags))) {
		if names.IsReserved(key) {
			a.warn(ReasonUnsupported, fmt.Sprintf("%s, but tag %s tells whose an object is; it is left out: take it away", intent.AWSSays(a.item.Service, intent.KeyAWSTags), key))
		}
	}
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

// lostToController reports whether the Service became the AWS Load Balancer
// Controller's, and what was made for it goes. That controller never made what
// has the peer's name, and has its own tags on what it took over.
func (t *turn) lostToController(a *ask) bool {
	lb := t.networksByName[a.base]
	return a.want == provider.Remove && (lb == nil || !names.IsControllers(lb.Tags))
}

// strict reports whether what differs is set right though the peer would leave
// it: the user asked for what the Service says now, or the load balancer never
// was the peer's.
func (a *ask) strict() bool {
	return a.mine || a.item.Edited()
}

func (a *ask) warn(reason, message string) {
	n := provider.Notice{Reason: reason, Message: message, Warning: true}
	if !slices.Contains(a.notices, n) { // each port may have the same
		a.notices = append(a.notices, n)
	}
}

func (a *ask) tell(reason, message string) {
	a.notices = append(a.notices, provider.Notice{Reason: reason, Message: message})
}

// hasHostname reports whether the status shows a load balancer.
func (a *ask) hasHostname() bool { return len(a.item.Service.Status.LoadBalancer.Ingress) > 0 }

// clients are the addresses that may connect: any where nothing says which.
func (a *ask) clients() []netip.Prefix {
	if list := a.item.Intent.SourceRanges; len(list) > 0 {
		return list
	}
	if len(a.prefixLists()) > 0 {
		return nil
	}
	if a.addressType() == elbv2types.IpAddressTypeDualstack {
		return append(everyone(), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	return everyone()
}

// prefixLists are the ids of those whose addresses may connect, too.
func (a *ask) prefixLists() []string {
	if !a.external {
		return nil
	}
	return a.list(intent.KeyAWSPrefixLists)
}

// serve reports whether a load balancer is to be as the Service says.
func (a *ask) serve() bool { return a.want == provider.Serve && !a.elsewhere }
