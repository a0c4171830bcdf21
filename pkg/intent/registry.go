// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxValue is the most characters that any value may have: far above what is
// useful, and low enough for the admission policy's budget.
const maxValue = 16384

// Annotation is what the registry knows of one annotation.
type Annotation struct {
	// Key is the name that we document. It counts before its aliases. One star
	// in it stands for letters, digits and dashes, such as a port: then there
	// are neither aliases nor default, and each key is a value of its own.
	Key string
	// Aliases are other names, in order of precedence: the first that is
	// present counts, even when it is empty.
	Aliases []Alias
	Kind    Kind
	// Default is the value of an annotation that is absent, as a user would
	// write it; empty: none.
	Default string
	// Providers honour the annotation; all do when the list is empty, except
	// those in Elsewhere.
	Providers []string
	// Elsewhere is, for a provider that does not honour the annotation, what
	// the user should know and do instead.
	Elsewhere map[string]string
	// Invalid is what a value that is not allowed leads to: Refuse, or Warn
	// where a peer tolerates it. The zero value is Refuse.
	Invalid Severity
	// InvalidMeans is what a tolerated value counts as; empty: as Default.
	InvalidMeans string
	// Parts: of a tolerated list, those of its items count that are allowed.
	Parts bool
	// TolerantFor are providers that tolerate what others refuse: a list counts
	// in parts, another value not at all.
	TolerantFor []string
	// KindFor are the kinds of providers that read the value by another rule.
	// They refuse what it does not allow.
	KindFor map[string]Kind
	// Empty says what an empty value means. The zero value is EmptyUnset.
	Empty Empty
	// RefusedBy are providers that refuse every value, since they do not support
	// yet what it asks for.
	RefusedBy []string
	Doc       string // one sentence
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
	BlankUnset              // white space alone is as if it were absent, too
)

// unset reports whether the value means that there is none.
func (a *Annotation) unset(raw string) bool {
	switch a.Empty {
	case EmptyValue:
		return false
	case BlankUnset:
		return strings.TrimSpace(raw) == ""
	case EmptyUnset:
	}
	return raw == ""
}

// Table is the annotations of one provider, or those common to several.
type Table struct {
	Title       string // heading on the reference page
	Note        string // what its reader should know first; empty: nothing
	Annotations []Annotation
}

// Prefix is a prefix of annotation keys under which the registry knows all
// keys: others are misspelt.
type Prefix struct {
	Name string
	// Unknown is what a misspelt key leads to: Refuse, or Warn where a peer
	// tolerates it.
	Unknown Severity
	// Admit: the admission policy lets misspelt keys pass, since others than we
	// may know them.
	Admit bool
	// Providers honour keys of this prefix; for others they are none of our
	// business. All do when the list is empty.
	Providers []string
}

// Registry knows annotations. It is never changed.
type Registry struct {
	prefixes    []Prefix
	tables      []Table
	annotations []Annotation   // of all tables, in their order
	byKey       map[string]int // key or alias to index in annotations
}

// NewRegistry makes a registry. Its errors are faults of the tables.
func NewRegistry(prefixes []Prefix, tables ...Table) (*Registry, error) {
	r := &Registry{
		prefixes: slices.Clone(prefixes),
		tables:   slices.Clone(tables),
		byKey:    make(map[string]int),
	}
	for _, t := range tables {
		r.annotations = append(r.annotations, t.Annotations...)
	}
	for i := range r.annotations {
		a := &r.annotations[i]
		if a.isPattern() && (len(a.Aliases) > 0 || a.Default != "" || strings.Count(a.Key, "*") > 1) {
			return nil, fmt.Errorf("registry: %s has a star, and so neither another nor aliases nor a default", a.Key)
		}
		for _, key := range a.keys() {
			if _, dup := r.byKey[key]; dup {
				return nil, fmt.Errorf("registry: %s stands in it twice", key)
			}
			r.byKey[key] = i
		}
		for _, text := range []string{a.Default, a.InvalidMeans, a.Kind.example()} {
			if _, ok := a.parse(text); text != "" && !ok {
				return nil, fmt.Errorf("registry: %s must be %s, and %q is not", a.Key, a.Kind.allowed(), text)
			}
		}
	}
	return r, nil
}

// Annotations is the registry of all annotations that Fairlead knows. Make it
// once.
func Annotations() *Registry {
	r, err := NewRegistry(prefixes(), neutralAnnotations(), metalAnnotations(), azureAnnotations(), awsAnnotations())
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
	if _, no := a.Elsewhere[provider]; no {
		return false
	}
	return len(a.Providers) == 0 || slices.Contains(a.Providers, provider)
}

