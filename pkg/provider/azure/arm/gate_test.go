// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

func TestThrottledTypeWaitsAndOthersGoOn(t *testing.T) {
	ok := answer(200, doc("e2", "Succeeded", 5))
	s := serve(t, refuse(429, "TooManyRequests", "Slow down.", "Retry-After", "30"), ok, ok, answer(204, ``), ok, ok)
	clk := newFastClock()
	c := client(t, s, clk)
	_, err := c.Put(t.Context(), publicIP, sent(5), "")
	if pe := kind(t, err, plan.Throttled, "write public IP ip in rg: throttled: TooManyRequests: Slow down"); pe.RetryAfter != 30*time.Second {
		t.Errorf("retry after %s", pe.RetryAfter)
	}
	clk.pass(12 * time.Second)
	_, err = c.Put(t.Context(), strings.ToUpper(publicIP)+"2", sent(5), "")
	if pe := kind(t, err, plan.Throttled, "held back for 18s: Azure takes no more such calls"); pe.RetryAfter != 18*time.Second {
		t.Errorf("retry after %s", pe.RetryAfter)
	}
	// Another type, a read and a deletion of this type, and another subscription.
	if _, err := c.Put(t.Context(), balancer, sent(5), ""); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), publicIP, nil); err != nil {
		t.Error(err)
	}
	if err := c.Delete(t.Context(), publicIP, ""); err != nil {
		t.Error(err)
	}
	if _, err := c.Put(t.Context(), strings.Replace(publicIP, "/sub/", "/sub2/", 1), sent(5), ""); err != nil {
		t.Error(err)
	}
	clk.pass(18 * time.Second)
	if _, err := c.Put(t.Context(), publicIP, sent(5), ""); err != nil {
		t.Error(err)
	}
}

func TestThrottledReadIsNotTriedAgain(t *testing.T) {
	s := serve(t, refuse(429, "TooManyRequests", "x"))
	_, err := client(t, s, newFastClock()).Get(t.Context(), publicIP, nil)
	if pe := kind(t, err, plan.Throttled, "read public IP ip in rg: throttled"); pe.RetryAfter != 5*time.Second {
		t.Errorf("retry after %s", pe.RetryAfter)
	}
}

