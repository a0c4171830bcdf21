// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Element is an item of a list, as written.
type Element struct {
	Name string // the value of its "name"; empty when it has none
	Raw  json.RawMessage
}

// List is an array of objects that have a name, such as the rules of a load
// balancer. Names are compared without case. The zero List is empty.
type List struct {
	elements []Element
	changed  bool
}

// ListAt reads the array at the path. Where there is none, or null, the list
// is empty.
func ListAt(doc json.RawMessage, path ...string) (List, error) {
	raw, ok := Get(doc, path...)
	if !ok || isNull(raw) {
		return List{}, nil
	}
	parts, err := itemsOf(raw) // Get has seen that it is JSON
	if err != nil {
		return List{}, fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	l := List{elements: make([]Element, len(parts))}
	for i, part := range parts {
		l.elements[i].Raw = part
		if name, ok := get(part, "name"); ok {
			if text, err := textOf(name); err == nil {
				l.elements[i].Name = text
			}
		}
	}
	return l, nil
}

// Elements are the items in their order.
func (l *List) Elements() []Element { return l.elements }

// Find is the item with the name.
func (l *List) Find(name string) (Element, bool) {
	if i := l.index(name); i >= 0 {
		return l.elements[i], true
	}
	return Element{}, false
}

func (l *List) index(name string) int {
	for i, e := range l.elements {
		if strings.EqualFold(e.Name, name) {
			return i
		}
	}
	return -1
}

// Put replaces the item with the element's name, in its place, or adds it at
// the end.
func (l *List) Put(e Element) {
	i := l.index(e.Name)
	if i >= 0 && bytes.Equal(l.elements[i].Raw, e.Raw) {
		return
	}
	elements := append([]Element(nil), l.elements...)
	if i >= 0 {
		elements[i] = e
	} else {
		elements = append(elements, e)
	}
	l.elements, l.changed = elements, true
}

// Remove takes away the item with the name.
func (l *List) Remove(name string) {
	i := l.index(name)
	if i < 0 {
		return
	}
	elements := append([]Element(nil), l.elements[:i]...)
	l.elements, l.changed = append(elements, l.elements[i+1:]...), true
}

// Len is the number of items.
func (l *List) Len() int { return len(l.elements) }

// Changed reports whether the list is another one than was read.
func (l *List) Changed() bool { return l.changed }

// JSON is the list as an array.
func (l *List) JSON() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range l.elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.Raw)
	}
	b.WriteByte(']')
	return b.Bytes()
}
