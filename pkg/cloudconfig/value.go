// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// dialect is whose keys and habits the document follows.
type dialect uint8

const (
	ours dialect = iota + 1
	// metallb also takes what MetalLB takes: yes and no, empty values that
	// mean the default, prefixes with host bits.
	metallb
	// azure is a file of cloud-provider-azure: keys without regard to case, and
	// unknown ones are no faults.
	azure
	// awsINI is a cloud.conf of cloud-provider-aws: keys without regard to case,
	// more words for true and false, and unknown keys are no faults.
	awsINI
)

// reader collects the faults of one document.
type reader struct {
	dialect dialect
	offset  int // added to the document's lines to get the file's
	fixed   int // when set, the one line of the file that holds the document
	faults  Faults
	errors  int // faults that are no warnings
}

func (r *reader) line(n *yaml.Node) int {
	if r.fixed > 0 {
		return r.fixed
	}
	return n.Line + r.offset
}

func (r *reader) add(f Fault) {
	if !f.Warning {
		r.errors++
	}
	r.faults = append(r.faults, f)
}

// value is a node of the document and where it stands. The zero value is a
// key that is not there.
type value struct {
	r      *reader
	node   *yaml.Node // no alias
	path   string
	object string // as in Fault.Object
	secret bool   // never shown in a fault
}

// present reports whether the key was there and held something.
func (v value) present() bool { return v.node != nil && !v.null() }

func (v value) null() bool {
	return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null"
}

// fault reports that the value cannot be used.
func (v value) fault(reason, cure string) { v.r.add(v.describe(reason, cure)) }

// warn reports something about a value that is used all the same.
func (v value) warn(reason, cure string) {
	f := v.describe(reason, cure)
	f.Warning = true
	v.r.add(f)
}

func (v value) describe(reason, cure string) Fault {
	f := Fault{Line: v.r.line(v.node), Object: v.object, Field: v.path, Reason: reason, Cure: cure}
	if v.node.Kind == yaml.ScalarNode && !v.secret && v.path != "" {
		f.Value = shorten(v.node.Value)
	}
	return f
}

// shorten keeps a value readable inside a sentence.
func shorten(s string) string {
	const longest = 80
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "..."
	}
	return s
}

// pair is a key of a mapping and its value, aliases followed.
type pair struct {
	key, val *yaml.Node
	merged   bool // by <<
}

// pairs returns the keys of a mapping in file order, then those that a merge
// key adds.
func (v value) pairs() []pair {
	var out []pair
	collectPairs(v.node, &out, nil)
	return out
}

func collectPairs(n *yaml.Node, out *[]pair, within []*yaml.Node) {
	if n.Kind != yaml.MappingNode || slices.Contains(within, n) {
		return
	}
	within = append(within, n)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], follow(n.Content[i+1])
		if key.Tag == "!!merge" {
			merges = append(merges, val)
			continue
		}
		merged := len(within) > 1
		if merged && hasKey(*out, key.Value) {
			continue
		}
		*out = append(*out, pair{key: follow(key), val: val, merged: merged})
	}
	for _, m := range merges {
		if m.Kind == yaml.SequenceNode {
			for _, item := range m.Content {
				collectPairs(follow(item), out, within)
			}
			continue
		}
		collectPairs(m, out, within)
	}
}

func hasKey(pairs []pair, key string) bool {
	return slices.ContainsFunc(pairs, func(p pair) bool { return p.key.Value == key })
}

// follow resolves aliases. Chains end: an alias names an anchor, which stands
// on a node that is no alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// get is the value of a key, or the zero value.
func (v value) get(key string) value {
	if c := v.child(key); c.node != v.node {
		return c
	}
	return value{}
}

// child is the value of a key; when the key is missing it is v itself under
// the path of the key, so that a fault can still name it.
func (v value) child(key string) value {
	for _, p := range v.pairs() {
		if p.key.Value == key {
			return v.under(key, p.val)
		}
	}
	return v.under(key, v.node)
}

func (v value) under(key string, n *yaml.Node) value {
	c := v
	c.node = n
	if !isPlainKey(key) {
		key = strconv.Quote(shorten(key))
	}
	c.path = key
	if v.path != "" {
		c.path = v.path + "." + key
	}
	return c
}

func isPlainKey(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`".:[]{}`, r)
	})
}

