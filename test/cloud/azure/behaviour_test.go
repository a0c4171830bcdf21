// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

func TestPaging(t *testing.T) {
	r := newRig(t, Options{PageSize: 2})
	var names []string
	next := r.set + "/virtualMachines?api-version=" + computeVersion + "&$expand=instanceView"
	for next != "" {
		doc := r.send(http.MethodGet, next, nil).doc(t)
		for _, vm := range elements(doc, "value") {
			names = append(names, text(vm, "name"))
			view := child(vm, "properties", "instanceView")
			if code := text(elements(view, "statuses")[1], "code"); code != "PowerState/running" {
				t.Errorf("%s: %s", text(vm, "name"), code)
			}
		}
		next = text(doc, "nextLink")
	}
	if fmt.Sprint(names) != "[nodepool1_0 nodepool1_1 nodepool1_2]" {
		t.Errorf("names %v", names)
	}
	if n := r.cloud.Counts(); n.Reads[Instances] != 1 || n.Pages != 1 {
		t.Errorf("counts %+v", n)
	}
}

func TestFlexScaleSet(t *testing.T) {
	r := newRig(t, Options{})
	set, err := r.site.FlexScaleSet("flex", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.site.Machines("vm", 2); err != nil {
		t.Fatal(err)
	}
	query := url.Values{"api-version": {computeVersion}}
	all := r.send(http.MethodGet, r.id(Machines)+"?"+query.Encode(), nil)
	query.Set("$filter", "'virtualMachineScaleSet/id' eq '"+set+"'")
	query.Set("$expand", "instanceView")
	flex := r.send(http.MethodGet, r.id(Machines)+"?"+query.Encode(), nil)
	if n, m := len(elements(all.doc(t), "value")), len(elements(flex.doc(t), "value")); n != 5 || m != 3 {
		t.Errorf("%d machines, %d of the scale set, want 5 and 3", n, m)
	}
	status := "/subscriptions/" + DefaultSubscription + "/providers/" + Machines + "?statusOnly=true&api-version=" + computeVersion
	if err := r.cloud.SetPower(r.id(Machines, "vm000001"), "deallocated"); err != nil {
		t.Fatal(err)
	}
	off := 0
	for _, vm := range elements(r.send(http.MethodGet, status, nil).doc(t), "value") {
		view := child(vm, "properties", "instanceView")
		if text(elements(view, "statuses")[1], "code") == "PowerState/deallocated" {
			off++
		}
	}
	if off != 1 {
		t.Errorf("%d machines are off, want 1", off)
	}
}

func TestFiveHundredNodes(t *testing.T) {
	c := New(Options{})
	site, err := c.NewSite(SiteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := site.UniformScaleSet("nodepool1", 500)
	if _, err := site.Machines("vm", 10); err != nil {
		t.Fatal(err)
	}
	cl := connect(t, c)
	nics := elements(cl.send(http.MethodGet, set+"/networkInterfaces", nil).doc(t), "value")
	seen := map[string]bool{}
	for _, nic := range nics {
		seen[text(elements(properties(nic), "ipConfigurations")[0], "properties", "privateIPAddress")] = true
	}
	if len(nics) != 500 || len(seen) != 500 || seen[""] {
		t.Errorf("%d interfaces with %d addresses", len(nics), len(seen))
	}
}

func TestInstancesWithPublicAddresses(t *testing.T) {
	r := newRig(t, Options{})
	if err := r.cloud.Edit(r.set, func(doc map[string]any) {
		ip := elements(child(networkConfigs(doc)[0], "properties"), "ipConfigurations")[0]
		properties(ip)[publicConfigField] = object{"name": "own"}
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.cloud.Scale(r.set, 4); err != nil {
		t.Fatal(err)
	}
	ips := elements(r.send(http.MethodGet, r.set+"/publicIPAddresses", nil).doc(t), "value")
	nic := r.send(http.MethodGet, r.instance(3)+"/networkInterfaces/nodepool1", nil).doc(t)
	at := elements(properties(nic), "ipConfigurations")[0]
	if len(ips) != 1 || text(ips[0], "properties", "ipAddress") == "" ||
		text(ips[0], "id") != reference(properties(at), "publicIPAddress") {
		t.Errorf("public IPs %v, interface %v", ips, nic)
	}
}

func TestThrottling(t *testing.T) {
	r := newRig(t, Options{Throttle: Throttle{Writes: sim.Bucket{Size: 2, Refill: 0.1}}})
	for i := range 3 {
		got := r.send(http.MethodPut, r.ip("ip"+strconv.Itoa(10+i)), publicIP())
		if i < 2 {
			if got.status != http.StatusCreated || got.header.Get("X-Ms-Ratelimit-Remaining-Subscription-Writes") != strconv.Itoa(1-i) {
				t.Fatalf("%d: %d %v", i, got.status, got.header)
			}
			continue
		}
		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		if got.status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 10 {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	}
	if got := r.send(http.MethodPut, r.lb(), r.stored(t, r.lb())); got.status != http.StatusOK {
		t.Errorf("another type is throttled too: %d", got.status)
	}
	if n := r.cloud.Counts(); n.Refused[PublicIPs] != 1 || n.Writes[PublicIPs] != 3 {
		t.Errorf("counts %+v", n)
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		fault   *Fault
		status  int // 0: the connection was cut
		written bool
	}{
		{"429 before", Refuse(429, "TooManyRequests", 30*time.Second), 429, false},
		{"412 before", Refuse(412, "PreconditionFailed", 0), 412, false},
		{"cut before", Drop(Before), 0, false},
		{"cut after", Drop(After), 0, true},
		{"500 after", &Fault{When: After, Status: 500, Code: "InternalServerError"}, 500, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.cloud.SetFault(func(call Call) *Fault {
				if call.Write == 2 {
					return tc.fault
				}
				return nil
			})
			for i := range 3 {
				got, err := r.try(http.MethodPut, r.ip(fmt.Sprintf("new%d", i)), publicIP())
				spoilt := i == 1
				switch {
				case !spoilt && got.status != http.StatusCreated:
					t.Errorf("write %d: %d, %v", i+1, got.status, err)
				case spoilt && (got.status != tc.status || (err != nil) != (tc.status == 0)):
					t.Errorf("write %d: %d, %v", i+1, got.status, err)
				case spoilt && tc.fault.RetryAfter > 0 && got.header.Get("Retry-After") != "30":
					t.Errorf("headers %v", got.header)
				}
			}
			if _, ok := r.cloud.Get(r.ip("new1")); ok != tc.written {
				t.Errorf("written: %v, want %v", ok, tc.written)
			}
		})
	}
}

func TestOperationThatFails(t *testing.T) {
	r := newRig(t, Options{})
	r.cloud.SetFault(func(call Call) *Fault {
		if call.Kind == Write && call.ID == r.ip("new") && call.Write == 1 {
			return &Fault{When: AtEnd, Status: 500, Code: "InternalServerError", Message: "It broke."}
		}
		return nil
	})
	slow(r, 20*time.Millisecond)
	put := r.send(http.MethodPut, r.ip("new"), publicIP())
	poll := put.header.Get("Azure-AsyncOperation")
	got := r.eventually(t, poll, func(p response) bool { return text(p.doc(t), "status") != "InProgress" })
	if text(got.doc(t), "status") != failed || got.code() != "InternalServerError" {
		t.Errorf("poll: %s", got.body)
	}
	slow(r, 0)
	lb := r.stored(t, r.lb())
	add(lb, "frontendIPConfigurations", frontend("f2", "publicIPAddress", r.ip("new")))
	if got := r.send(http.MethodPut, r.lb(), lb); got.code() != "ReferencedResourceNotProvisioned" {
		t.Errorf("a frontend on a failed IP: %d %s", got.status, got.body)
	}
	if got := r.send(http.MethodPut, r.ip("new"), publicIP()); state(got.doc(t)) != succeeded {
		t.Errorf("the second PUT: %d %s", got.status, got.body)
	}
	if got := r.send(http.MethodPut, r.lb(), lb); got.status != http.StatusOK {
		t.Errorf("a frontend on the IP: %d %s", got.status, got.body)
	}
}

func TestHookSeesBothSidesOfACommit(t *testing.T) {
	r := newRig(t, Options{})
	seen := map[sim.Moment]bool{}
	var mu sync.Mutex
	r.cloud.SetHook(func(moment sim.Moment, call Call) sim.Verdict {
		mu.Lock()
		defer mu.Unlock()
		_, there := r.cloud.Get(call.ID)
		if there == (moment == sim.BeforeCommit) {
			t.Errorf("moment %d: there is %v", moment, there)
		}
		seen[moment] = true
		if moment == sim.AfterCommit {
			return sim.HangUp
		}
		return sim.Proceed
	})
	if _, err := r.try(http.MethodPut, r.ip("new"), publicIP()); err == nil {
		t.Error("the connection was not cut")
	}
	mu.Lock()
	defer mu.Unlock()
	if !seen[sim.BeforeCommit] || !seen[sim.AfterCommit] {
		t.Errorf("moments %v", seen)
	}
	r.cloud.SetHook(func(sim.Moment, Call) sim.Verdict { return sim.HangUp })
	if _, err := r.try(http.MethodDelete, r.ip("new"), nil); err == nil {
		t.Error("the connection was not cut")
	}
	if _, ok := r.cloud.Get(r.ip("new")); !ok {
		t.Error("a write that was cut before its commit was done")
	}
}

func TestEndpoints(t *testing.T) {
	cl := connect(t, New(Options{}))
	get := func(path string, headers ...string) response {
		return cl.send(http.MethodGet, cl.url+path, nil, headers...)
	}
	if got := get("/metadata/endpoints?api-version=2019-05-01"); got.status != 200 || string(got.body[:1]) != "[" {
		t.Errorf("endpoints: %d %s", got.status, got.body)
	}
	query := "/token?resource=https://management.azure.com/&api-version=2019-08-01"
	if got := get(query, "X-IDENTITY-HEADER", "x"); text(got.doc(t), "access_token") == "" {
		t.Errorf("token: %d %s", got.status, got.body)
	}
	if got := get(query); got.status != http.StatusBadRequest {
		t.Errorf("a token without the header: %d", got.status)
	}
	provider := "/subscriptions/" + DefaultSubscription + "/providers/Microsoft.Compute?api-version=2021-04-01"
	zones := []any{}
	for _, kind := range elements(get(provider).doc(t), "resourceTypes") {
		if text(kind, "resourceType") == "virtualMachines" {
			zones, _ = elements(kind, "zoneMappings")[0]["zones"].([]any)
		}
	}
	if len(zones) != 3 {
		t.Errorf("zones %v", zones)
	}
	if got := get(provider, "Authorization", ""); got.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", got.status)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	r := newRig(t, Options{Latency: Latencies{Write: time.Millisecond}})
	var group sync.WaitGroup
	var created atomic.Int32
	for i := range 40 {
		group.Go(func() {
			got, err := r.try(http.MethodPut, r.ip(fmt.Sprintf("many%d", i)), publicIP())
			if err == nil && got.status == http.StatusCreated {
				created.Add(1)
			}
			for _, path := range []string{r.id(PublicIPs), r.set + "/virtualMachines", r.lb()} {
				if _, err := r.try(http.MethodGet, path, nil); err != nil {
					t.Error(err)
				}
			}
			r.cloud.Counts()
			r.cloud.State()
		})
	}
	group.Wait()
	addresses := map[string]bool{}
	list := r.eventually(t, r.id(PublicIPs), func(got response) bool {
		clear(addresses)
		for _, ip := range elements(got.doc(t), "value") {
			if addr := text(ip, "properties", "ipAddress"); addr != "" {
				addresses[addr] = true
			}
		}
		return len(addresses) == 42
	})
	if created.Load() != 40 || list.status != http.StatusOK {
		t.Errorf("%d were created", created.Load())
	}
}
