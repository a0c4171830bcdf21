// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// object is a JSON object. Numbers are json.Number, so that they are answered
// as they were written.
type object = map[string]any

// decode reads one JSON object.
func decode(data []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var o object
	if err := decoder.Decode(&o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fmt.Errorf("the document is null, not an object")
	}
	return o, nil
}

// clone copies a JSON value.
func clone[T any](value T) T {
	copied, _ := copyValue(value).(T)
	return copied
}

func copyValue(value any) any {
	switch v := value.(type) {
	case object:
		copied := make(object, len(v))
		for name, field := range v {
			copied[name] = copyValue(field)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, element := range v {
			copied[i] = copyValue(element)
		}
		return copied
	default:
		return value
	}
}

// child follows names through objects; nil when one is missing.
func child(o object, names ...string) object {
	for _, name := range names {
		o, _ = o[name].(object)
	}
	return o
}

// properties is the object of that name, made when it is missing.
func properties(o object) object { return ensure(o, "properties") }

func ensure(o object, name string) object {
	if p, ok := o[name].(object); ok {
		return p
	}
	p := object{}
	o[name] = p
	return p
}

// text follows names to a string; "" when it is missing.
func text(o object, names ...string) string {
	o = child(o, names[:len(names)-1]...)
	s, _ := o[names[len(names)-1]].(string)
	return s
}

// number reads an integer field.
func number(o object, name string) (int, bool) {
	n, ok := o[name].(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(n.String())
	return i, err == nil
}

func isTrue(o object, name string) bool { return o[name] == true }

// elements are the objects in the array of that name.
func elements(o object, name string) []object {
	array, _ := o[name].([]any)
	found := make([]object, 0, len(array))
	for _, element := range array {
		if e, ok := element.(object); ok {
			found = append(found, e)
		}
	}
	return found
}

// strs are the strings in the array of that name.
func strs(o object, name string) []string {
	array, _ := o[name].([]any)
	found := make([]string, 0, len(array))
	for _, element := range array {
		if s, ok := element.(string); ok {
			found = append(found, s)
		}
	}
	return found
}

// named finds the element of that name, without case.
func named(list []object, name string) object {
	for _, element := range list {
		if strings.EqualFold(text(element, "name"), name) {
			return element
		}
	}
	return nil
}

// reference is the id in the object of that name.
func reference(o object, name string) string { return text(o, name, "id") }

// references makes the array of {"id": ...} that back-references are.
func references(ids []string) []any {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = object{"id": id}
	}
	return list
}

// put sets a field, or removes it when the list is empty.
func setList(o object, name string, list []any) {
	if len(list) == 0 {
		delete(o, name)
		return
	}
	o[name] = list
}

// orDefault sets a field that is missing or null.
func orDefault(o object, name string, value any) {
	if o[name] == nil {
		o[name] = value
	}
}
