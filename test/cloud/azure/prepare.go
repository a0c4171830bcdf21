// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// begin reads the body, checks what every type has in common, and makes the
// document to be. A write of a child becomes a write of its parent.
func (w *write) begin(data []byte) *refusal {
	if w.method == http.MethodDelete {
		return w.beginChildDelete()
	}
	body, err := decode(data)
	if err != nil {
		return bad("InvalidRequestContent",
			"The request content was invalid and could not be deserialized: '%s'.", err.Error())
	}
	if refused := w.checkBody(body); refused != nil {
		return refused
	}
	w.body = body
	if !w.kind.compute() {
		idsOnly(body)
	}
	if w.childArray != "" {
		return w.beginChild()
	}
	w.next = clone(body)
	if w.kind.compute() && w.prior != nil {
		w.next = merge(clone(w.prior.doc), w.next)
	}
	if refused := w.checkLocation(); refused != nil {
		return refused
	}
	if refused := w.checkTags(); refused != nil {
		return refused
	}
	w.fill()
	return nil
}

// idsOnly cuts references down to their ids, as the server does.
func idsOnly(value any) {
	switch v := value.(type) {
	case object:
		for name, field := range v {
			o, _ := field.(object)
			switch name {
			case "publicIPAddress", "publicIPPrefix", "subnet", "virtualNetwork", "networkSecurityGroup", "routeTable",
				"probe", "backendAddressPool", "frontendIPConfiguration":
				if id := text(v, name, "id"); o != nil && id != "" {
					v[name] = object{"id": id}
					continue
				}
			}
			idsOnly(field)
		}
	case []any:
		for _, e := range v {
			idsOnly(e)
		}
	}
}

// checkBody refuses a body that is not an object of the resource in the path.
func (w *write) checkBody(body object) *refusal {
	if refused := wrongName("name", text(body, "name"), w.bodyName()); refused != nil {
		return refused
	}
	if refused := wrongName("id", text(body, "id"), w.id.path); refused != nil {
		return refused
	}
	if refused := wrongName("type", text(body, "type"), w.call.Type); refused != nil {
		return refused
	}
	if p := body["properties"]; p != nil {
		if _, ok := p.(object); !ok {
			return bad("InvalidRequestFormat", "Cannot parse the request.").because("InvalidJson",
				"Error converting value at path 'properties': an object is expected.")
		}
	}
	return w.checkName()
}

// bodyName is the name that a body may carry.
func (w *write) bodyName() string {
	if w.kind.name == Instances && w.prior != nil {
		return text(w.prior.doc, "name")
	}
	return w.id.name()
}

// maxName is the longest name of a network resource: 80, from the page on
// naming rules of Azure resources.
const maxName = 80

func (w *write) checkName() *refusal { return checkName(w.id.name()) }

func checkName(name string) *refusal {
	valid := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	if len(name) > maxName || !valid.MatchString(name) {
		return bad("InvalidResourceName", "Resource name %s is invalid. The name can be up to 80 characters long. "+
			"It must begin with a word character, and it must end with a word character or with '_'. "+
			"The name may contain word characters or '.', '-', '_'.", name)
	}
	return nil
}

// Limits of tags, from the page on tags of resources.
const (
	maxTags     = 50
	maxTagName  = 512
	maxTagValue = 256
)

// checkTags judges the tags: there are few, of limited length, and all text.
func (w *write) checkTags() *refusal {
	tags, ok := w.next["tags"].(object)
	if w.next["tags"] != nil && !ok {
		return bad("InvalidTags", "The tags of %s are not an object.", w.id.path)
	}
	if len(tags) > maxTags {
		return bad("InvalidTags", "Resource %s has %d tags; the maximum is %d.", w.id.path, len(tags), maxTags)
	}
	for name, value := range tags {
		s, ok := value.(string)
		if !ok || len(name) > maxTagName || len(s) > maxTagValue {
			return bad("InvalidTagValueLength", "Tag %q of %s: names have up to %d characters and values are text of up to %d.",
				name, w.id.path, maxTagName, maxTagValue)
		}
	}
	return nil
}

// checkLocation refuses a missing location, and a move to another one.
func (w *write) checkLocation() *refusal {
	location := text(w.next, "location")
	if location == "" {
		return bad("LocationRequired", "The location property is required for this definition.")
	}
	if w.prior == nil {
		return nil
	}
	if old := text(w.prior.doc, "location"); !sameLocation(old, location) {
		return refuse(http.StatusConflict, "InvalidResourceLocation",
			"The resource '%s' already exists in location '%s' in resource group '%s'. "+
				"A resource with the same name cannot be created in location '%s'. Please select a new resource name.",
			w.id.name(), old, w.id.group, location)
	}
	return nil
}

