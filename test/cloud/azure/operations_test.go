// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// slow lets writes take so long that a test sees them run, and the rig stands
// before it begins.
func slow(r *rig, d time.Duration) {
	r.cloud.SetLatency(Latencies{Write: d})
}

func state(doc object) string { return text(doc, "properties", "provisioningState") }

// eventually asks until the answer is as wanted.
func (cl client) eventually(t *testing.T, url string, want func(response) bool) response {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if got := cl.send(http.MethodGet, url, nil); want(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s never came to what was waited for", url)
		}
	}
}

func TestEtags(t *testing.T) {
	r := newRig(t, Options{})
	tests := []struct {
		name, method, id string
		headers          []string
		status           int
		code             string
	}{
		{"stale", http.MethodPut, r.lb(), []string{"If-Match", `W/"x"`}, 412, "PreconditionFailed/PreconditionFailedEtagMismatch"},
		{"stale on a pool", http.MethodPut, r.pool(lbName), []string{"If-Match", `W/"x"`}, 412, "PreconditionFailed/PreconditionFailedEtagMismatch"},
		{"stale on delete", http.MethodDelete, r.ip("ip2"), []string{"If-Match", `W/"x"`}, 412, "PreconditionFailed/PreconditionFailedEtagMismatch"},
		{"of what is not there", http.MethodPut, r.ip("new"), []string{"If-Match", "*"}, 412, "PreconditionFailed/PreconditionFailedEtagMismatch"},
		{"none, of what is there", http.MethodPut, r.ip("ip1"), []string{"If-None-Match", "*"}, 412, "PreconditionFailed/PreconditionFailedResourceExists"},
		{"none, of what is not there", http.MethodPut, r.ip("new"), []string{"If-None-Match", "*"}, 201, ""},
		{"any", http.MethodPut, r.ip("ip1"), []string{"If-Match", "*"}, 200, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := r.send(tc.method, tc.id, publicIP(), tc.headers...)
			if got.status != tc.status || got.code() != tc.code {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tc.status, tc.code)
			}
		})
	}
	t.Run("of a public IP moves when a frontend takes it and leaves it", func(t *testing.T) {
		before := r.etag(t, r.ip("ip2"))
		doc := r.stored(t, r.lb())
		add(doc, "frontendIPConfigurations", frontend("f2", "publicIPAddress", r.ip("ip2")))
		got := r.send(http.MethodPut, r.lb(), doc, "If-Match", r.etag(t, r.lb()))
		taken := r.stored(t, r.ip("ip2"))
		if got.status != http.StatusOK || text(taken, "etag") == before {
			t.Errorf("%d %s; etag of the IP stayed", got.status, got.body)
		}
		if want := r.lb() + "/frontendIPConfigurations/f2"; reference(properties(taken), "ipConfiguration") != want {
			t.Errorf("the IP says %v", properties(taken)["ipConfiguration"])
		}
		properties(doc)["frontendIPConfigurations"] = elementsAsAny(doc, 1)
		r.send(http.MethodPut, r.lb(), doc)
		left := r.stored(t, r.ip("ip2"))
		if text(left, "etag") == text(taken, "etag") || properties(left)["ipConfiguration"] != nil {
			t.Errorf("after it was left: %v", left)
		}
	})
}

func elementsAsAny(doc object, n int) []any {
	list, _ := properties(doc)["frontendIPConfigurations"].([]any)
	return list[:n]
}

func TestIdsAreComparedWithoutCase(t *testing.T) {
	r := newRig(t, Options{})
	doc := r.stored(t, r.lb())
	delete(doc, "id")
	properties(doc)["unknownField"] = object{"Kept": "As It Is"}
	got := r.send(http.MethodPut, strings.ToUpper(r.lb()[:40])+r.lb()[40:], doc)
	if got.status != http.StatusOK || text(got.doc(t), "id") != r.lb() {
		t.Errorf("%d, id %q", got.status, text(got.doc(t), "id"))
	}
	if text(got.doc(t), "properties", "unknownField", "Kept") != "As It Is" {
		t.Errorf("the unknown field is gone: %s", got.body)
	}
}

