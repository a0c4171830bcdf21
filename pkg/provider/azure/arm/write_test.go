// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// etagOf is the etag of a document.
func etagOf(t *testing.T, d json.RawMessage) string {
	t.Helper()
	var out struct {
		Etag string `json:"etag"`
	}
	if err := json.Unmarshal(d, &out); err != nil {
		t.Fatal(err)
	}
	return out.Etag
}

func TestPutThatHoldsItsAnswerIsNotPolled(t *testing.T) {
	s := serve(t, answer(200, doc("e2", "Succeeded", 5), "Azure-AsyncOperation", "HOST/op"))
	got, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	if err != nil || etagOf(t, got) != "e2" {
		t.Errorf("got %s, %v", got, err)
	}
	if c := s.last(); c.etag != "e1" || c.body != string(sent(5)) || c.header.Get("Content-Type") != "application/json" {
		t.Errorf("it sent %+v", c)
	}
}

func TestOperationIsPolledWhenTheServiceSays(t *testing.T) {
	s := serve(t,
		answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op", "Retry-After", "3"),
		answer(200, `{"status":"InProgress"}`, "Retry-After", "10"),
		refuse(429, "TooManyRequests", "x", "Retry-After", "7"),
		answer(200, `{"status":"InProgress"}`),
		answer(200, `{"status":"Succeeded"}`),
		answer(200, doc("e3", "Succeeded", 5)))
	clk := newFastClock()
	got, err := client(t, s, clk).Put(t.Context(), publicIP, sent(5), "")
	if err != nil || etagOf(t, got) != "e3" {
		t.Errorf("got %s, %v", got, err)
	}
	if want := []time.Duration{3 * time.Second, 10 * time.Second, 7 * time.Second, time.Second}; !slices.Equal(clk.waited(), want) {
		t.Errorf("it waited %v, want %v", clk.waited(), want)
	}
	if want := "PUT ip, GET op, GET op, GET op, GET op, GET ip"; s.seen() != want {
		t.Errorf("calls were %s, want %s", s.seen(), want)
	}
}

func TestPutWithoutAPollingAddressIsReadUntilDone(t *testing.T) {
	s := serve(t, answer(201, doc("e2", "Updating", 5)), answer(200, doc("e2", "Updating", 5)), answer(200, doc("e3", "Succeeded", 5)))
	got, err := client(t, s, newFastClock()).Put(t.Context(), publicIP, sent(5), "")
	if err != nil || etagOf(t, got) != "e3" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestOperationThatFailsSaysWhy(t *testing.T) {
	for code, want := range map[string]plan.Kind{
		"CanceledAndSupersededDueToAnotherOperation": plan.Conflict,
		"InternalServerError":                        plan.Transient,
		"SubnetIsFull":                               plan.Exhausted,
		"NeverHeardOf":                               plan.Transient,
	} {
		s := serve(t,
			answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op"),
			answer(200, `{"status":"Failed","error":{"code":"`+code+`","message":"so it is"}}`))
		_, err := client(t, s, newFastClock()).Put(t.Context(), publicIP, sent(5), "")
		kind(t, err, want, code+": so it is")
	}
}

func TestOperationHasATimeout(t *testing.T) {
	again := answer(200, `{"status":"InProgress"}`)
	s := serve(t, answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op", "Retry-After", "1"), again)
	c := client(t, s, nil, func(o *arm.Options) {
		o.Times.Operation = 1500 * time.Millisecond
	})
	_, err := c.Put(t.Context(), publicIP, sent(5), "")
	kind(t, err, plan.Transient, "write public IP ip in rg: no answer in time")
}

func TestDeleteWaitsUntilItIsGone(t *testing.T) {
	s := serve(t,
		answer(202, ``, "Location", "HOST/op", "Retry-After", "10"),
		answer(202, ``, "Location", "HOST/op2", "Retry-After", "20"),
		answer(200, ``))
	clk := newFastClock()
	if err := client(t, s, clk).Delete(t.Context(), publicIP, "e1"); err != nil {
		t.Error(err)
	}
	if want := []time.Duration{10 * time.Second, 20 * time.Second}; !slices.Equal(clk.waited(), want) {
		t.Errorf("it waited %v, want %v", clk.waited(), want)
	}
	if s.seen() != "DELETE ip, GET op, GET op2" || s.calls[0].etag != "e1" {
		t.Errorf("calls were %s", s.seen())
	}
}

func TestDeletingWhatIsNotThereIsDone(t *testing.T) {
	for _, step := range []http.HandlerFunc{refuse(404, "ResourceNotFound", "x"), answer(204, ``), answer(200, ``)} {
		if err := client(t, serve(t, step), newFastClock()).Delete(t.Context(), publicIP, ""); err != nil {
			t.Error(err)
		}
	}
}

// The ways in which an answer is lost.
func losses() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"dropped": drop, "500": refuse(500, "InternalServerError", "x"), "504": answer(504, ``)}
}

