// SPDX-License-Identifier: Apache-2.0

package arm

import (
	"bytes"
	"encoding/json"
	"strings"
)

// covers reports whether a document that the service answered holds all that
// was sent. The service adds fields, orders named elements as it likes, and
// compares names, ids and words without case.
func covers(answered, sent json.RawMessage) bool {
	have, ok := decode(answered)
	if !ok {
		return false
	}
	want, ok := decode(sent)
	return ok && holds(have, want)
}

func decode(doc json.RawMessage) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err == nil
}

func holds(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		return ok && holdsObject(h, want)
	case []any:
		h, ok := have.([]any)
		return ok && holdsList(h, want)
	case string:
		h, ok := have.(string)
		return ok && sameText(h, want)
	}
	return have == want
}

// sameText compares as the service does: without case, and locations such as
// "West Europe" without spaces.
func sameText(a, b string) bool {
	return strings.EqualFold(a, b) || strings.EqualFold(strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(b, " ", ""))
}

// serverOwned are the fields of any object that only the service sets: what is
// sent of them means nothing.
func serverOwned(key string) bool {
	switch key {
	case "etag", "provisioningState", "resourceGuid", "type":
		return true
	}
	return false
}

func holdsObject(have, want map[string]any) bool {
	for key, w := range want {
		if serverOwned(key) {
			continue
		}
		h, there := have[key]
		if !there && isNothing(w) {
			continue
		}
		if !there || !holds(h, w) {
			return false
		}
	}
	return true
}

// isNothing reports whether a value means the same as its absence.
func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func holdsList(have, want []any) bool {
	if len(have) != len(want) {
		return false
	}
	for i, w := range want {
		h := have[i]
		if name, named := nameOf(w); named {
			h = elementOf(have, name)
		}
		if !holds(h, w) {
			return false
		}
	}
	return true
}

// elementOf is the element of that name, or nil.
func elementOf(list []any, name string) any {
	for _, e := range list {
		if n, ok := nameOf(e); ok && strings.EqualFold(n, name) {
			return e
		}
	}
	return nil
}

// nameOf is what an element of a list is found by.
func nameOf(v any) (string, bool) {
	o, ok := v.(map[string]any)
	if !ok {
		return "", false
	}
	for _, key := range []string{"name", "id"} {
		if s, ok := o[key].(string); ok {
			return s, true
		}
	}
	return "", false
}