// sameLocation knows that East US is eastus.
func sameLocation(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(b, " ", ""))
}

// fill writes what the server owns on every resource.
func (w *write) fill() {
	w.next["id"], w.next["name"], w.next["type"] = w.id.path, w.id.name(), w.kind.name
	props := properties(w.next)
	if w.prior == nil {
		if !w.kind.compute() {
			props["resourceGuid"] = w.cloud.guid()
		}
	} else {
		old := w.prior.doc
		w.next["id"], w.next["name"], w.next["etag"] = old["id"], old["name"], old["etag"]
		w.next["location"] = old["location"]
		copyField(props, child(old, "properties"), "resourceGuid")
	}
	for _, array := range w.kind.children {
		if props[array] == nil {
			props[array] = []any{}
		}
	}
	if tags, ok := w.next["tags"].(object); ok && len(tags) == 0 && w.prior == nil {
		delete(w.next, "tags")
	}
}

// copyField makes a server-owned field what it was, or takes it out.
func copyField(to, from object, name string) {
	if v, ok := from[name]; ok {
		to[name] = v
		return
	}
	delete(to, name)
}

// beginChild puts the element into the parent's document.
func (w *write) beginChild() *refusal {
	if w.prior == nil {
		owner, _ := parseID(parent(w.id.path))
		return refuse(http.StatusNotFound, "ParentResourceNotFound",
			"Can not perform requested operation on nested resource. Parent resource '%s' not found.", owner.name())
	}
	w.next = clone(w.prior.doc)
	props := properties(w.next)
	list, _ := props[w.childArray].([]any)
	element := clone(w.body)
	element["name"] = w.childName
	at := slices.IndexFunc(list, func(e any) bool {
		o, ok := e.(object)
		return ok && strings.EqualFold(text(o, "name"), w.childName)
	})
	if at >= 0 {
		list[at] = element
	} else {
		list = append(list, element)
	}
	props[w.childArray] = list
	return nil
}

// beginChildDelete takes the element out of the parent's document.
func (w *write) beginChildDelete() *refusal {
	if w.prior == nil || w.currentChild() == nil {
		return &refusal{status: http.StatusNoContent}
	}
	w.next = clone(w.prior.doc)
	props := properties(w.next)
	list, _ := props[w.childArray].([]any)
	props[w.childArray] = slices.DeleteFunc(list, func(e any) bool {
		o, ok := e.(object)
		return ok && strings.EqualFold(text(o, "name"), w.childName)
	})
	return nil
}

// merge lays a document over another, as compute types do: objects are merged,
// everything else is replaced.
func merge(base, over object) object {
	for name, value := range over {
		below, isObject := base[name].(object)
		above, ok := value.(object)
		if isObject && ok {
			base[name] = merge(below, above)
			continue
		}
		base[name] = value
	}
	return base
}

// fillChildren gives the elements of an array their ids and types, and refuses
// names that are missing or used twice.
func (w *write) fillChildren(array string) *refusal {
	seen := map[string]bool{}
	props := properties(w.next)
	list, _ := props[array].([]any)
	old := elements(child(w.priorDoc(), "properties"), array)
	for i, value := range list {
		e, ok := value.(object)
		if !ok {
			return bad("InvalidRequestFormat", "Cannot parse the request.").because("InvalidJson",
				"Error converting value at path 'properties.%s[%d]': an object is expected.", array, i)
		}
		name := text(e, "name")
		if name == "" {
			return bad("InvalidRequestFormat", "Cannot parse the request.").because("MissingJsonReferenceId",
				"Value for reference id is missing. Path properties.%s[%d].", array, i)
		}
		if refused := checkName(name); refused != nil {
			return refused
		}
		if seen[key(name)] {
			return bad("DuplicateResourceName",
				"Resource %s has two child resources with the same name (%s).", w.resourceID(), name)
		}
		seen[key(name)] = true
		id := w.resourceID() + "/" + array + "/" + name
		if before := named(old, name); before != nil {
			id, e["name"] = text(before, "id"), before["name"]
		}
		e["id"], e["type"] = id, w.kind.name+"/"+array
		properties(e)["provisioningState"] = succeeded
	}
	return nil
}

// priorDoc is the document that is there, or nil.
func (w *write) priorDoc() object {
	if w.prior == nil {
		return nil
	}
	return w.prior.doc
}

// priorChild is the element that is there under the name, or nil.
func (w *write) priorChild(array, name string) object {
	return named(elements(child(w.priorDoc(), "properties"), array), name)
}
