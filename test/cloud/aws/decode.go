// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// node is a part of a request: the names of a form are paths of a tree.
type node struct {
	service  Service
	path     string
	text     string
	set      bool
	children map[string]*node
}

// parseForm makes the tree of a form.
func parseForm(service Service, form url.Values) (*node, *refusal) {
	root := &node{service: service}
	for name, values := range form {
		at := root
		for part := range strings.SplitSeq(name, ".") {
			at = at.child(part)
		}
		at.text, at.set = values[0], true
	}
	if service != EC2 {
		return root, nil
	}
	if dry := root.children["DryRun"]; dry != nil {
		delete(root.children, "DryRun")
		if dry.text == "true" {
			return nil, refuse(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
	}
	return root, nil
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[name] == nil {
		n.children[name] = &node{service: n.service, path: strings.TrimPrefix(n.path+"."+name, ".")}
	}
	return n.children[name]
}

// into fills in a struct, and refuses what it has no field for.
func (n *node) into(target any) *refusal { return n.assign(reflect.ValueOf(target).Elem()) }

func (n *node) assign(v reflect.Value) *refusal {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return n.assign(v.Elem())
	case reflect.Struct:
		return n.assignStruct(v)
	case reflect.Slice:
		return n.assignList(v)
	default:
		return n.assignText(v)
	}
}

func (n *node) assignStruct(v reflect.Value) *refusal {
	fields := map[string]reflect.Value{}
	collectFields(v, fields)
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		field, ok := fields[name]
		if !ok {
			return n.children[name].unknown()
		}
		if refused := n.children[name].assign(field); refused != nil {
			return refused
		}
	}
	return nil
}

// collectFields finds the fields of a struct by the names in requests.
func collectFields(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			collectFields(v.Field(i), fields)
			continue
		}
		name := jsonName(field)
		if in := field.Tag.Get("in"); in != "" {
			name = in
		}
		if name != "" && name != "-" {
			fields[name] = v.Field(i)
		}
	}
}

// jsonName is the name of a field in documents, which the API has too.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		name = field.Name
	}
	return name
}

func (n *node) assignList(v reflect.Value) *refusal {
	members := n.children
	if n.service != EC2 {
		if members = nil; n.children["member"] != nil {
			members = n.children["member"].children
		}
		if len(members) == 0 && (!n.set || n.text != "") {
			return n.unknown()
		}
	}
	numbers := make([]int, 0, len(members))
	for name := range members {
		number, err := strconv.Atoi(name)
		if err != nil {
			return n.child(name).unknown()
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	list := reflect.MakeSlice(v.Type(), len(numbers), len(numbers))
	for i, number := range numbers {
		if refused := members[strconv.Itoa(number)].assign(list.Index(i)); refused != nil {
			return refused
		}
	}
	v.Set(list)
	return nil
}

func (n *node) assignText(v reflect.Value) *refusal {
	if !n.set || len(n.children) > 0 {
		return n.unknown()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.text)
		return nil
	case reflect.Int:
		number, err := strconv.ParseInt(n.text, 10, 32)
		if err == nil {
			v.SetInt(number)
			return nil
		}
	case reflect.Bool:
		truth, err := strconv.ParseBool(n.text)
		if err == nil {
			v.SetBool(truth)
			return nil
		}
	}
	return n.malformed()
}

// unknown refuses a parameter that no action has here, also one that the real
// service may know: to ignore it would be to lie.
func (n *node) unknown() *refusal {
	if n.service == EC2 {
		return bad("UnknownParameter", "The parameter %s is not recognized", n.path)
	}
	return invalid("The parameter %s is not recognized", n.path)
}

func (n *node) malformed() *refusal {
	if n.service == EC2 {
		return bad("InvalidParameterValue", "Invalid value '%s' for %s.", n.text, n.path)
	}
	return bad("MalformedInput", "The value '%s' of %s is of the wrong type.", n.text, n.path)
}