// scalar is the value of a key when it is a single value, else empty. It
// reports no faults.
func (v value) scalar(key string) string {
	c := v.get(key)
	if c.node == nil || c.node.Kind != yaml.ScalarNode {
		return ""
	}
	return c.node.Value
}

// fields says for each allowed key of a mapping how it is read.
type fields map[string]func(value)

// into reads a value to where it belongs, when it can be read.
func into[T any](dst *T, read func(value) (T, bool)) func(value) {
	return func(v value) {
		if t, ok := read(v); ok {
			*dst = t
		}
	}
}

// hold keeps a value to be read later.
func hold(dst *value) func(value) { return func(v value) { *dst = v } }

// ptr reads a value that may be absent.
func ptr[T any](read func(value) (T, bool)) func(value) (*T, bool) {
	return func(v value) (*T, bool) {
		t, ok := read(v)
		return &t, ok
	}
}

// mapping reads the keys of a mapping and reports whether all of it is good.
func (v value) mapping(f fields, required ...string) bool {
	before := v.r.errors
	if !v.isMapping() {
		return false
	}
	seen, meant := map[string]int{}, map[string]bool{}
	for _, p := range v.pairs() {
		key := p.key.Value
		c := v.under(key, p.val)
		if p.key.Kind != yaml.ScalarNode {
			c.node = p.key
			c.fault("the key is not a word", "write one of "+list(f.keys()))
			continue
		}
		if line, twice := seen[key]; twice {
			v.duplicate(p.key, line)
			continue
		}
		seen[key] = v.r.line(p.key)
		read, known := f[key]
		switch {
		case !known:
			meant[v.unknown(p.key, f.keys())] = true
		case v.r.dialect == metallb && p.val.Kind == yaml.ScalarNode && p.val.Value == "":
			delete(seen, key) // empty means absent
		default:
			read(c)
		}
	}
	for _, key := range required {
		if _, ok := seen[key]; !ok && !meant[key] { // one fault is enough
			v.missing(key)
		}
	}
	return v.r.errors == before
}

func (v value) isMapping() bool {
	if v.node.Kind == yaml.MappingNode {
		return true
	}
	v.fault("must be a mapping", "write its keys below it, each as key: value")
	return false
}

func (f fields) keys() []string {
	keys := make([]string, 0, len(f))
	for k := range f {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// missing reports a required key that is not there.
func (v value) missing(key string) {
	c := v.under(key, v.node)
	c.fault("is missing", "add it")
}

// duplicate reports a key that stands twice in one mapping.
func (v value) duplicate(key *yaml.Node, first int) {
	c := v.under(key.Value, key)
	c.secret = true
	c.fault(fmt.Sprintf("stands here a second time, first on line %d", first), "leave one of them")
}

// unknown reports a key that is not allowed, and returns what was meant if
// that can be guessed.
func (v value) unknown(key *yaml.Node, allowed []string) string {
	c := v.under(key.Value, key)
	c.secret = true
	if v.path == "" && v.r.dialect == ours && slices.Contains(new(metalParts).fields().keys(), key.Value) {
		c.fault("no such key at the top of the file", "did you mean metal."+key.Value+"? indent it below metal:")
		return ""
	}
	if meant := suggest(key.Value, allowed); meant != "" {
		c.fault("no such key", "did you mean "+meant+"?")
		return meant
	}
	c.fault("no such key", "allowed are "+list(allowed))
	return ""
}

// items are the entries of a list; an absent or empty one has none.
func (v value) items() []value {
	if v.node == nil || v.null() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.fault("must be a list", "write each entry on a line of its own after a dash")
		return nil
	}
	out := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		c := v
		c.node = follow(n)
		c.path = fmt.Sprintf("%s[%d]", v.path, i)
		out = append(out, c)
	}
	return out
}

// each reads every entry of a list and reports whether all are good. An empty
// list is nil.
func each[T any](read func(value) (T, bool)) func(value) ([]T, bool) {
	return func(v value) ([]T, bool) {
		if v.node == nil {
			return nil, true
		}
		before := v.r.errors
		var out []T
		for _, item := range v.items() {
			if t, ok := read(item); ok {
				out = append(out, t)
			}
		}
		return out, v.r.errors == before
	}
}

// list joins words as "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
