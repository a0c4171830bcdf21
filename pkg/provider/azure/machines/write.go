// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
)

// form is which document a write is of. The zero value is none.
type form uint8

const (
	modelForm     form = iota + 1 // a scale set
	instanceForm                  // an instance of a uniform scale set
	interfaceForm                 // a network interface
)

// path is where the network interface configurations are in the document;
// empty: the document is one.
func (f form) path() []string {
	switch f {
	case modelForm:
		return []string{"properties", "virtualMachineProfile", "networkProfile", "networkInterfaceConfigurations"}
	case instanceForm:
		return []string{"properties", "networkProfileConfiguration", "networkInterfaceConfigurations"}
	case interfaceForm:
	}
	return nil
}

// Write changes the pools of one document.
type Write struct {
	target plan.ID
	id     string
	etag   string
	doc    json.RawMessage // as it was observed
	change change
	form   form
	model  string // id of the scale set; empty for none
	node   string // of the machine; empty for a scale set's model, and for what has none
	joins  []string
	leaves bool
}

// Node is the node of the machine; empty for what has none.
func (w *Write) Node() string { return w.node }

// Joins are the pools, by id in lower case, that a machine joins by the write.
// What a scale set's model says counts for new machines only.
func (w *Write) Joins() []string { return w.joins }

// Leaves reports whether something leaves a pool of Wish.Leave by the write,
// which others wait for.
func (w *Write) Leaves() bool { return w.leaves }

// edit computes what changes in a document.
func (w *Write) edit(doc json.RawMessage) (edit, error) {
	if w.form == interfaceForm {
		return w.change.editConfigs([]json.RawMessage{doc})
	}
	list, err := document.ListAt(doc, w.form.path()...)
	if err != nil {
		return edit{}, err
	}
	configs := make([]json.RawMessage, list.Len())
	for i, e := range list.Elements() {
		configs[i] = e.Raw
	}
	if len(configs) == 0 {
		return edit{skipped: []string{"it says nothing of its network interfaces"}}, nil
	}
	return w.change.editConfigs(configs)
}

// body is what is sent to change the document; nil when nothing has to be.
//
// Of scale sets and instances only the network interfaces are sent, which
// leaves the rest as it is.
func (w *Write) body(doc json.RawMessage) (json.RawMessage, error) {
	e, err := w.edit(doc)
	if err != nil || len(e.diffs) == 0 {
		return nil, err
	}
	if w.form == interfaceForm {
		return e.configs[0], nil
	}
	path := w.form.path()
	profile := path[:len(path)-1]
	out := json.RawMessage(`{}`)
	keep := [][]string{{"location"}, profile, {"etag"}}
	if w.form == instanceForm {
		keep = [][]string{{"location"}, {"properties", "hardwareProfile"}, profile, {"etag"}}
	}
	for _, p := range keep {
		value, ok := document.Get(doc, p...)
		if !ok {
			continue
		}
		if out, err = document.Set(out, value, p...); err != nil {
			return nil, err
		}
	}
	return document.Set(out, array(e.configs), path...)
}

// Write does a write of a decision. It is conditional on the document being as
// it was observed; when it is not, the document is read again, and what is
// still missing is written. A network interface, which others write without a
// condition, is always read before. Done twice it writes once. A resource that
// is gone needs no change.
func (r *Reader) Write(ctx context.Context, w *Write) error {
	doc, etag := w.doc, w.etag
	if w.form == interfaceForm || etag == "" {
		fresh, err := r.api.Get(ctx, w.id, nil)
		if arm.NotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		doc, etag = fresh, arm.EtagOf(fresh)
	}
	err := r.put(ctx, w, doc, etag)
	if plan.KindOf(err) != plan.Conflict || err == nil {
		return err
	}
	fresh, readErr := r.api.Get(ctx, w.id, nil)
	if arm.NotFound(readErr) {
		return nil
	}
	if readErr != nil {
		return readErr
	}
	return r.put(ctx, w, fresh, arm.EtagOf(fresh))
}

// put writes the document as it shall be.
func (r *Reader) put(ctx context.Context, w *Write, doc json.RawMessage, etag string) error {
	body, err := w.body(doc)
	if err != nil {
		return &plan.Error{Kind: plan.Invalid, Reason: "UnreadableAnswer", Err: fmt.Errorf("%s: %w", w.id, err)}
	}
	if body == nil {
		return nil
	}
	_, err = r.api.Put(ctx, w.id, body, etag)
	r.writes.set(r.clock.Now().Add(1)) // a listing of the same moment may not show it
	if !arm.NotFound(err) {
		return err
	}
	// The resource is gone, or something that it names.
	if _, readErr := r.api.Get(ctx, w.id, nil); arm.NotFound(readErr) {
		return nil
	}
	return err
}
