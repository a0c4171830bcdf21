// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

func asPlanError(err error, to **plan.Error) bool { return errors.As(err, to) }

func TestGetAnswersTheDocumentAsItStands(t *testing.T) {
	const body = `{"unknown" : [1.50, {"b":1,"a":2}],"name":"lb"}`
	s := serve(t, answer(200, body))
	got, err := client(t, s, newFastClock()).Get(t.Context(), balancer, nil)
	if err != nil || string(got) != body {
		t.Errorf("got %s, %v", got, err)
	}
	c := s.last()
	if c.query != "api-version=2025-05-01" || c.header.Get("Authorization") != "Bearer secret" ||
		!strings.HasPrefix(c.header.Get("User-Agent"), "fairlead/") {
		t.Errorf("it sent %+v", c)
	}
}

func TestEachTypeHasItsAPIVersion(t *testing.T) {
	const sub = "/subscriptions/sub"
	const compute = sub + "/resourceGroups/rg/providers/Microsoft.Compute"
	for path, want := range map[string]string{
		group + "/publicIPAddresses":                             "2025-05-01",
		group + "/loadbalancers/lb":                              "2025-05-01",
		group + "/virtualNetworks/v/subnets/s":                   "2025-05-01",
		compute + "/virtualMachines":                             "2025-04-01",
		compute + "/virtualMachineScaleSets/s/virtualMachines":   "2025-04-01",
		compute + "/virtualMachineScaleSets/s/networkInterfaces": "2018-10-01",
		sub + "/providers/Microsoft.Compute":                     "2021-04-01",
		sub + "/providers/Microsoft.Network/loadBalancers":       "2025-05-01",
	} {
		s := serve(t, answer(200, `{}`))
		if _, err := client(t, s, newFastClock()).Get(t.Context(), path, nil); err != nil {
			t.Error(err)
		}
		if got := s.last().query; got != "api-version="+want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPathsThatAreNoneAreNotSent(t *testing.T) {
	c := client(t, serve(t), newFastClock())
	for _, path := range []string{"", "/", "subscriptions/sub/providers/Microsoft.Compute", group + "/loadBalancers//x", group + "/loadBalancers/..", group + "/unknown/x", group + "/loadBalancers/a?b"} {
		_, err := c.Get(t.Context(), path, nil)
		kind(t, err, plan.Invalid, "path ")
	}
}

func TestListReadsAllPages(t *testing.T) {
	s := serve(t,
		answer(200, `{"value":[{"name":"a"},{"name":"b"}],"nextLink":"HOST/page2?$skiptoken=x"}`),
		answer(200, `{"value":[{"name":"c"}]}`))
	got, err := client(t, s, newFastClock()).List(t.Context(), group+"/loadBalancers", url.Values{"$filter": {"a eq 'b c'"}})
	if err != nil || len(got) != 3 || string(got[2]) != `{"name":"c"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if q := s.calls[0].query; q != "%24filter=a%20eq%20%27b%20c%27&api-version=2025-05-01" {
		t.Errorf("it asked %s", q)
	}
	if q := s.last().query; q != "$skiptoken=x" {
		t.Errorf("the second page is asked with %s", q)
	}
}

func TestListThatDoesNotEndIsAnError(t *testing.T) {
	page := answer(200, `{"value":[],"nextLink":"HOST/again"}`)
	_, err := client(t, serve(t, page, page), newFastClock()).List(t.Context(), group+"/loadBalancers", nil)
	kind(t, err, plan.Transient, "the list does not end")
}

func TestReadsAreTriedAgain(t *testing.T) {
	s := serve(t, refuse(503, "ServerBusy", "later"), drop, answer(200, `{}`))
	if _, err := client(t, s, newFastClock()).Get(t.Context(), balancer, nil); err != nil {
		t.Error(err)
	}
	s = serve(t, drop, drop, drop)
	_, err := client(t, s, newFastClock()).Get(t.Context(), balancer, nil)
	kind(t, err, plan.Transient, "read load balancer lb in rg: no answer from 127.0.0.1:")
}

func TestCallsHaveATimeout(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s := serve(t, hang, hang, hang)
	c := client(t, s, newFastClock(), func(o *arm.Options) { o.Times.Call = 20 * time.Millisecond })
	_, err := c.Get(t.Context(), balancer, nil)
	kind(t, err, plan.Transient, "read load balancer lb in rg: no answer in time")
}

func TestEndOfTheContextIsNoRefusal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := client(t, s, newFastClock()).Put(ctx, balancer, sent(4), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRefusalsAreClassified(t *testing.T) {
	const lacks = "The client 'x' with object id 'y' does not have authorization to perform action 'Microsoft.Network/publicIPAddresses/write' over scope '/subscriptions/sub/resourceGroups/other/providers/Microsoft.Network/publicIPAddresses/ip' or the scope is invalid."
	const linked = "The client has permission to perform action 'Microsoft.Network/loadBalancers/write' on scope '/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/lb', however, it does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '/subscriptions/sub/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s'."
	for name, tc := range map[string]struct {
		step     http.HandlerFunc
		kind     plan.Kind
		reason   string
		sentence string
	}{
		"missing right": {
			refuse(403, "AuthorizationFailed", lacks), plan.Denied, "AzureDenied",
			"write public IP ip in rg: denied: the identity lacks Microsoft.Network/publicIPAddresses/write on /subscriptions/sub/resourceGroups/other/providers/Microsoft.Network/publicIPAddresses/ip; grant Network Contributor on resource group other",
		},
		"missing right elsewhere": {
			refuse(403, "LinkedAuthorizationFailed", linked), plan.Denied, "AzureDenied",
			"the identity lacks Microsoft.Network/virtualNetworks/subnets/join/action on /subscriptions/sub/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s; grant Network Contributor on resource group net",
		},
		"missing right without words": {
			answer(403, ``), plan.Denied, "AzureDenied",
			"the identity lacks Microsoft.Network/publicIPAddresses/write on " + publicIP + "; grant Network Contributor on resource group rg",
		},
		"forbidden by policy": {
			refuse(403, "RequestDisallowedByPolicy", "Resource 'ip' was disallowed by policy."), plan.Denied, "AzureDenied",
			"denied: RequestDisallowedByPolicy: Resource 'ip' was disallowed by policy; ask the owner",
		},
		"lock":       {refuse(409, "ScopeLocked", "The scope is locked."), plan.Denied, "ScopeLocked", "denied: ScopeLocked: The scope is locked; remove the lock"},
		"other etag": {refuse(412, "PreconditionFailed", "Precondition failed."), plan.Conflict, "PreconditionFailed", "conflict: PreconditionFailed: Precondition failed"},
		"superseded": {refuse(409, "CanceledAndSupersededDueToAnotherOperation", "x"), plan.Conflict, "CanceledAndSupersededDueToAnotherOperation", "conflict"},
		"conflict":   {refuse(409, "Whatever", "x"), plan.Conflict, "AzureConflict", "conflict: Whatever: x"},
		"bad request": {
			answer(400, `{"error":{"code":"InvalidRequestFormat","message":"Cannot parse.","details":[{"code":"DuplicateResourceName","message":"Resource /a has\n two children."}]}}`), plan.Invalid, "AzureRefused",
			"write public IP ip in rg: refused: DuplicateResourceName: Resource /a has two children; correct",
		},
		"quota": {
			refuse(400, "PublicIPCountLimitReached", "Cannot create more than 10."), plan.Exhausted, "AzureQuotaExceeded",
			"exhausted: PublicIPCountLimitReached: Cannot create more than 10; remove what is not needed, or ask Azure for a higher limit",
		},
		"subnet":     {refuse(400, "SubnetIsFull", "No room."), plan.Exhausted, "SubnetIsFull", "free addresses of the subnet"},
		"in use":     {refuse(400, "PublicIPAddressInUse", "x"), plan.Exhausted, "PublicIPAddressInUse", "free the address"},
		"no group":   {refuse(404, "ResourceGroupNotFound", "Resource group 'rg' could not be found."), plan.Invalid, "AzureNotFound", "not found: ResourceGroupNotFound: Resource group 'rg' could not be found"},
		"no tenant":  {refuse(401, "InvalidAuthenticationTokenTenant", "wrong issuer"), plan.Denied, "AzureDenied", "denied: InvalidAuthenticationTokenTenant: wrong issuer"},
		"no JSON":    {answer(400, `<html>`), plan.Invalid, "AzureRefused", "refused: status 400"},
		"registered": {refuse(409, "MissingSubscriptionRegistration", "x"), plan.Denied, "MissingSubscriptionRegistration", "az provider register"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tc.step)
			_, err := client(t, s, newFastClock()).Put(t.Context(), publicIP, sent(4), "e1")
			pe := kind(t, err, tc.kind, tc.sentence)
			if pe.Reason != tc.reason || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("reason %q of %q", pe.Reason, err)
			}
			var re *azcore.ResponseError
			if !errors.As(err, &re) {
				t.Error("the service's answer is not inside")
			}
			if arm.NotFound(err) != (re.StatusCode == 404) {
				t.Errorf("NotFound is %v", arm.NotFound(err))
			}
		})
	}
}

func TestRoleFollowsTheAction(t *testing.T) {
	const vm = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
	c := client(t, serve(t, answer(403, ``), answer(403, ``)), newFastClock())
	_, err := c.Get(t.Context(), vm, nil)
	kind(t, err, plan.Denied, "lacks Microsoft.Compute/virtualMachines/read on "+vm+"; grant Reader on resource group rg")
	_, err = c.Put(t.Context(), vm, sent(4), "")
	kind(t, err, plan.Denied, "grant Virtual Machine Contributor on resource group rg")
}

func TestOtherTenantOfTheNetwork(t *testing.T) {
	s := serve(t, answer(200, `{}`), answer(200, `{}`))
	c := client(t, s, newFastClock(), func(o *arm.Options) {
		o.Identity.AuxiliaryTenants = []string{"nettenant"}
		o.Network = arm.Identity{Credential: token("network")}
		o.NetworkSubscription = "NetSub"
		o.UserAgent = "mine/1"
	})
	for _, path := range []string{balancer, "/subscriptions/netsub/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/lb"} {
		if _, err := c.Get(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
	}
	own, other := s.calls[0].header, s.calls[1].header
	if own.Get("Authorization") != "Bearer secret" || own.Get("x-ms-authorization-auxiliary") != "Bearer secret-of-nettenant" || own.Get("User-Agent") != "mine/1" {
		t.Errorf("machines are asked with %v", own)
	}
	if other.Get("Authorization") != "Bearer network" || other.Get("x-ms-authorization-auxiliary") != "" {
		t.Errorf("the network is asked with %v", other)
	}
}
