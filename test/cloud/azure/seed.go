// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Seed takes in resources as a GET answers them, without judging them: what was
// answered once stands. It replaces resources of the same ids. Public addresses
// in use are not given again.
func (c *Cloud) Seed(resources []json.RawMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var faults []error
	for i, data := range resources {
		doc, err := decode(data)
		if err != nil {
			faults = append(faults, fmt.Errorf("resource %d: %w", i, err))
			continue
		}
		id, ok := parseID(text(doc, "id"))
		k := c.kinds[strings.ToLower(id.typeName())]
		if !ok || k == nil || id.group == "" {
			faults = append(faults, fmt.Errorf("resource %d: id %q is not of a type that is stored here", i, text(doc, "id")))
			continue
		}
		if c.groups[key(id.group)] == "" {
			c.groups[key(id.group)] = id.group
		}
		r := c.resources[id.key()]
		if r == nil {
			r = &resource{id: id.path, kind: k}
			c.resources[r.key()] = r
		}
		r.doc, r.answer = doc, nil
		var links []link
		if k.links != nil {
			links = k.links(r)
		}
		c.index.replace(r.links, links)
		r.links = links
	}
	return errors.Join(faults...)
}

// State returns every resource as a GET answers it, sorted by id.
func (c *Cloud) State() []json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	state := make([]json.RawMessage, 0, len(c.resources))
	for _, k := range slices.Sorted(maps.Keys(c.resources)) {
		state = append(state, bytes.Clone(c.resources[k].json()))
	}
	return state
}

// Get returns one resource, or an element of one, as a GET answers it; ok is
// false when it is not there.
func (c *Cloud) Get(id string) (doc json.RawMessage, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	if r := c.resources[key(id)]; r != nil {
		return bytes.Clone(r.json()), true
	}
	if e := c.findChild(id); e != nil {
		return jsonAnswer(http.StatusOK, e).body, true
	}
	return nil, false
}

// Make puts a resource as a client would, with every rule, but at once and
// uncounted. It is for what a test starts with and for the deeds of others.
func (c *Cloud) Make(id string, body any) (json.RawMessage, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	a, err := c.instant(http.MethodPut, id, data)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// Remove deletes a resource as a client would, with every rule, but at once and
// uncounted. Machines and scale-set instances go too, with no rule.
func (c *Cloud) Remove(id string) error {
	c.mu.Lock()
	r := c.resources[key(id)]
	if r != nil && (r.kind.name == Machines || r.kind.name == Instances) {
		defer c.mu.Unlock()
		c.remove(r)
		return nil
	}
	c.mu.Unlock()
	_, err := c.instant(http.MethodDelete, id, nil)
	return err
}

// instant runs a write with no latency, faults, hooks and counts.
func (c *Cloud) instant(method, id string, data []byte) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	latency := c.latency
	c.latency = Latencies{}
	defer func() { c.latency = latency }()
	parsed, ok := parseID(id)
	if !ok || parsed.collection() {
		return nil, fmt.Errorf("%q is no id of a resource", id)
	}
	t := target{id: parsed, kind: c.kinds[strings.ToLower(parsed.typeName())]}
	if t.kind == nil && len(parsed.types) > 1 {
		t.kind, t.array = c.childOf(parsed)
	}
	if t.kind == nil {
		return nil, fmt.Errorf("%q is not of a type that is stored here", id)
	}
	w := &write{
		cloud: c, call: &Call{Type: c.canonicalType(parsed), Method: method},
		method: method, id: parsed, kind: t.kind,
	}
	if t.array != "" {
		w.childArray, w.childName = t.array, parsed.name()
	}
	op, a := c.apply(w, t, data, http.Header{})
	if op != nil {
		a = c.done(w, op)
	}
	if a.status >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %d %s", method, id, a.status, a.body)
	}
	return a, nil
}

// Edit changes a resource behind everybody's back, with no rule but a new etag:
// for drift. The function gets the document to change.
func (c *Cloud) Edit(id string, change func(doc map[string]any)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleNow()
	r := c.resources[key(id)]
	if r == nil {
		return fmt.Errorf("no resource %q", id)
	}
	doc := clone(r.doc)
	change(doc)
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if doc, err = decode(data); err != nil {
		return err
	}
	c.commit(r, doc)
	return nil
}

// SetPower sets the power state of a machine or an instance, such as running,
// stopped or deallocated.
func (c *Cloud) SetPower(id, power string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.resources[key(id)]
	if r == nil || r.kind.name != Machines && r.kind.name != Instances {
		return fmt.Errorf("no machine %q", id)
	}
	r.power = power
	return nil
}

// Normalise writes a state as text, one indented document after the other,
// without what differs between equal runs: etags and the numbers that the
// server gives. Two states are the same when their texts are.
func Normalise(state []json.RawMessage) (string, error) {
	var out strings.Builder
	for _, data := range state {
		doc, err := decode(data)
		if err != nil {
			return "", err
		}
		text, err := json.MarshalIndent(strip(doc), "", " ")
		if err != nil {
			return "", err
		}
		out.Write(text)
		out.WriteByte('\n')
	}
	return out.String(), nil
}

// strip takes out what the server numbers.
func strip(value any) any {
	switch v := value.(type) {
	case object:
		for _, name := range []string{"etag", "resourceGuid", "uniqueId", "vmId", "alias"} {
			delete(v, name)
		}
		if pools, ok := v["loadBalancerBackendAddressPools"].([]any); ok && len(pools) == 0 {
			delete(v, "loadBalancerBackendAddressPools") // as good as none
		}
		for _, field := range v {
			strip(field)
		}
	case []any:
		for _, element := range v {
			strip(element)
		}
	}
	return value
}
