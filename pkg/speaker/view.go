// SPDX-License-Identifier: Apache-2.0

// Package speaker decides which node announces which address to which BGP peer,
// and says why not where it does not. It is pure: Services, EndpointSlices, a
// node and the configuration go in, routes and reasons come out. The speaker
// acts on them and the plugin prints them, for any node.
package speaker

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// Class is the loadBalancerClass of Services on bare metal.
const Class = "fairlead.dev/metal"

// Unclassed says whose Services without a loadBalancerClass are. The zero value
// is none.
type Unclassed uint8

// What to do with Services that have no class.
const (
	UnclassedOurs    Unclassed = iota + 1 // serve them
	UnclassedForeign                      // leave them to another controller
)

// prepends is how often a marked route repeats the own ASN on eBGP, beyond the
// one that is always there: enough to lose against paths of unmarked nodes,
// which differ by none.
const prepends = 3

// Facts are what the decisions of one node rest on, apart from Services.
type Facts struct {
	Node  Node
	Phase Phase
	// Metal is the configuration. It must not change afterwards.
	Metal     *cloudconfig.Metal
	Unclassed Unclassed
}

// View is Facts made ready for many decisions. It is read-only and may be used
// by several goroutines at once.
type View struct {
	facts Facts
	// silence is why the whole node announces nothing; empty when it may.
	silence Withheld
	marked  bool
	peers   []viewPeer // of this node, by name
	ads     []viewAd   // in the order of the file
}

type viewPeer struct {
	name   string
	v4     bool // the session runs over IPv4
	ibgp   bool
	source *cloudconfig.Peer
}

type viewAd struct {
	*cloudconfig.Advertisement
	here        bool // selects this node
	communities []cloudconfig.Community
}

// NewView prepares decisions.
func NewView(f Facts) *View {
	v := &View{facts: f, silence: silence(f)}
	v.marked = f.Node.Cordoned || f.Phase == Draining
	for i := range f.Metal.Peers {
		p := &f.Metal.Peers[i]
		if p.NodeSelectors.Matches(f.Node.Labels) {
			v.peers = append(v.peers, viewPeer{name: p.Name, v4: p.Address.Is4(), ibgp: p.IBGP(), source: p})
		}
	}
	slices.SortFunc(v.peers, func(a, b viewPeer) int { return compareString(a.name, b.name) })
	for i := range f.Metal.Advertisements {
		a := &f.Metal.Advertisements[i]
		own := slices.Clone(a.Communities)
		slices.Sort(own)
		own = slices.Compact(own)
		if v.marked {
			own = unite(own, []cloudconfig.Community{GracefulShutdown})
		}
		v.ads = append(v.ads, viewAd{
			Advertisement: a,
			here:          a.NodeSelectors.Matches(f.Node.Labels),
			communities:   own,
		})
	}
	return v
}

// Peers returns the peers that the node holds sessions with, by name.
func (v *View) Peers() []*cloudconfig.Peer {
	out := make([]*cloudconfig.Peer, len(v.peers))
	for i, p := range v.peers {
		out[i] = p.source
	}
	return out
}

// Marked reports whether the node's routes ask routers to prefer other paths.
func (v *View) Marked() bool { return v.marked }

// Silence returns why the node announces nothing at all, and false when it may
// announce.
func (v *View) Silence() (Withheld, bool) { return v.silence, v.silence.Reason != "" }

// silence is why a whole node announces nothing.
func silence(f Facts) Withheld {
	n := f.Node
	switch {
	case !n.Known && f.Phase != Draining:
		return Withheld{
			Reason:  ReasonNodeUnknown,
			Message: fmt.Sprintf("there is no Node object named %q; check --node-name", n.Name),
		}
	case f.Phase == Drained:
		return Withheld{
			Reason:  ReasonNodeDrained,
			Message: fmt.Sprintf("%s leaves: %s, and its drain time of %s is over; it announces again when that goes away", n, n.Leaving, f.Metal.Speaker.DrainTime),
		}
	case f.Phase == Holding:
		return Withheld{
			Reason: ReasonKubeProxyUnhealthy,
			Message: fmt.Sprintf("%s is new and %s has not answered 200 yet; start kube-proxy there, or set metal.speaker.kubeProxyHealthURL to what serves its health, or to \"\" to announce without asking",
				n, f.Metal.Speaker.KubeProxyHealthURL),
		}
	case n.Excluded:
		return Withheld{
			Reason:  ReasonNodeExcluded,
			Message: fmt.Sprintf("%s has the label node.kubernetes.io/exclude-from-external-load-balancers; remove the label to announce from it", n),
		}
	case n.NetworkUnavailable:
		return Withheld{
			Reason:  ReasonNodeNetworkUnavailable,
			Message: fmt.Sprintf("%s has the condition NetworkUnavailable; the network plugin must clear it", n),
		}
	default:
		return Withheld{}
	}
}

// matches reports whether the advertisement covers the pool and the Service.
func (a viewAd) matches(pool string, svc labels.Set) bool {
	return a.covers(pool) && a.ServiceSelectors.Matches(svc)
}

func (a viewAd) covers(pool string) bool {
	return len(a.Pools) == 0 || slices.Contains(a.Pools, pool)
}

func (a viewAd) hears(peer string) bool {
	return len(a.Peers) == 0 || slices.Contains(a.Peers, peer)
}

func compareString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
