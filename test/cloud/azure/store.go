// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// States of provisioning.
const (
	succeeded = "Succeeded"
	updating  = "Updating"
	deleting  = "Deleting"
	failed    = "Failed"
)

// resource is one stored resource. doc is what a GET answers.
type resource struct {
	id     string // as first written
	kind   *kind
	doc    object
	links  []link
	op     *operation // running, or nil
	answer []byte     // doc as JSON; nil when it has changed since
	power  string     // of a machine: running, stopped, deallocated
}

func (r *resource) key() string { return key(r.id) }

func (r *resource) state() string { return text(r.doc, "properties", "provisioningState") }

// json is the document as it is answered.
func (r *resource) json() []byte {
	if r.answer == nil {
		data, err := json.Marshal(r.doc)
		if err != nil {
			panic("azuresim: a stored document cannot be written: " + err.Error())
		}
		r.answer = data
	}
	return r.answer
}

// touch gives the resource a new etag, and its children with it.
func (c *Cloud) touch(r *resource) {
	r.answer = nil
	if r.kind.compute() {
		old := strings.Trim(text(r.doc, "etag"), `"`)
		n := 0
		_, _ = fmt.Sscanf(old, "%d", &n) // an etag of another form starts anew
		r.doc["etag"] = fmt.Sprintf("%q", fmt.Sprint(n+1))
		return
	}
	etag := `W/"` + c.guid() + `"`
	r.doc["etag"] = etag
	forChildren(r, func(e object) { e["etag"] = etag })
}

// setState writes the provisioning state of the resource and its children.
func setState(r *resource, state string) {
	r.answer = nil
	properties(r.doc)["provisioningState"] = state
	forChildren(r, func(e object) { properties(e)["provisioningState"] = state })
}

// forChildren visits the elements that are resources themselves.
func forChildren(r *resource, visit func(object)) {
	props := child(r.doc, "properties")
	for _, array := range r.kind.children {
		for _, e := range elements(props, array) {
			visit(e)
			for _, member := range elements(child(e, "properties"), backendAddresses) {
				visit(member)
			}
		}
	}
}

// guid is the next of a series, so that equal runs give equal ones.
func (c *Cloud) guid() string {
	c.serial++
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", c.serial)
}

// commit makes the document the resource's, with a new etag, and lets all that
// refer to each other know.
func (c *Cloud) commit(r *resource, doc object) {
	r.doc = doc
	c.resources[r.key()] = r
	c.touch(r)
	c.relink(r)
}

// relink takes in the references of a changed document.
func (c *Cloud) relink(r *resource) {
	var links []link
	if r.kind.links != nil {
		links = r.kind.links(r)
	}
	touched := c.index.replace(r.links, links)
	r.links = links
	if r.kind.derive != nil {
		r.kind.derive(c, r)
	}
	c.derive(touched, r)
}

// derive renews the back-references of all targets, and their etags when that
// changes anything.
func (c *Cloud) derive(targets map[string]bool, except *resource) {
	if c.deferred != nil {
		maps.Copy(c.deferred, targets)
		return
	}
	for _, root := range c.roots(targets) {
		if root == except || root.kind.derive == nil {
			continue
		}
		before := root.json()
		root.answer = nil
		root.kind.derive(c, root)
		if string(before) != string(root.json()) {
			c.touch(root)
		}
	}
}

// batch puts off the renewal of back-references until the function that it
// returns is called: for many changes at once.
func (c *Cloud) batch() (flush func()) {
	if c.batches++; c.batches == 1 {
		c.deferred = map[string]bool{}
	}
	return func() {
		if c.batches--; c.batches > 0 {
			return
		}
		targets := c.deferred
		c.deferred = nil
		c.derive(targets, nil)
	}
}

// remove takes the resource out, and its references with it.
func (c *Cloud) remove(r *resource) {
	delete(c.resources, r.key())
	touched := c.index.replace(r.links, nil)
	r.links = nil
	c.derive(touched, r)
}

// find gives the stored resource that an id names, also the id of a child.
func (c *Cloud) find(id string) *resource {
	for path := key(id); path != ""; path = parent(path) {
		if r := c.resources[path]; r != nil {
			return r
		}
	}
	return nil
}

// findChild gives the element that an id names in its parent's document.
func (c *Cloud) findChild(id string) object {
	r := c.resources[key(parent(id))]
	if r == nil {
		return nil
	}
	array := last(up(id, 1))
	for _, name := range r.kind.children {
		if strings.EqualFold(name, array) {
			return named(elements(child(r.doc, "properties"), name), last(id))
		}
	}
	return nil
}

// exists reports whether an id names a resource or a child.
func (c *Cloud) exists(id string) bool {
	return c.resources[key(id)] != nil || c.findChild(id) != nil
}

// settle ends the operations whose time is over.
func (c *Cloud) settle(now time.Time) {
	running := c.running[:0]
	var due []*operation
	for _, op := range c.running {
		switch {
		case op.ended():
		case op.due.After(now):
			running = append(running, op)
		default:
			due = append(due, op)
		}
	}
	c.running = running
	for _, op := range due {
		c.finish(op)
	}
}

// settleNow ends the operations that are due by the clock.
func (c *Cloud) settleNow() { c.settle(time.Now()) }