// unused reports whether no provider honours the annotation: its values are not
// judged.
func (a *Annotation) unused() bool {
	return len(a.Providers) > 0 && !slices.ContainsFunc(a.Providers, a.honouredBy)
}

// as is the annotation as the provider takes it.
func (a *Annotation) as(provider string) *Annotation {
	if kind, ok := a.KindFor[provider]; ok {
		b := *a
		b.Kind, b.Invalid, b.InvalidMeans = kind, Refuse, ""
		return &b
	}
	if !slices.Contains(a.TolerantFor, provider) {
		return a
	}
	b := *a
	_, b.Parts = a.Kind.(divisible)
	b.Invalid = Warn
	return &b
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
		if isWritten(a.Kind) {
			continue
		}
		for _, key := range a.found(annotations) {
			opt, found := a.as(provider).read(key, annotations)
			problems = append(problems, found...)
			if opt.value != nil {
				o.values[key] = opt
			}
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

// found is the annotation's key, or for a pattern the keys that match it,
// sorted.
func (a *Annotation) found(annotations map[string]string) []string {
	if !a.isPattern() {
		return []string{a.Key}
	}
	var keys []string
	for key := range annotations {
		if a.matches(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// read is the annotation's value: of the first of key and aliases that is
// present, else the default.
func (a *Annotation) read(key string, annotations map[string]string) (option, []Problem) {
	used, raw, problems := a.choose(key, annotations)
	if used == "" || a.unset(raw) {
		return option{value: a.parsed(a.Default)}, problems
	}
	if v, ok := a.parse(raw); ok {
		return option{value: v, key: used}, problems
	}
	problems = append(problems, a.notAllowed(used, raw))
	if kind, ok := a.Kind.(divisible); ok && a.Parts {
		return option{value: kind.parts(raw), key: used, partial: true}, problems
	}
	if a.InvalidMeans != "" {
		return option{value: a.parsed(a.InvalidMeans), key: used}, problems
	}
	return option{value: a.parsed(a.Default)}, problems
}

// choose finds the key that counts, and its value; empty when the user wrote
// none of them.
func (a *Annotation) choose(key string, annotations map[string]string) (used, raw string, problems []Problem) {
	for _, k := range append([]string{key}, a.keys()[1:]...) {
		text, ok := annotations[k]
		if !ok {
			continue
		}
		switch {
		case used == "":
			used, raw = k, text
		case strings.TrimSpace(text) != strings.TrimSpace(raw):
			problems = append(problems, conflicting(used, raw, k, text))
		}
		if p, old := a.deprecated(k); old {
			problems = append(problems, p)
		}
	}
	return used, raw, problems
}

// parse is the value of raw, and false when it is not allowed.
func (a *Annotation) parse(raw string) (value, bool) {
	if utf8.RuneCountInString(raw) > maxValue {
		return nil, false
	}
	return a.Kind.parse(raw)
}

// parsed is the value of a text of the registry's own; nil for an empty one.
func (a *Annotation) parsed(text string) value {
	if v, ok := a.Kind.parse(text); ok && text != "" {
		return v
	}
	return nil
}

// isPattern reports whether the key has a star.
func (a *Annotation) isPattern() bool { return strings.Contains(a.Key, "*") }

// matches reports whether key is one of the pattern's.
func (a *Annotation) matches(key string) bool {
	before, after, _ := strings.Cut(a.Key, "*")
	if len(key) <= len(before)+len(after) || !strings.HasPrefix(key, before) || !strings.HasSuffix(key, after) {
		return false
	}
	return !strings.ContainsFunc(key[len(before):len(key)-len(after)], func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// patternRegexp matches the keys that matches does.
func (a *Annotation) patternRegexp() string {
	before, after, _ := strings.Cut(a.Key, "*")
	return "^" + regexp.QuoteMeta(before) + "[A-Za-z0-9-]+" + regexp.QuoteMeta(after) + "$"
}

// unknown is the problem of a key that the registry does not know, and false
// when it knows it or is not meant to.
func (r *Registry) unknown(key, provider string) (Problem, bool) {
	if r.knows(key) {
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

func (r *Registry) knows(key string) bool {
	if _, known := r.byKey[key]; known {
		return true
	}
	key = awsFirst(key) // patterns have no aliases
	return slices.ContainsFunc(r.annotations, func(a Annotation) bool { return a.isPattern() && a.matches(key) })
}

// under are the known keys that begin with the prefix, sorted. Patterns stand
// with their star.
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
