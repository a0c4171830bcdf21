// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/http"
	"sync"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Defaults of Options.
const (
	DefaultAccount = "123456789012"
	DefaultRegion  = "us-east-1"
)

// Options are what a simulated account starts with. The zero value works: no
// latency, no lag, no throttling, no faults, everything is ready at once, and
// the limits are those of a new account.
type Options struct {
	// Account is the only one that is known; DefaultAccount if empty.
	Account string
	// Region is the only one that is known; DefaultRegion if empty.
	Region string
	// Latency says how long calls take.
	Latency Latencies
	// Lag says how old the answers of reads are.
	Lag Lag
	// Timing says how long the cloud goes on after a write is answered.
	Timing Timing
	// Limits are the quotas of the account.
	Limits Limits
	// PageSize is how many objects a page holds at most, below what the API and
	// the client say; 0 is no further limit.
	PageSize int
	// Certificates are the ARNs of those that exist; any ARN of the right form
	// does if there are none.
	Certificates []string
	// Throttle refuses calls that come too fast; the zero value refuses none.
	Throttle Throttle
}

// Cloud is one simulated account in one region. It is safe for concurrent use.
type Cloud struct {
	sim.Spoiler[Call, Fault]

	account  string
	region   string
	pageSize int
	actions  map[string]action

	mu       sync.Mutex // guards all below
	latency  Latencies
	lag      Lag
	timing   Timing
	limits   Limits
	certs    map[string]bool
	answers  func(HealthCheck) bool
	ahead    time.Duration // of the real clock
	throttle Throttle
	levels   sim.Buckets // of throttle
	serials  map[string]uint64
	leaving  map[string]time.Time // interfaces that go, and when
	log      sim.Log[Call]
	stores
}

// New makes an account with the zones of the region and nothing else.
func New(o Options) *Cloud {
	c := &Cloud{
		account:  o.Account,
		region:   o.Region,
		pageSize: o.PageSize,
		actions:  actionTable(),
		latency:  o.Latency,
		lag:      o.Lag,
		timing:   o.Timing,
		limits:   o.Limits.orDefault(),
		certs:    map[string]bool{},
		throttle: o.Throttle,
		levels:   sim.Buckets{},
		serials:  map[string]uint64{},
		leaving:  map[string]time.Time{},
		stores:   newStores(o.Lag.longest()),
	}
	if c.account == "" {
		c.account = DefaultAccount
	}
	if c.region == "" {
		c.region = DefaultRegion
	}
	for _, arn := range o.Certificates {
		c.certs[arn] = true
	}
	c.makeZones()
	c.zones.settled()
	return c
}

// Start lets the cloud listen on a free port of loopback. The URL is the endpoint
// of all services, and of the instance metadata.
func (c *Cloud) Start() *sim.Server { return sim.Start(c) }

// Account is the number of the account.
func (c *Cloud) Account() string { return c.account }

// Region is the name of the region.
func (c *Cloud) Region() string { return c.region }

// SetLatency changes how long calls take from now on.
func (c *Cloud) SetLatency(l Latencies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latency = l
}

// SetTiming changes how long the cloud goes on after writes from now on.
func (c *Cloud) SetTiming(t Timing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timing = t
}

// SetHealth sets the function that says whether a target answers a health check
// that reaches it; nil is that all do. Whether it reaches the target at all
// is for the rules of the security groups to say.
func (c *Cloud) SetHealth(answers func(HealthCheck) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = answers
}

// Advance lets time pass for the cloud: what drains has drained, what lags is
// seen, buckets are filled. Latencies do not pass.
func (c *Cloud) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// now is the cloud's time.
func (c *Cloud) now() time.Time { return time.Now().Add(c.ahead) }

// ServeHTTP implements [http.Handler].
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a := c.metadata(r); a != nil {
		a.write(w)
		return
	}
	call, form, refused := c.arrive(r)
	var a *answer
	if refused != nil {
		a = refused.answer(call)
	} else {
		a = c.serve(r, call, form)
	}
	if len(a.body) > bufferedAnswer {
		sim.Pause(r.Context(), clientRest)
	}
	c.leave(call, a)
	a.write(w)
}

// What a client reads in one go is safe from what NewHTTPClient tells of; before
// larger answers it gets some time.
const (
	bufferedAnswer = 2 << 10
	clientRest     = 2 * time.Millisecond
)
