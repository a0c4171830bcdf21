// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Defaults of Options.
const (
	DefaultSubscription = "11111111-1111-1111-1111-111111111111"
	DefaultLocation     = "eastus"
)

// Options are what a simulated cloud starts with. The zero value works: no
// latency, no throttling, no faults, one page for every list.
type Options struct {
	// Subscription is the only one that is known; DefaultSubscription if empty.
	Subscription string
	// Location is where sites are made; DefaultLocation if empty.
	Location string
	// Groups are resource groups that exist besides those of seeded resources.
	Groups []string
	// Latency says how long calls take.
	Latency Latencies
	// MaxRetryAfter cuts the waits that answers about operations ask for, in
	// whole seconds; 0 leaves them as Azure's.
	MaxRetryAfter time.Duration
	// PageSize is how many resources a page of a list holds; 0 is no limit.
	PageSize int
	// Throttle refuses calls that come too fast; the zero value refuses none.
	Throttle Throttle
}

// Cloud is one simulated subscription. It is safe for concurrent use.
type Cloud struct {
	sim.Spoiler[Call, Fault]

	subscription string
	location     string
	kinds        map[string]*kind
	pageSize     int
	maxWait      time.Duration

	mu          sync.Mutex // guards all below
	latency     Latencies
	groups      map[string]string
	resources   map[string]*resource
	index       linkIndex
	deferred    map[string]bool // targets to renew at the end of a batch
	batches     int
	operations  map[string]*operation
	running     []*operation
	throttle    Throttle
	levels      sim.Buckets // of throttle
	serial      int
	lastPublic  netip.Addr // given last, of each family
	lastPublic6 netip.Addr
	log         sim.Log[Call]
}

// New makes an empty cloud.
func New(o Options) *Cloud {
	c := &Cloud{
		subscription: o.Subscription,
		location:     o.Location,
		kinds:        kindTable(),
		pageSize:     o.PageSize,
		maxWait:      o.MaxRetryAfter,
		latency:      o.Latency,
		groups:       map[string]string{},
		resources:    map[string]*resource{},
		index:        linkIndex{},
		operations:   map[string]*operation{},
		throttle:     o.Throttle,
		levels:       sim.Buckets{},
		serial:       1 << 20, // past the numbers in seeded documents
		lastPublic:   netip.MustParseAddr("20.50.0.1"),
		lastPublic6:  netip.MustParseAddr("2603:1030:8::"),
	}
	if c.subscription == "" {
		c.subscription = DefaultSubscription
	}
	if c.location == "" {
		c.location = DefaultLocation
	}
	for _, group := range o.Groups {
		c.groups[key(group)] = group
	}
	return c
}

// Start lets the cloud listen on a free port of loopback. The URL is the resource
// manager's endpoint. The token endpoint of the managed identity is URL + "/token".
func (c *Cloud) Start() *sim.Server { return sim.Start(c) }

// SetLatency changes how long calls take from now on.
func (c *Cloud) SetLatency(l Latencies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latency = l
}

// AddGroup makes a resource group.
func (c *Cloud) AddGroup(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups[key(name)] = name
}

// ID makes the id of a resource in the cloud's subscription from a type such as
// LoadBalancers and one name for each of its parts.
func (c *Cloud) ID(group, typeName string, names ...string) string {
	namespace, rest, _ := strings.Cut(typeName, "/")
	parts := []string{"/subscriptions", c.subscription, "resourceGroups", group, "providers", namespace}
	for i, part := range strings.Split(rest, "/") {
		parts = append(parts, part)
		if i < len(names) {
			parts = append(parts, names[i])
		}
	}
	return strings.Join(parts, "/")
}

// ServeHTTP implements [http.Handler].
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := c.arrive(r)
	a := c.serve(r, call)
	c.leave(call, a)
	a.write(w)
}