func TestPublicIPPutIsAnOperation(t *testing.T) {
	r := newRig(t, Options{})
	slow(r, 150*time.Millisecond)
	got := r.send(http.MethodPut, r.ip("ip3"), publicIP())
	doc := got.doc(t)
	poll := got.header.Get("Azure-AsyncOperation")
	if got.status != http.StatusCreated || state(doc) != updating || poll == "" || got.header.Get("Retry-After") != "1" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	if text(doc, "properties", "ipAddress") != "" {
		t.Error("the address is there before the operation is done")
	}
	lb := r.stored(t, r.lb())
	add(lb, "frontendIPConfigurations", frontend("f3", "publicIPAddress", r.ip("ip3")))
	if early := r.send(http.MethodPut, r.lb(), lb); early.code() != "RetryableError/ReferencedResourceNotProvisioned" {
		t.Errorf("a frontend on an unsettled IP: %d %s", early.status, early.body)
	}
	running := r.send(http.MethodGet, poll, nil)
	if text(running.doc(t), "status") != "InProgress" || running.header.Get("Retry-After") != "10" {
		t.Errorf("poll: %v %s", running.header, running.body)
	}
	r.eventually(t, poll, func(p response) bool { return text(p.doc(t), "status") == succeeded })
	after := r.send(http.MethodGet, r.ip("ip3"), nil).doc(t)
	if state(after) != succeeded || text(after, "properties", "ipAddress") == "" || text(after, "etag") == text(doc, "etag") {
		t.Errorf("after the operation: %v", after)
	}
	if r.cloud.Counts().FinalGets != 1 {
		t.Errorf("counts %+v", r.cloud.Counts())
	}
	r.send(http.MethodGet, r.ip("ip3"), nil)
	if n := r.cloud.Counts(); n.FinalGets != 1 || n.Reads[PublicIPs] != 1 || n.Writes[PublicIPs] != 1 || n.Polls < 2 {
		t.Errorf("counts %+v", n)
	}
}

func TestLoadBalancerPutHoldsItsAnswer(t *testing.T) {
	r := newRig(t, Options{})
	doc := r.stored(t, r.lb())
	slow(r, 200*time.Millisecond)
	done := make(chan response)
	go func() { got, _ := r.try(http.MethodPut, r.lb(), doc); done <- got }()
	r.eventually(t, r.lb(), func(got response) bool { return state(got.doc(t)) == updating })
	got := <-done
	if got.status != http.StatusOK || state(got.doc(t)) != succeeded || got.header.Get("Azure-AsyncOperation") != "" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
}

func TestNewerPutSupersedesTheOlder(t *testing.T) {
	r := newRig(t, Options{})
	doc := r.stored(t, r.lb())
	slow(r, 5*time.Second)
	older := make(chan response)
	go func() { got, _ := r.try(http.MethodPut, r.lb(), doc); older <- got }()
	r.eventually(t, r.lb(), func(got response) bool { return state(got.doc(t)) == updating })
	slow(r, 0)
	if got := r.send(http.MethodPut, r.lb(), doc); got.status != http.StatusOK {
		t.Errorf("newer: %d %s", got.status, got.body)
	}
	got := <-older
	if got.status != http.StatusConflict || got.code() != "Canceled/CanceledAndSupersededDueToAnotherOperation" {
		t.Errorf("older: %d %s", got.status, got.body)
	}
}

func TestDeleteIsAnOperation(t *testing.T) {
	r := newRig(t, Options{})
	slow(r, 150*time.Millisecond)
	got := r.send(http.MethodDelete, r.ip("ip2"), nil)
	location := got.header.Get("Location")
	if got.status != http.StatusAccepted || location == "" || got.header.Get("Retry-After") != "10" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	if doc := r.send(http.MethodGet, r.ip("ip2"), nil).doc(t); state(doc) != deleting {
		t.Errorf("state %q", state(doc))
	}
	if put := r.send(http.MethodPut, r.ip("ip2"), publicIP()); put.status != http.StatusConflict {
		t.Errorf("a PUT while it is deleted: %d %s", put.status, put.body)
	}
	if poll := r.send(http.MethodGet, location, nil); poll.status != http.StatusAccepted {
		t.Errorf("poll: %d", poll.status)
	}
	r.eventually(t, location, func(p response) bool { return p.status == http.StatusNoContent })
	if gone := r.send(http.MethodGet, r.ip("ip2"), nil); gone.status != http.StatusNotFound {
		t.Errorf("afterwards: %d", gone.status)
	}
}
