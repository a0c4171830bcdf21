// SPDX-License-Identifier: Apache-2.0

// Package document edits JSON objects and keeps everything that it is not told
// to change byte for byte: order, unknown fields, numbers as written. It is
// pure; no function changes its arguments.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// member is a key of an object and its value, both as written.
type member struct {
	key   json.RawMessage // with its quotes
	name  string
	value json.RawMessage
}

// parse reads the members of an object, in their order.
func parse(raw json.RawMessage) ([]member, error) {
	if !json.Valid(raw) {
		return nil, fmt.Errorf("not JSON: %.40q", raw)
	}
	return membersOf(raw)
}

// membersOf is parse for what is known to be JSON: part of a text that was.
func membersOf(raw json.RawMessage) ([]member, error) {
	raw = bytes.TrimSpace(raw)
	if raw[0] != '{' {
		return nil, fmt.Errorf("not a JSON object: %.40q", raw)
	}
	var out []member
	s := scanner{raw: raw, at: 1}
	for s.next() != '}' {
		key := s.value()
		s.next() // the colon
		s.at++
		name, err := textOf(key)
		if err != nil {
			return nil, fmt.Errorf("key %.40q: %w", key, err)
		}
		out = append(out, member{key: key, name: name, value: s.value()})
		if s.next() == ',' {
			s.at++
		}
	}
	return out, nil
}

// textOf is the string that stands there as JSON.
func textOf(raw json.RawMessage) (text string, err error) {
	if len(raw) > 1 && raw[0] == '"' && !bytes.ContainsRune(raw, '\\') {
		return string(raw[1 : len(raw)-1]), nil // far cheaper
	}
	err = json.Unmarshal(raw, &text)
	return text, err
}

// itemsOf are the items of an array that is known to be JSON, as written.
func itemsOf(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if raw[0] != '[' {
		return nil, fmt.Errorf("not a JSON array: %.40q", raw)
	}
	var out []json.RawMessage
	s := scanner{raw: raw, at: 1}
	for s.next() != ']' {
		out = append(out, s.value())
		if s.next() == ',' {
			s.at++
		}
	}
	return out, nil
}

// scanner walks through valid JSON.
type scanner struct {
	raw []byte
	at  int
}

// next is the next character that is no space.
func (s *scanner) next() byte {
	for isSpace(s.raw[s.at]) {
		s.at++
	}
	return s.raw[s.at]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// value is the value that begins at the next character that is no space.
func (s *scanner) value() json.RawMessage {
	first := s.next()
	start := s.at
	switch first {
	case '"':
		s.text()
	case '{', '[':
		s.nested()
	default:
		for s.at < len(s.raw) && !isSpace(s.raw[s.at]) && s.raw[s.at] != ',' && s.raw[s.at] != '}' && s.raw[s.at] != ']' && s.raw[s.at] != ':' {
			s.at++
		}
	}
	return s.raw[start:s.at:s.at]
}

// text passes over a string.
func (s *scanner) text() {
	for s.at++; s.raw[s.at] != '"'; s.at++ {
		if s.raw[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// nested passes over an object or an array.
func (s *scanner) nested() {
	for depth := 0; ; {
		switch s.raw[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// find is the index of the last member with the name, which is the one that
// counts; -1 for none.
func find(members []member, name string) int {
	for i, m := range slices.Backward(members) {
		if m.name == name {
			return i
		}
	}
	return -1
}

// encode writes the members as an object.
func encode(members []member) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m.key)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Get is the value at the path of keys, as written, and false when there is
// none, or when something on the way is no object.
func Get(doc json.RawMessage, path ...string) (json.RawMessage, bool) {
	if !json.Valid(doc) {
		return nil, false
	}
	return get(doc, path...)
}

// get is Get for what is known to be JSON.
func get(doc json.RawMessage, path ...string) (json.RawMessage, bool) {
	for _, name := range path {
		members, err := membersOf(doc)
		if err != nil {
			return nil, false
		}
		i := find(members, name)
		if i < 0 {
			return nil, false
		}
		doc = members[i].value
	}
	return doc, len(path) > 0
}

// Set is the object with the value, which must be JSON, at the path of keys.
// Objects that are missing on the way are made, new keys come last. A value
// that is there already, byte for byte, changes nothing.
func Set(doc, value json.RawMessage, path ...string) (json.RawMessage, error) {
	switch {
	case !json.Valid(value):
		return nil, fmt.Errorf("value is not JSON: %.40q", value)
	case len(path) > 0 && !json.Valid(doc):
		return nil, fmt.Errorf("not JSON: %.40q", doc)
	}
	return set(doc, value, path...)
}

// set is Set for what is known to be JSON.
func set(doc, value json.RawMessage, path ...string) (json.RawMessage, error) {
	if len(path) == 0 {
		return value, nil
	}
	members, err := membersOf(doc)
	if err != nil {
		return nil, err
	}
	i := find(members, path[0])
	old := json.RawMessage(`{}`)
	if i >= 0 && (len(path) == 1 || !isNull(members[i].value)) {
		old = members[i].value
	}
	value, err = set(old, value, path[1:]...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path[0], err)
	}
	if i >= 0 && bytes.Equal(value, members[i].value) {
		return doc, nil
	}
	if i < 0 {
		key, err := json.Marshal(path[0])
		if err != nil {
			return nil, err
		}
		return encode(append(members, member{key: key, name: path[0], value: value})), nil
	}
	members[i].value = value
	return encode(members), nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// Remove is the object without the key at the end of the path; it is no error
// when there is none.
func Remove(doc json.RawMessage, path ...string) (json.RawMessage, error) {
	if len(path) == 0 {
		return doc, nil
	}
	members, err := parse(doc)
	if err != nil {
		return nil, err
	}
	i := find(members, path[0])
	if i < 0 {
		return doc, nil
	}
	if len(path) > 1 {
		if isNull(members[i].value) {
			return doc, nil
		}
		value, err := Remove(members[i].value, path[1:]...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path[0], err)
		}
		return set(doc, value, path[0])
	}
	kept := members[:0:0]
	for _, m := range members {
		if m.name != path[0] {
			kept = append(kept, m)
		}
	}
	return encode(kept), nil
}
