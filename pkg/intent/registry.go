// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Annotation is what the registry knows of one annotation.
type Annotation struct {
	// Key is the name that we document. It counts before its aliases.
	Key string
	// Aliases are other names, in order of precedence: the first that is
	// present counts, even when it is empty.
	Aliases []Alias
	Kind    Kind
	// Default is the value of an annotation that is absent, as a user would
	// write it; empty: none.
	Default string
	// Providers honour the annotation; all do when the list is empty.
	Providers []string
	// Elsewhere is, for a provider that does not honour the annotation, what
	// the user should know and do instead.
	Elsewhere map[string]string
	// Invalid is what a value that is not allowed leads to: Refuse, or Warn
	// where a peer tolerates it. The zero value is Refuse.
	Invalid Severity
	// InvalidMeans is what a tolerated value counts as; empty: as Default.
	InvalidMeans string
	// Empty says what an empty value means. The zero value is EmptyUnset.
	Empty Empty
	Doc   string // one sentence
}

// Alias is another name of an annotation.
type Alias struct {
	Key string
	// Instead is what a deprecated name should be replaced by; empty: the name
	// is as good as the first.
	Instead string
}

// Empty says what the value "" means.
type Empty uint8

// The meanings of an empty value.
const (
	EmptyUnset Empty = iota // as if the annotation were absent
	EmptyValue              // a value like others
)

// Prefix is a prefix of annotation keys under which the registry knows all
// keys: others are misspelt.
type Prefix struct {
	Name string // ends in a slash
	// Unknown is what a misspelt key leads to: Refuse, or Warn where a peer
	// tolerates it.
	Unknown Severity
	// Providers honour keys of this prefix; for others they are none of our
	// business. All do when the list is empty.
	Providers []string
}

// Registry knows annotations. It is never changed.
type Registry struct {
	prefixes    []Prefix
	annotations []Annotation
	byKey       map[string]int // key or alias to index in annotations
}

// NewRegistry makes a registry. Its errors are faults of the tables.
func NewRegistry(prefixes []Prefix, tables ...[]Annotation) (*Registry, error) {
	r := &Registry{
		prefixes:    slices.Clone(prefixes),
		annotations: slices.Concat(tables...),
		byKey:       make(map[string]int),
	}
	for i := range r.annotations {
		a := &r.annotations[i]
		for _, key := range a.keys() {
			if _, dup := r.byKey[key]; dup {
				return nil, fmt.Errorf("registry: %s stands in it twice", key)
			}
			r.byKey[key] = i
		}
		for _, text := range []string{a.Default, a.InvalidMeans} {
			if _, ok := a.Kind.parse(text); text != "" && !ok {
				return nil, fmt.Errorf("registry: %s must be %s, and %q is not", a.Key, a.Kind.allowed(), text)
			}
		}
	}
	return r, nil
}

// Annotations is the registry of all annotations that Fairlead knows. Make it
// once.
func Annotations() *Registry {
	r, err := NewRegistry(prefixes(), neutralAnnotations(), metalAnnotations())
	if err != nil {
		panic(err) // a fault of the tables, found by any test
	}
	return r
}

// keys are the key and its aliases, in order of precedence.
func (a *Annotation) keys() []string {
	keys := make([]string, 0, 1+len(a.Aliases))
	keys = append(keys, a.Key)
	for _, alias := range a.Aliases {
		keys = append(keys, alias.Key)
	}
	return keys
}

func (a *Annotation) honouredBy(provider string) bool {
	return len(a.Providers) == 0 || slices.Contains(a.Providers, provider)
}

func (a *Annotation) invalid() Severity {
	if a.Invalid == 0 {
		return Refuse
	}
	return a.Invalid
}

// read turns annotations into options. Problems are not sorted.
func (r *Registry) read(annotations map[string]string, provider string) (Options, []Problem) {
	o := Options{values: make(map[string]option)}
	var problems []Problem
	for i := range r.annotations {
		a := &r.annotations[i]
		if !a.honouredBy(provider) {
			problems = append(problems, r.ignored(a, annotations, provider)...)
			continue
		}
		if _, written := a.Kind.(Written); written {
			continue
		}
		opt, found := a.read(annotations)
		problems = append(problems, found...)
		if opt.value != nil {
			o.values[a.Key] = opt
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if p, unknown := r.unknown(key, provider); unknown {
			p.Value = annotations[key]
			problems = append(problems, p)
		}
	}
	return o, problems
}

// read is the annotation's value: of the first of its keys that is present,
// else the default.
func (a *Annotation) read(annotations map[string]string) (option, []Problem) {
	var problems []Problem
	var used, raw string
	for _, key := range a.keys() {
		text, ok := annotations[key]
		switch {
		case !ok:
			continue
		case used == "":
			used, raw = key, text
		case strings.TrimSpace(text) != strings.TrimSpace(raw):
			problems = append(problems, conflicting(used, raw, key, text))
		}
		if p, old := a.deprecated(key); old {
			problems = append(problems, p)
		}
	}
	if used == "" || (raw == "" && a.Empty == EmptyUnset) {
		return option{value: a.parsed(a.Default)}, problems
	}
	if v, ok := a.Kind.parse(raw); ok {
		return option{value: v, key: used}, problems
	}
	problems = append(problems, a.notAllowed(used, raw))
	if a.InvalidMeans != "" {
		return option{value: a.parsed(a.InvalidMeans), key: used}, problems
	}
	return option{value: a.parsed(a.Default)}, problems
}

// parsed is the value of a text of the registry's own; nil for an empty one.
func (a *Annotation) parsed(text string) value {
	if text == "" {
		return nil
	}
	v, ok := a.Kind.parse(text)
	if !ok {
		return nil
	}
	return v
}

// unknown is the problem of a key that the registry does not know, and false
// when it knows it or is not meant to.
func (r *Registry) unknown(key, provider string) (Problem, bool) {
	if _, known := r.byKey[key]; known {
		return Problem{}, false
	}
	for _, prefix := range r.prefixes {
		if !strings.HasPrefix(key, prefix.Name) {
			continue
		}
		if len(prefix.Providers) > 0 && !slices.Contains(prefix.Providers, provider) {
			return Problem{}, false
		}
		return Problem{
			Severity: prefix.Unknown,
			Reason:   ReasonUnknownAnnotation,
			Field:    annotationField(key),
			Sentence: unknownSentence(key, r.under(prefix)),
		}, true
	}
	return Problem{}, false
}

// under are the known keys that begin with the prefix, sorted.
func (r *Registry) under(prefix Prefix) []string {
	var keys []string
	for key := range r.byKey {
		if strings.HasPrefix(key, prefix.Name) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
