// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// skipToken is the query parameter that names a further page.
const skipToken = "$skiptoken"

// serveRead answers GETs of resources, of children and of collections.
func (c *Cloud) serveRead(r *http.Request, t target) *answer {
	sim.Pause(r.Context(), c.latencies().Read)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	if t.id.group != "" && c.groups[key(t.id.group)] == "" {
		return missingGroup(t.id).answer()
	}
	query := r.URL.Query()
	switch {
	case t.nics:
		return c.readScaleSetNetwork(r, t.id)
	case t.array != "" && t.id.collection():
		return c.listChildren(r, t)
	case t.array != "":
		e := c.findChild(t.id.path)
		if e == nil {
			return missingResource(t.id).answer()
		}
		return withETag(jsonAnswer(http.StatusOK, e), e)
	case t.id.collection():
		return c.list(r, t)
	}
	res := c.resources[t.id.key()]
	if res == nil {
		return missingResource(t.id).answer()
	}
	if refused := checkExpand(res.kind, query); refused != nil {
		return refused.answer()
	}
	return withETag(rawAnswer(http.StatusOK, c.view(res, query)), res.doc)
}

func withETag(a *answer, doc object) *answer {
	if etag := text(doc, "etag"); etag != "" {
		a.header.Set("ETag", etag)
	}
	return a
}

// view is the document with what $expand asks for.
func (c *Cloud) view(r *resource, query url.Values) []byte {
	expand := strings.EqualFold(query.Get("$expand"), "instanceView") || query.Get("statusOnly") == "true"
	if !expand || r.kind.name != Machines && r.kind.name != Instances {
		return r.json()
	}
	doc := clone(r.doc)
	properties(doc)["instanceView"] = instanceView(r)
	data, err := json.Marshal(doc)
	if err != nil {
		panic("azuresim: a stored document cannot be written: " + err.Error())
	}
	return data
}

// checkExpand refuses what a type cannot expand.
func checkExpand(k *kind, query url.Values) *refusal {
	expand := query.Get("$expand")
	if expand == "" || !k.compute() || strings.EqualFold(expand, "instanceView") {
		return nil
	}
	if strings.EqualFold(expand, "userData") && k.name != AvailabilitySets {
		return nil
	}
	return bad("InvalidParameter", "The value '%s' of parameter '$expand' is not supported.", expand)
}

// list answers a collection, below a resource group or a subscription.
func (c *Cloud) list(r *http.Request, t target) *answer {
	query := r.URL.Query()
	if refused := c.checkList(t, query); refused != nil {
		return refused.answer()
	}
	prefix := t.id.key() + "/"
	if t.id.group == "" {
		prefix = ""
	}
	set, filtered, refused := setFilter(t.kind, query)
	if refused != nil {
		return refused.answer()
	}
	var found []*resource
	for k, res := range c.resources {
		if res.kind != t.kind || !strings.HasPrefix(k, prefix) {
			continue
		}
		if filtered && !strings.EqualFold(reference(child(res.doc, "properties"), "virtualMachineScaleSet"), set) {
			continue
		}
		found = append(found, res)
	}
	slices.SortFunc(found, func(a, b *resource) int { return strings.Compare(naturalKey(a), naturalKey(b)) })
	documents := make([]json.RawMessage, len(found))
	for i, res := range found {
		documents[i] = c.view(res, query)
	}
	return c.page(r, documents)
}

// naturalKey sorts the instances of a scale set by number.
func naturalKey(r *resource) string {
	name := last(r.id)
	if n, err := strconv.Atoi(name); err == nil && r.kind.name == Instances {
		return up(r.key(), 1) + "/" + strings.Repeat("0", max(0, 10-len(name))) + strconv.Itoa(n)
	}
	return r.key()
}

// checkList refuses lists below what is not there, and expansions that the
// service does not give on lists.
func (c *Cloud) checkList(t target, query url.Values) *refusal {
	if t.kind.name == Instances && c.resources[key(up(t.id.path, 1))] == nil {
		owner, _ := parseID(up(t.id.path, 1))
		return missingResource(owner)
	}
	if refused := checkExpand(t.kind, query); refused != nil {
		return refused
	}
	if t.kind.name == Machines && query.Has("$expand") && !query.Has("$filter") {
		return bad("InvalidParameter", "The parameter '$expand' can only be given together with a valid '$filter'.")
	}
	if query.Get("statusOnly") == "true" && (t.kind.name != Machines || t.id.group != "") {
		return bad("InvalidParameter", "The parameter 'statusOnly' is only valid on a list of a subscription's machines.")
	}
	return nil
}

// setFilter reads the only filter that there is:
// 'virtualMachineScaleSet/id' eq '/subscriptions/...'.
func setFilter(k *kind, query url.Values) (set string, filtered bool, refused *refusal) {
	filter := query.Get("$filter")
	if filter == "" || k.name != Machines {
		return "", false, nil
	}
	field, value, ok := strings.Cut(filter, " eq ")
	field = strings.Trim(strings.TrimSpace(field), "'")
	if !ok || !strings.EqualFold(field, "virtualMachineScaleSet/id") {
		return "", false, bad("InvalidParameter", "The filter '%s' is not supported.", filter)
	}
	return strings.Trim(strings.TrimSpace(value), "'"), true, nil
}

// listChildren answers the elements of an array in the parent's document.
func (c *Cloud) listChildren(r *http.Request, t target) *answer {
	owner := c.resources[key(up(t.id.path, 1))]
	if owner == nil {
		id, _ := parseID(up(t.id.path, 1))
		return missingResource(id).answer()
	}
	var documents []json.RawMessage
	for _, e := range elements(child(owner.doc, "properties"), t.array) {
		documents = append(documents, jsonAnswer(http.StatusOK, e).body)
	}
	return c.page(r, documents)
}

// page answers one page of a list, and where the next one is.
func (c *Cloud) page(r *http.Request, documents []json.RawMessage) *answer {
	start := 0
	if token := r.URL.Query().Get(skipToken); token != "" {
		n, err := strconv.Atoi(token)
		if err != nil || n < 0 || n > len(documents) {
			return bad("InvalidSkipToken", "The skip token '%s' is not valid.", token).answer()
		}
		start = n
	}
	end := len(documents)
	if c.pageSize > 0 {
		end = min(end, start+c.pageSize)
	}
	var body bytes.Buffer
	body.WriteString(`{"value":[`)
	for i, document := range documents[start:end] {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(document)
	}
	body.WriteByte(']')
	if end < len(documents) {
		query := r.URL.Query()
		query.Set(skipToken, strconv.Itoa(end))
		link, err := json.Marshal(baseURL(r) + r.URL.Path + "?" + query.Encode())
		if err != nil {
			panic("azuresim: a link cannot be written: " + err.Error())
		}
		body.WriteString(`,"nextLink":`)
		body.Write(link)
	}
	body.WriteByte('}')
	return rawAnswer(http.StatusOK, body.Bytes())
}
