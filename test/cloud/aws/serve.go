// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// Versions of the APIs, which tell them apart.
const (
	ec2Version   = "2016-11-15"
	elbVersion   = "2012-06-01"
	elbv2Version = "2015-12-01"
	stsVersion   = "2011-06-15"
)

func serviceOf(version string) Service {
	switch version {
	case ec2Version:
		return EC2
	case elbVersion:
		return ELB
	case elbv2Version:
		return ELBV2
	case stsVersion:
		return STS
	default:
		return ""
	}
}

// action runs one action on its request. The cloud's lock is held.
type action func(*Cloud, *node) (any, *refusal)

// bind makes an action of a method that takes the request as a struct.
func bind[T any](run func(*Cloud, T) (any, *refusal)) action {
	return func(c *Cloud, request *node) (any, *refusal) {
		var in T
		if refused := request.into(&in); refused != nil {
			return nil, refused
		}
		return run(c, in)
	}
}

// actionTable has every action by its API name.
func actionTable() map[string]action {
	table := map[string]action{}
	for _, part := range []map[string]action{
		networkActions(), groupActions(), machineActions(), tagActions(),
		classicActions(), classicPartActions(), balancerActions(), listenerActions(), targetActions(),
		tokenActions(),
	} {
		maps.Copy(table, part)
	}
	return table
}

// serve gives the answer to one call.
func (c *Cloud) serve(r *http.Request, call *Call, form url.Values) *answer {
	run := c.actions[call.API()]
	if call.Service == "" || run == nil {
		return bad("InvalidAction", "The action %s is not valid for this web service.", call.Action).answer(call)
	}
	if refused := c.authenticate(r, call); refused != nil {
		return refused.answer(call)
	}
	c.chooseFault(call)
	if call.fault != nil && call.fault.When == Before {
		return call.fault.answer(call)
	}
	if refused := c.charge(call); refused != nil {
		return refused.answer(call)
	}
	sim.Pause(r.Context(), c.latencies().of(call))
	if call.Kind == Write && !c.Hook(sim.BeforeCommit, *call) {
		return &answer{hangup: true}
	}
	result, refused := c.run(run, call, form)
	if refused != nil {
		return refused.answer(call)
	}
	if call.Kind == Write && !c.Hook(sim.AfterCommit, *call) {
		return &answer{hangup: true}
	}
	if call.fault != nil && call.fault.When == After {
		return call.fault.answer(call)
	}
	return resultAnswer(call, result)
}

// run does what the call asks for.
func (c *Cloud) run(do action, call *Call, form url.Values) (any, *refusal) {
	request, refused := parseForm(call.Service, form)
	if refused != nil {
		return nil, refused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return do(c, request)
}

// settle lets happen what time has brought.
func (c *Cloud) settle() {
	now := c.now()
	for id, when := range c.leaving {
		if !when.After(now) {
			c.depart(id, when)
			delete(c.leaving, id)
		}
	}
}

func (c *Cloud) latencies() Latencies {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latency
}

// seen is the time that reads of the service see.
func (c *Cloud) seen(service Service) time.Time { return c.now().Add(-c.lag.of(service)) }

// scope is what a request was signed for.
type scope struct{ key, region, service string }

// credentialScope reads the scope of a signature, version 4.
func credentialScope(r *http.Request) scope {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return scope{}
	}
	credential, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return scope{}
	}
	return scope{key: parts[0], region: parts[2], service: parts[3]}
}

// authenticate judges for what a request was signed; the signature itself is
// not checked.
func (c *Cloud) authenticate(r *http.Request, call *Call) *refusal {
	if call.Action == "AssumeRoleWithWebIdentity" {
		return nil
	}
	signed := credentialScope(r)
	want := map[Service]string{EC2: "ec2", ELB: "elasticloadbalancing", ELBV2: "elasticloadbalancing", STS: "sts"}[call.Service]
	switch {
	case signed.key == "":
		return refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	case signed.region != c.region:
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch",
			"Credential should be scoped to a valid region, not '%s'.", signed.region)
	case signed.service != want:
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch",
			"Credential should be scoped to correct service: '%s'.", want)
	default:
		return nil
	}
}
