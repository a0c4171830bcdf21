// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// Reason says in one CamelCase word why an address is not announced. The words
// are stable: scripts and dashboards may rely on them.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	ReasonNotLoadBalancer           Reason = "NotLoadBalancer"           // the Service is of another type
	ReasonForeignClass              Reason = "ForeignClass"              // another controller's loadBalancerClass
	ReasonServiceDeleting           Reason = "ServiceDeleting"           // the Service has a deletion timestamp
	ReasonNoAddress                 Reason = "NoAddress"                 // no address in its status yet
	ReasonInvalidAddress            Reason = "InvalidAddress"            // the status holds no IP address there
	ReasonProxyMode                 Reason = "ProxyMode"                 // ipMode Proxy: kube-proxy does not serve it
	ReasonNotInAnyPool              Reason = "NotInAnyPool"              // no pool holds the address
	ReasonFamilyNotServed           Reason = "FamilyNotServed"           // the Service has not the address's family
	ReasonNodeUnknown               Reason = "NodeUnknown"               // no such Node object
	ReasonNodeDrained               Reason = "NodeDrained"               // the node leaves and its drain time is over
	ReasonKubeProxyUnhealthy        Reason = "KubeProxyUnhealthy"        // a new node's kube-proxy is not ready
	ReasonNodeExcluded              Reason = "NodeExcluded"              // exclude-from-external-load-balancers
	ReasonNodeNetworkUnavailable    Reason = "NodeNetworkUnavailable"    // condition NetworkUnavailable
	ReasonNoEndpoints               Reason = "NoEndpoints"               // no endpoint in the cluster
	ReasonNoLocalEndpoints          Reason = "NoLocalEndpoints"          // policy Local, none on this node
	ReasonNoAdvertisement           Reason = "NoAdvertisement"           // no advertisement covers pool and Service
	ReasonNodeNotSelected           Reason = "NodeNotSelected"           // its advertisements select other nodes
	ReasonNoPeerForNode             Reason = "NoPeerForNode"             // no peer of the advertisement is this node's
	ReasonNoNextHop                 Reason = "NoNextHop"                 // the node has no address of that family
	ReasonConflictingAdvertisements Reason = "ConflictingAdvertisements" // different localPref for one prefix
	// ReasonKubeProxyPending is known to the node's own speaker alone.
	ReasonKubeProxyPending Reason = "KubeProxyPending"
)

// Withheld is an address that is not announced, and why.
type Withheld struct {
	// Addr is the address; invalid when the whole Service is meant.
	Addr netip.Addr `json:"addr,omitzero"`
	// Peer is the peer that does not hear of it; empty means all of them.
	Peer   string `json:"peer,omitempty"`
	Reason Reason `json:"reason"`
	// Message says it in a sentence, with the cure.
	Message string `json:"message"`
}

// GracefulShutdown is the community that asks routers to prefer any other path
// (RFC 8326 section 5).
const GracefulShutdown cloudconfig.Community = 0xFFFF0000