// A 429 that is about the one call holds back no other.
func TestOneCallThatIsToBeTriedAgainHoldsBackNoOther(t *testing.T) {
	for name, tt := range map[string]struct {
		code    string
		headers []string
		kind    plan.Kind
		closes  bool
	}{
		"the call is to be tried again":         {"RetryableError", nil, plan.Transient, false},
		"the call, with a time":                 {"RetryableError", []string{"Retry-After", "10"}, plan.Transient, false},
		"another operation":                     {"AnotherOperationInProgress", []string{"Retry-After", "10"}, plan.Conflict, false},
		"a code that nobody knows":              {"Whatever", nil, plan.Throttled, false},
		"a code that nobody knows, with a time": {"Whatever", []string{"Retry-After", "10"}, plan.Throttled, true},
		"too many requests":                     {"TooManyRequests", nil, plan.Throttled, true},
		"too many of the type":                  {"ResourceRequestsThrottled", []string{"Retry-After", "10"}, plan.Throttled, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, refuse(429, tt.code, "Later.", tt.headers...), answer(200, doc("e2", "Succeeded", 5)))
			clk := newFastClock()
			c := client(t, s, clk)
			_, err := c.Put(t.Context(), publicIP, sent(5), "")
			kind(t, err, tt.kind, "write public IP ip in rg: ")
			if tt.closes {
				_, err = c.Put(t.Context(), publicIP+"2", sent(5), "")
				kind(t, err, plan.Throttled, "held back for ")
				clk.pass(10 * time.Second)
			}
			if _, err = c.Put(t.Context(), publicIP+"2", sent(5), ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRetryAfterMayBeADateOrMilliseconds(t *testing.T) {
	clk := newFastClock()
	date := clk.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	_, err := client(t, serve(t, refuse(429, "x", "x", "Retry-After", date)), clk).Get(t.Context(), publicIP, nil)
	if pe := kind(t, err, plan.Throttled, ""); pe.RetryAfter < 58*time.Second || pe.RetryAfter > time.Minute {
		t.Errorf("retry after %s", pe.RetryAfter)
	}
	_, err = client(t, serve(t, refuse(429, "x", "x", "x-ms-retry-after-ms", "1500")), clk).Get(t.Context(), publicIP, nil)
	if pe := kind(t, err, plan.Throttled, ""); pe.RetryAfter != 1500*time.Millisecond {
		t.Errorf("retry after %s", pe.RetryAfter)
	}
}

// A bucket that is nearly empty is not overdrawn.
func TestCallsAreSpreadWhenFewAreLeft(t *testing.T) {
	left := func(n string) http.HandlerFunc {
		return answer(200, doc("e2", "Succeeded", 5), "x-ms-ratelimit-remaining-subscription-writes", n)
	}
	none := answer(200, doc("e2", "Succeeded", 5))
	s := serve(t, none, left("2"), none, none, none, left("50"), none, none)
	clk := newFastClock()
	c := client(t, s, clk)
	put := func() {
		if _, err := c.Put(t.Context(), publicIP, sent(5), ""); err != nil {
			t.Fatal(err)
		}
	}
	put() // nothing is known
	put() // two are left
	put() // the last one but a spare one
	if len(clk.waited()) > 0 {
		t.Fatalf("it waited %v for what was left", clk.waited())
	}
	put()
	put()
	if w := clk.waited(); len(w) != 2 || w[0] != 100*time.Millisecond || w[1] != 100*time.Millisecond {
		t.Errorf("at 10 a second it waited %v", w)
	}
	clk.pass(time.Second)
	put() // says that others are left
	put()
	put()
	if w := clk.waited(); len(w) != 2 {
		t.Errorf("it waited %v with 50 left", w)
	}
}

func TestCallsAreCountedByWhatTheyAreFor(t *testing.T) {
	registry := metrics.NewKubeRegistry()
	arm.RegisterMetricsIn(registry)
	s := serve(t,
		answer(200, `{"value":[],"nextLink":"HOST/two"}`), answer(200, `{"value":[]}`),
		answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op"),
		answer(200, `{"status":"Succeeded"}`), answer(200, doc("e3", "Succeeded", 5)),
		drop, answer(200, doc("e4", "Succeeded", 5)),
		refuse(404, "ResourceNotFound", "x"), refuse(400, "SubnetIsFull", "x"),
		refuse(429, "TooManyRequests", "x"))
	c := client(t, s, newFastClock())
	_, _ = c.List(t.Context(), group+"/routeTables", nil)
	_, _ = c.Put(t.Context(), group+"/routeTables/r", sent(5), "")
	_, _ = c.Put(t.Context(), group+"/routeTables/r", sent(5), "e3")
	for range 4 {
		_, _ = c.Get(t.Context(), group+"/routeTables/r", nil)
	}
	for labels, want := range map[string]uint64{
		"GET list ok": 1, "GET page ok": 1, "PUT call ok": 1, "GET poll ok": 1, "GET final ok": 1,
		"PUT call lost": 1, "GET reread ok": 1, "GET call notfound": 1, "GET call exhausted": 1, "GET call throttled": 1,
	} {
		f := strings.Fields(labels)
		got, err := testutil.GetHistogramMetricCount(arm.CallSeconds().WithLabelValues(f[0], "routeTables", f[1], f[2]))
		if err != nil || got != want {
			t.Errorf("%s: %d calls (%v), want %d", labels, got, err, want)
		}
	}
	for class, want := range map[string]uint64{"write": 2, "read": 6} { // polls are not paced
		got, err := testutil.GetHistogramMetricCount(arm.PaceSeconds().WithLabelValues("routeTables", class))
		if err != nil || got != want {
			t.Errorf("%d calls that %s were let through (%v), want %d", got, class, err, want)
		}
	}
	const want = `
# HELP fairlead_azure_throttles_total [ALPHA] Calls that Azure refused for too many, and those held back after that until its time is over.
# TYPE fairlead_azure_throttles_total counter
fairlead_azure_throttles_total{by="azure",class="read",type="routeTables"} 1
fairlead_azure_throttles_total{by="fairlead",class="read",type="routeTables"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "fairlead_azure_throttles_total"); err != nil {
		t.Error(err)
	}
}
