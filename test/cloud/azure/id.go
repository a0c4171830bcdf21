// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"strings"
)

// resourceID is a parsed path of Resource Manager. It names a resource when
// types and names are equally long, else a collection.
type resourceID struct {
	path         string // as written, without a trailing slash
	subscription string
	group        string
	namespace    string
	types        []string
	names        []string
}

// parseID parses a path under /subscriptions/S, with or without a resource
// group, that has a provider in it. ok is false for every other path.
func parseID(path string) (id resourceID, ok bool) {
	path = strings.TrimRight(path, "/")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) < 4 || !strings.EqualFold(parts[0], "subscriptions") {
		return resourceID{}, false
	}
	id = resourceID{path: path, subscription: parts[1]}
	rest := parts[2:]
	if strings.EqualFold(rest[0], "resourceGroups") {
		id.group, rest = rest[1], rest[2:]
	}
	if len(rest) < 2 || !strings.EqualFold(rest[0], "providers") {
		return resourceID{}, false
	}
	id.namespace, rest = rest[1], rest[2:]
	for i, part := range rest {
		if part == "" {
			return resourceID{}, false
		}
		if i%2 == 0 {
			id.types = append(id.types, part)
		} else {
			id.names = append(id.names, part)
		}
	}
	return id, true
}

// collection reports whether the path ends in a type.
func (id resourceID) collection() bool { return len(id.types) > len(id.names) }

// typeName is such as Microsoft.Network/loadBalancers, as written.
func (id resourceID) typeName() string {
	return id.namespace + "/" + strings.Join(id.types, "/")
}

// name is the last name, or "".
func (id resourceID) name() string {
	if len(id.names) == 0 {
		return ""
	}
	return id.names[len(id.names)-1]
}

// key is what two spellings of one path have in common: ids are compared
// without case.
func (id resourceID) key() string { return key(id.path) }

func key(path string) string { return strings.ToLower(path) }

// up cuts the last n segments.
func up(path string, n int) string {
	for range n {
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return path
}

// last is the last segment of a path.
func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// parent is the id of the resource that a child is an element of.
func parent(path string) string { return up(path, 2) }
