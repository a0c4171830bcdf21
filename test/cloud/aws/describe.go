// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"encoding/base64"
	"slices"
	"strings"
)

// filter is a condition on a list of EC2.
type filter struct {
	Name   string
	Values []string `in:"Value"`
}

// question is what the lists of EC2 take.
type question struct {
	Filters    []filter `in:"Filter"`
	MaxResults *int
	NextToken  string
}

// listed describes how objects of a type are listed.
type listed[T any] struct {
	prefix    string // of ids
	malformed string // code for ids of another form
	missing   string // code for ids that are not there
	noun      string
	id        func(*T) string
	tags      func(*T) []tag
	filters   map[string]func(*T) []string
	most      int // results of a page; zero: there are no pages
	least     int
}

// maxFilterValues is how many values a call of EC2 may filter by: the guide of
// the EC2 API on filters.
const maxFilterValues = 200

// list picks the objects that are asked for, a page of them.
func list[T any](c *Cloud, all []*T, l listed[T], ids []string, q question) ([]*T, string, *refusal) {
	if refused := l.judge(q); refused != nil {
		return nil, "", refused
	}
	found, refused := l.pick(all, ids)
	if refused != nil {
		return nil, "", refused
	}
	found = slices.DeleteFunc(found, func(v *T) bool {
		return slices.ContainsFunc(q.Filters, func(f filter) bool { return !l.matches(f, v) })
	})
	size := l.most
	if size == 0 {
		return found, "", nil
	}
	if q.MaxResults != nil {
		size = *q.MaxResults
		if size < l.least || size > l.most {
			return nil, "", wrong("Value ( %d ) for parameter maxResults is invalid. Expecting a value from %d to %d.",
				size, l.least, l.most)
		}
	}
	found, next, ok := page(found, l.id, c.pageOf(size), q.NextToken)
	if !ok {
		return nil, "", wrong("The token '%s' is invalid", q.NextToken)
	}
	return found, next, nil
}

// pageOf cuts a page's size to what the cloud was told.
func (c *Cloud) pageOf(size int) int {
	if c.pageSize > 0 {
		return min(size, c.pageSize)
	}
	return size
}

// page cuts out the objects behind the one that the token names, and gives the
// token for the next page.
func page[T any](all []*T, id func(*T) string, size int, token string) (cut []*T, next string, ok bool) {
	if token != "" {
		after, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", false
		}
		start := slices.IndexFunc(all, func(v *T) bool { return id(v) > string(after) })
		if start < 0 {
			start = len(all)
		}
		all = all[start:]
	}
	if len(all) <= size {
		return all, "", true
	}
	all = all[:size]
	return all, base64.URLEncoding.EncodeToString([]byte(id(all[size-1]))), true
}

func (l listed[T]) judge(q question) *refusal {
	values := 0
	for _, f := range q.Filters {
		values += len(f.Values)
		if l.filters[f.Name] == nil && (l.tags == nil || f.Name != "tag-key" && !strings.HasPrefix(f.Name, "tag:")) {
			return wrong("The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return wrong("The filter '%s' has no values", f.Name)
		}
	}
	if values > maxFilterValues {
		return bad("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	return nil
}

// pick finds the objects of the ids, or all when there are none.
func (l listed[T]) pick(all []*T, ids []string) ([]*T, *refusal) {
	if len(ids) == 0 {
		return slices.Clone(all), nil
	}
	var missing []string
	for _, id := range ids {
		if !strings.HasPrefix(id, l.prefix) {
			return nil, bad(l.malformed, "Invalid id: \"%s\" (expecting \"%s...\")", id, l.prefix)
		}
		if !slices.ContainsFunc(all, func(v *T) bool { return l.id(v) == id }) && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	switch len(missing) {
	case 0:
	case 1:
		return nil, bad(l.missing, "The %s '%s' does not exist", l.noun, missing[0])
	default:
		return nil, bad(l.missing, "The %ss '%s' do not exist", l.noun, strings.Join(missing, ", "))
	}
	var found []*T
	for _, v := range all {
		if slices.Contains(ids, l.id(v)) {
			found = append(found, v)
		}
	}
	return found, nil
}

// matches reports whether one of the values is the object's.
func (l listed[T]) matches(f filter, v *T) bool {
	var have []string
	key, byTag := strings.CutPrefix(f.Name, "tag:")
	switch {
	case l.filters[f.Name] != nil:
		have = l.filters[f.Name](v)
	case byTag:
		for _, t := range l.tags(v) {
			if t.Key == key {
				have = append(have, t.Value)
			}
		}
	default:
		for _, t := range l.tags(v) {
			have = append(have, t.Key)
		}
	}
	return slices.ContainsFunc(f.Values, func(pattern string) bool {
		return slices.ContainsFunc(have, func(value string) bool { return wild(pattern, value) })
	})
}

// wild matches a value with a pattern in which * is any text, ? is any letter,
// and \ takes the next one as it is.
func wild(pattern, value string) bool {
	if pattern == "" {
		return value == ""
	}
	switch pattern[0] {
	case '*':
		return wild(pattern[1:], value) || value != "" && wild(pattern, value[1:])
	case '?':
		return value != "" && wild(pattern[1:], value[1:])
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	return value != "" && pattern[0] == value[0] && wild(pattern[1:], value[1:])
}

// one makes a filter of a single field.
func one[T any](field func(*T) string) func(*T) []string {
	return func(v *T) []string { return []string{field(v)} }
}
