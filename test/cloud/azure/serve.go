// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// serve gives the answer to one call.
func (c *Cloud) serve(r *http.Request, call *Call) *answer {
	if a := c.endpoint(r); a != nil {
		return a
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") || len(r.Header.Get("Authorization")) < 10 {
		a := refuse(http.StatusUnauthorized, "AuthenticationFailed",
			"Authentication failed. The 'Authorization' header is missing.").answer()
		a.header.Set("WWW-Authenticate", `Bearer authorization_uri="https://login.microsoftonline.com/", error="invalid_token"`)
		return a
	}
	c.chooseFault(call)
	if call.fault != nil && call.fault.When == Before {
		return call.fault.answer()
	}
	if refused := c.charge(call); refused != nil {
		return refused.answer()
	}
	a := c.route(r, call)
	if call.fault != nil && call.fault.When == After && call.Kind != Write && a.status < http.StatusBadRequest {
		return call.fault.answer()
	}
	return a
}

// route finds what a path means.
func (c *Cloud) route(r *http.Request, call *Call) *answer {
	if r.URL.Query().Get("api-version") == "" {
		return bad("MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.").answer()
	}
	id, ok := parseID(r.URL.Path)
	if !ok {
		return c.routeGroup(r)
	}
	if !strings.EqualFold(id.subscription, c.subscription) {
		return refuse(http.StatusNotFound, "SubscriptionNotFound",
			"The subscription '%s' could not be found.", id.subscription).answer()
	}
	if call.Kind == Poll {
		return c.servePoll(r, id)
	}
	if len(id.types) == 0 {
		return c.serveProvider(r, id)
	}
	t, refused := c.target(r, id)
	if refused != nil {
		return refused.answer()
	}
	if call.Kind == Write {
		return c.serveWrite(r, call, t)
	}
	return c.serveRead(r, t)
}

// target is what a call is about: a stored kind, or children of one.
type target struct {
	id    resourceID
	kind  *kind
	array string // of the parent's properties, when children are meant
	nics  bool   // interfaces of a scale set
	verb  string // of an action
}

// target finds the type and checks version and method.
func (c *Cloud) target(r *http.Request, id resourceID) (target, *refusal) {
	t := target{id: id, kind: c.kinds[strings.ToLower(id.typeName())]}
	version, verbs := networkVersion, ""
	switch {
	case t.kind != nil:
		version, verbs = t.kind.version, t.kind.verbs
	case ofScaleSet(id):
		t.nics, version, verbs = true, scaleSetVersion, readOnly
	case len(id.types) > 1 && r.Method == http.MethodPost && id.collection():
		t = c.actionTarget(id)
		verbs = http.MethodPost
	case len(id.types) > 1:
		t.kind, t.array = c.childOf(id)
		verbs = childVerbs(t.array)
	}
	if t.kind == nil && !t.nics {
		return t, refuse(http.StatusNotFound, "InvalidResourceType",
			"The resource type '%s' could not be found in the namespace '%s' for api version '%s'.",
			strings.Join(id.types, "/"), id.namespace, r.URL.Query().Get("api-version"))
	}
	if given := r.URL.Query().Get("api-version"); given != version {
		return t, bad("NoRegisteredProviderFound",
			"No registered resource provider found for location '%s' and API version '%s' for type '%s'. "+
				"The supported api-versions are '%s'.", c.location, given, strings.Join(id.types, "/"), version)
	}
	if !slices.Contains(strings.Fields(verbs), r.Method) || id.collection() && r.Method != http.MethodGet && t.verb == "" {
		return t, refuse(http.StatusMethodNotAllowed, "HttpMethodNotAllowed",
			"The HTTP method '%s' is not supported at scope '%s'.", r.Method, id.path)
	}
	return t, nil
}

// childVerbs are the methods that elements of an array take on their own.
func childVerbs(array string) string {
	switch array {
	case "backendAddressPools", "subnets":
		return allVerbs
	case "privateEndpointConnections":
		return "GET DELETE"
	default:
		return readOnly
	}
}

func (c *Cloud) actionTarget(id resourceID) target {
	n := len(id.types) - 1
	owner, ok := parseID(up(id.path, 1))
	if !ok || !strings.EqualFold(id.types[n], migrateAction) {
		return target{}
	}
	t := target{id: owner, kind: c.kinds[strings.ToLower(owner.typeName())], verb: migrateAction}
	if t.kind == nil || t.kind.name != LoadBalancers {
		t.kind = nil
	}
	return t
}

func (c *Cloud) latencies() Latencies {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latency
}

func (c *Cloud) servePoll(r *http.Request, id resourceID) *answer {
	sim.Pause(r.Context(), c.latencies().Poll)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	op, noun, _ := c.findOperation(id)
	return c.poll(baseURL(r), op, noun)
}

// baseURL is how the client reached us.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// routeGroup answers about resource groups; all other paths are unknown.
func (c *Cloud) routeGroup(r *http.Request) *answer {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 4 || !strings.EqualFold(parts[2], "resourceGroups") || r.Method != http.MethodGet {
		return refuse(http.StatusNotFound, "NotFound", "No resource is at %s.", r.URL.Path).answer()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name, ok := c.groups[key(parts[3])]
	if !ok {
		return missingGroup(resourceID{group: parts[3]}).answer()
	}
	return jsonAnswer(http.StatusOK, object{
		"id": fmt.Sprintf("/subscriptions/%s/resourceGroups/%s", c.subscription, name), "name": name,
		"type": "Microsoft.Resources/resourceGroups", "location": c.location,
		"properties": object{"provisioningState": succeeded},
	})
}
