// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"slices"
)

// entry is an object that is good so far, and where it stands.
type entry[T any] struct {
	at   value
	name string
	it   T
}

// section is a list of named objects, each judged alone.
type section[T any] struct {
	kind string // such as pool
	good []entry[T]
	bad  map[string]int // names of what is left out, and their lines
}

func newSection[T any](kind string) section[T] {
	return section[T]{kind: kind, bad: map[string]int{}}
}

// readSection reads a list of objects that have a name.
func readSection[T any](v value, kind string, read func(value) (T, bool)) section[T] {
	s := newSection[T](kind)
	for _, item := range v.items() {
		s.read(item, item.scalar("name"), read)
	}
	return s
}

// read adds one object.
func (s *section[T]) read(item value, name string, read func(value) (T, bool)) bool {
	if name != "" {
		item.object = objectName(s.kind, name)
	}
	t, ok := read(item)
	if !ok {
		s.bad[name] = item.line()
		return false
	}
	s.good = append(s.good, entry[T]{at: item, name: name, it: t})
	return true
}

// leaveOut keeps the entries that pass. The function is given those before
// that passed, and reports its own faults.
func (s *section[T]) leaveOut(pass func(e entry[T], before []entry[T]) bool) {
	var kept []entry[T]
	for _, e := range s.good {
		if pass(e, kept) {
			kept = append(kept, e)
		} else {
			s.bad[e.name] = e.at.line()
		}
	}
	s.good = kept
	for _, e := range kept {
		delete(s.bad, e.name)
	}
}

// unique leaves out objects whose name is taken.
func (s *section[T]) unique() {
	s.leaveOut(func(e entry[T], before []entry[T]) bool {
		for _, b := range before {
			if b.name == e.name {
				e.at.child("name").fault(
					fmt.Sprintf("is the name of the %s on line %d", s.kind, b.at.line()), "give it another name")
				return false
			}
		}
		return true
	})
}

// objectName is how faults name an object.
func objectName(kind, name string) string { return fmt.Sprintf("%s %q", kind, shorten(name)) }

func (s *section[T]) objects() []T {
	var out []T
	for _, e := range s.good {
		out = append(out, e.it)
	}
	return out
}

func (s *section[T]) names() []string {
	var out []string
	for _, e := range s.good {
		out = append(out, e.name)
	}
	return sorted(out)
}

func (s *section[T]) has(name string) bool {
	return slices.ContainsFunc(s.good, func(e entry[T]) bool { return e.name == name })
}

func (v value) line() int { return v.r.line(v.node) }

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
