// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// nextHopAppliance is the only type of next hop that is given by its address.
const nextHopAppliance = "VirtualAppliance"

// route is a route of the table, as far as it is read.
type route struct {
	name, cidr, hopType, hop string
}

// table is a route table as it was read; the zero value is none.
type table struct {
	doc    json.RawMessage // nil: the table is not there
	etag   string
	routes []route
	tags   map[string]string
}

type tableDoc struct {
	Etag       string            `json:"etag"`
	Tags       map[string]string `json:"tags"`
	Properties struct {
		Routes []struct {
			Name       string `json:"name"`
			Properties struct {
				Prefix  string `json:"addressPrefix"`
				HopType string `json:"nextHopType"`
				Hop     string `json:"nextHopIpAddress"`
			} `json:"properties"`
		} `json:"routes"`
	} `json:"properties"`
}

func parseTable(doc json.RawMessage) (table, error) {
	var d tableDoc
	if err := json.Unmarshal(doc, &d); err != nil {
		return table{}, fmt.Errorf("route table: %w", err)
	}
	t := table{doc: doc, etag: d.Etag, tags: d.Tags}
	for _, r := range d.Properties.Routes {
		t.routes = append(t.routes, route{r.Name, r.Properties.Prefix, r.Properties.HopType, r.Properties.Hop})
	}
	return t, nil
}

// verb is what an operation does. The zero value is none.
type verb uint8

const (
	create verb = iota + 1
	remove
	retag
)

// operation is one change that is asked for.
type operation struct {
	verb verb
	node string
	cidr string
	hop  netip.Addr // of create
	name string     // of remove: the route as it was listed
}

// outcome is the table as the operations want it.
type outcome struct {
	body    json.RawMessage // nil: it is so already
	refused []error         // by operation; nil for those that are in the body
}

// apply does the operations, in their order, on a table. Routes and fields that
// no operation names stay byte for byte. A refused operation does not hold up
// the others.
func (t table) apply(ops []operation, s site) (outcome, error) {
	list, err := document.ListAt(t.doc, "properties", "routes")
	if err != nil {
		return outcome{}, err
	}
	e := editor{list: list, have: slices.Clone(t.routes)}
	out := outcome{refused: make([]error, len(ops))}
	for i, op := range ops {
		switch op.verb {
		case create:
			out.refused[i] = e.create(op)
		case remove:
			e.remove(op)
		case retag:
		}
	}
	doc := t.doc
	if doc == nil {
		doc = s.skeleton()
	}
	if e.list.Changed() {
		if doc, err = document.Set(doc, e.list.JSON(), "properties", "routes"); err != nil {
			return outcome{}, err
		}
	}
	if tags, changed := s.wantTags(t.tags); changed {
		raw, err := json.Marshal(tags)
		if err != nil {
			return outcome{}, err
		}
		if doc, err = document.Set(doc, raw, "tags"); err != nil {
			return outcome{}, err
		}
	}
	if e.list.Changed() || t.doc != nil && string(doc) != string(t.doc) {
		out.body = doc // a table is not made without a route
	}
	return out, nil
}

// editor changes the routes of a table.
type editor struct {
	list document.List
	have []route
}

// drop takes a route out.
func (e *editor) drop(name string) {
	e.list.Remove(name)
	e.forget(name)
}

// create adds or corrects a node's route. An old route of the node to the same
// prefix makes place: a table has one route to a prefix.
func (e *editor) create(op operation) error {
	name := routeName(op.node, op.cidr)
	want := route{name, op.cidr, nextHopAppliance, op.hop.String()}
	for _, r := range slices.Clone(e.have) {
		switch {
		case strings.EqualFold(r.name, name):
			if samePrefix(r.cidr, want.cidr) && strings.EqualFold(r.hopType, want.hopType) && r.hop == want.hop {
				return nil
			}
		case !samePrefix(r.cidr, op.cidr):
		case strings.EqualFold(r.name, op.node):
			e.drop(r.name)
		default:
			return &plan.Error{Kind: plan.Invalid, Reason: "RouteConflict", Err: fmt.Errorf(
				"route %s of the table has the prefix %s too, and a table has one route to a prefix; remove that route, or give node %s another prefix",
				r.name, op.cidr, op.node)}
		}
	}
	return e.put(want)
}

// put writes a route. What else stands in one of its name stays.
func (e *editor) put(want route) error {
	raw := json.RawMessage(`{}`)
	if old, ok := e.list.Find(want.name); ok {
		raw = old.Raw
		want.name = old.Name
	}
	for _, field := range [][]string{
		{want.name, "name"},
		{want.cidr, "properties", "addressPrefix"},
		{want.hopType, "properties", "nextHopType"},
		{want.hop, "properties", "nextHopIpAddress"},
	} {
		value, err := json.Marshal(field[0])
		if err != nil {
			return err
		}
		if raw, err = document.Set(raw, value, field[1:]...); err != nil {
			return err
		}
	}
	e.forget(want.name)
	e.list.Put(document.Element{Name: want.name, Raw: raw})
	e.have = append(e.have, want)
	return nil
}

// forget forgets what a route said.
func (e *editor) forget(name string) {
	e.have = slices.DeleteFunc(e.have, func(r route) bool { return strings.EqualFold(r.name, name) })
}

// remove takes a node's route out, and an old one to the same prefix.
func (e *editor) remove(op operation) {
	for _, r := range slices.Clone(e.have) {
		mine := strings.EqualFold(r.name, routeName(op.node, op.cidr)) || strings.EqualFold(r.name, op.name) || strings.EqualFold(r.name, op.node)
		if mine && samePrefix(r.cidr, op.cidr) {
			e.drop(r.name)
		}
	}
}

// site is what the configuration says of the table.
type site struct {
	location string
	tags     map[string]string // nil: the tags are not ours
	system   []string          // prefixes of tags that are kept; empty: all are
}

// skeleton is a table without routes.
func (s site) skeleton() json.RawMessage {
	location, err := json.Marshal(s.location)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return slices.Concat([]byte(`{"location":`), location, []byte(`,"properties":{"routes":[]}}`))
}

// wantTags are the tags as they shall be, and whether that is otherwise.
func (s site) wantTags(have map[string]string) (map[string]string, bool) {
	if len(s.tags) == 0 {
		return have, false
	}
	set, gone := names.Retag(have, s.tags, s.system)
	want := map[string]string{}
	maps.Copy(want, have)
	maps.Copy(want, set)
	for _, k := range gone {
		delete(want, k)
	}
	return want, len(set)+len(gone) > 0
}

// errStopped is the answer to those who ask after the end.
var errStopped = errors.New("route table: the controller stops")