func TestLostAnswerOfAPutThatWasDoneIsDone(t *testing.T) {
	for name, loss := range losses() {
		for _, etag := range []string{"e1", ""} {
			s := serve(t, loss, answer(200, doc("e2", "Updating", 5)), answer(200, doc("e3", "Succeeded", 5)))
			got, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), etag)
			if err != nil || etagOf(t, got) != "e3" || s.seen() != "PUT lb, GET lb, GET lb" {
				t.Errorf("%s: got %s, %v; calls %s", name, got, err, s.seen())
			}
		}
	}
}

func TestLostAnswerOfAPutThatWasNotDoneIsSentAgain(t *testing.T) {
	for name, loss := range losses() {
		s := serve(t, loss, answer(200, doc("e1", "Succeeded", 4)), answer(200, doc("e2", "Succeeded", 5)))
		got, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
		if err != nil || etagOf(t, got) != "e2" || s.seen() != "PUT lb, GET lb, PUT lb" {
			t.Errorf("%s: got %s, %v; calls %s", name, got, err, s.seen())
		}
		s = serve(t, loss, refuse(404, "ResourceNotFound", "x"), answer(201, doc("e1", "Succeeded", 5)))
		if _, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a PUT takes away is still in the document when it was not done, and then
// the document holds all that was sent.
func TestUnchangedEtagMeansThatAPutWasNotDone(t *testing.T) {
	s := serve(t, drop, answer(200, doc("e1", "Succeeded", 5)), answer(200, doc("e2", "Succeeded", 5)))
	got, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	if err != nil || etagOf(t, got) != "e2" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLostAnswerAfterAnotherWriterIsAConflict(t *testing.T) {
	s := serve(t, drop, answer(200, doc("e9", "Succeeded", 7)))
	_, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	kind(t, err, plan.Conflict, "write load balancer lb in rg: conflict: it has been changed meanwhile")
	s = serve(t, drop, refuse(404, "ResourceNotFound", "x"))
	_, err = client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	kind(t, err, plan.Conflict, "conflict: it has been removed meanwhile")
	s = serve(t, drop, answer(200, doc("e9", "Succeeded", 7)))
	err = client(t, s, newFastClock()).Delete(t.Context(), balancer, "e1")
	kind(t, err, plan.Conflict, "delete load balancer lb in rg: conflict: it has been changed meanwhile")
}

func TestWriteThatIsAlwaysLostIsTransient(t *testing.T) {
	unchanged := answer(200, doc("e1", "Succeeded", 4))
	s := serve(t, drop, unchanged, drop, unchanged, refuse(500, "InternalServerError", "broken"), unchanged)
	_, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	kind(t, err, plan.Transient, "write load balancer lb in rg: not done: InternalServerError: broken")
	s = serve(t, drop, drop, drop, drop)
	_, err = client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	kind(t, err, plan.Transient, "no answer from")
}

func TestLostWriteThatEndedBadlyIsTransient(t *testing.T) {
	s := serve(t, drop, answer(200, doc("e2", "Failed", 5)))
	_, err := client(t, s, newFastClock()).Put(t.Context(), balancer, sent(5), "e1")
	kind(t, err, plan.Transient, "write load balancer lb in rg: ")
}

func TestLostAnswerOfADelete(t *testing.T) {
	s := serve(t, drop, refuse(404, "ResourceNotFound", "x"))
	if err := client(t, s, newFastClock()).Delete(t.Context(), publicIP, "e1"); err != nil {
		t.Error(err)
	}
	s = serve(t, drop, answer(200, doc("e1", "Succeeded", 4)), answer(204, ``))
	if err := client(t, s, newFastClock()).Delete(t.Context(), publicIP, "e1"); err != nil {
		t.Error(err)
	}
}

func TestPollsThatAreLostEndInALookAtTheResource(t *testing.T) {
	s := serve(t,
		answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op"), answer(502, ``), answer(503, ``), answer(504, ``),
		answer(200, doc("e3", "Succeeded", 5)))
	got, err := client(t, s, newFastClock()).Put(t.Context(), publicIP, sent(5), "e1")
	if err != nil || etagOf(t, got) != "e3" || strings.Count(s.seen(), "PUT") != 1 {
		t.Errorf("got %s, %v; calls %s", got, err, s.seen())
	}
}

// A 404 of the operation says nothing of the resource: that is read.
func TestOperationThatIsNotKnownAnyMoreIsLookedBackAt(t *testing.T) {
	gone := refuse(404, "OperationNotFound", "x")
	s := serve(t,
		answer(201, doc("e2", "Updating", 5), "Azure-AsyncOperation", "HOST/op"), gone, answer(200, doc("e3", "Succeeded", 5)))
	got, err := client(t, s, newFastClock()).Put(t.Context(), publicIP, sent(5), "e1")
	if err != nil || etagOf(t, got) != "e3" {
		t.Errorf("the PUT got %s, %v; calls %s", got, err, s.seen())
	}
	s = serve(t, answer(202, ``, "Location", "HOST/op"), gone, answer(200, doc("e1", "Deleting", 5)), refuse(404, "ResourceNotFound", "x"))
	if err := client(t, s, newFastClock()).Delete(t.Context(), publicIP, "e1"); err != nil || s.seen() != "DELETE ip, GET op, GET ip, GET ip" {
		t.Errorf("the DELETE that goes on got %v; calls %s", err, s.seen())
	}
	still := answer(200, doc("e1", "Succeeded", 5))
	s = serve(t, answer(202, ``, "Location", "HOST/op"), gone, still, answer(204, ``))
	if err := client(t, s, newFastClock()).Delete(t.Context(), publicIP, "e1"); err != nil || s.seen() != "DELETE ip, GET op, GET ip, DELETE ip" {
		t.Errorf("the DELETE that was not done got %v; calls %s", err, s.seen())
	}
}

// What is made must not replace what others made meanwhile.
func TestCreateIsOnTheConditionThatNothingIsThere(t *testing.T) {
	s := serve(t, answer(201, doc("e1", "Succeeded", 5)))
	if _, err := client(t, s, newFastClock()).Create(t.Context(), publicIP, sent(5)); err != nil || s.last().header.Get("If-None-Match") != "*" {
		t.Errorf("got %v; sent %v", err, s.last().header)
	}
	s = serve(t, drop, answer(200, doc("e9", "Succeeded", 7)), refuse(412, "PreconditionFailed", "It exists."))
	_, err := client(t, s, newFastClock()).Create(t.Context(), publicIP, sent(5))
	kind(t, err, plan.Conflict, "It exists")
}

// A subscription that is not there says nothing of what is in it.
func TestMissingSubscriptionIsNotAnEmptyOne(t *testing.T) {
	none := refuse(404, "SubscriptionNotFound", "The subscription 'sub' could not be found.")
	s := serve(t, none)
	err := client(t, s, newFastClock()).Delete(t.Context(), publicIP, "e1")
	kind(t, err, plan.Denied, "delete public IP ip in rg: denied: SubscriptionNotFound: The subscription 'sub' could not be found; correct subscriptionId")
	s = serve(t, none)
	if _, err = client(t, s, newFastClock()).List(t.Context(), group+"/loadBalancers", nil); arm.NotFound(err) || arm.GroupNotFound(err) {
		t.Errorf("%v is taken for an empty list", err)
	}
	s = serve(t, refuse(404, "ResourceGroupNotFound", "x"))
	if _, err = client(t, s, newFastClock()).List(t.Context(), group+"/loadBalancers", nil); !arm.NotFound(err) || !arm.GroupNotFound(err) {
		t.Errorf("%v is not taken for a missing group", err)
	}
}
