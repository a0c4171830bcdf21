// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fairlead/fairlead/test/timed"
)

// A simulator that is slow itself would be measured with what it measures.
func TestAFullBalancerIsAnsweredInNoTime(t *testing.T) {
	timed.Within(t, 3*time.Second, "the slower PUT", func() time.Duration { return fullBalancer(t) })
}

// fullBalancer puts a load balancer twice, and returns how long the slower took.
func fullBalancer(t *testing.T) time.Duration {
	t.Helper()
	const services, nodes = 500, 500
	c := New(Options{})
	site, err := c.NewSite(SiteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := site.UniformScaleSet("nodepool1", nodes)
	r := &rig{cloud: c, site: site, set: set, client: connect(t, c)}
	var fronts []any
	for i := range services {
		r.must(t, r.ip(fmt.Sprintf("ip%d", i)), publicIP())
		fronts = append(fronts, frontend(fmt.Sprintf("f%d", i), "publicIPAddress", r.ip(fmt.Sprintf("ip%d", i))))
	}
	doc := r.balancer(lbName, fronts...)
	p := properties(doc)
	p["loadBalancingRules"] = []any{}
	for i := range services {
		rule := r.rule(lbName, fmt.Sprintf("r%d", i), 80)
		properties(rule)["frontendIPConfiguration"] = object{"id": fmt.Sprintf("%s/frontendIPConfigurations/f%d", r.lb(), i)}
		add(doc, "loadBalancingRules", rule)
	}
	var slowest time.Duration
	for _, pass := range []string{"first", "second"} {
		began := time.Now()
		got := r.send(http.MethodPut, r.lb(), doc)
		took := time.Since(began)
		if got.status >= http.StatusBadRequest {
			t.Fatalf("%s PUT: %d %s", pass, got.status, got.body)
		}
		t.Logf("%s PUT of %d rules: %v", pass, services, took)
		slowest = max(slowest, took)
		doc = got.doc(t)
	}
	began := time.Now()
	list := r.send(http.MethodGet, r.id(PublicIPs), nil)
	if n := len(elements(list.doc(t), "value")); n != services {
		t.Errorf("%d public IPs", n)
	}
	t.Logf("LIST of %d public IPs: %v", services, time.Since(began))
	return slowest
}
