// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// stores are all objects. Writes see them as they are, reads as they were
// before the lag.
type stores struct {
	zones     *store[zone]
	vpcs      *store[vpc]
	gateways  *store[gateway]
	subnets   *store[subnet]
	tables    *store[routeTable]
	groups    *store[securityGroup]
	instances *store[instance]
	nics      *store[networkInterface]
	addresses *store[address]
	classics  *store[classic]
	balancers *store[balancer]
	listeners *store[listener]
	targets   *store[targetGroup]
}

func newStores(keep time.Duration) stores {
	return stores{
		zones: newStore[zone](keep), vpcs: newStore[vpc](keep), gateways: newStore[gateway](keep),
		subnets: newStore[subnet](keep), tables: newStore[routeTable](keep),
		groups: newStore[securityGroup](keep), instances: newStore[instance](keep),
		nics: newStore[networkInterface](keep), addresses: newStore[address](keep),
		classics: newStore[classic](keep), balancers: newStore[balancer](keep),
		listeners: newStore[listener](keep), targets: newStore[targetGroup](keep),
	}
}

// version is what an object was from some time on; a nil value is that it was
// gone.
type version[T any] struct {
	value *T
	since time.Time
}

// store keeps objects by id. A stored value is never changed: an edit stores a
// changed copy, so that what was stays to be read.
type store[T any] struct {
	items map[string][]version[T] // oldest first
	keep  time.Duration           // how far back reads go
	order []string                // the ids, sorted; nil when they have changed
}

func newStore[T any](keep time.Duration) *store[T] {
	return &store[T]{items: map[string][]version[T]{}, keep: keep}
}

// get is the object as it is; nil when there is none.
func (s *store[T]) get(id string) *T {
	versions := s.items[id]
	if len(versions) == 0 {
		return nil
	}
	return versions[len(versions)-1].value
}

// at is the object as it was.
func (s *store[T]) at(id string, when time.Time) *T {
	versions := s.items[id]
	for _, v := range slices.Backward(versions) {
		if !v.since.After(when) {
			return v.value
		}
	}
	return nil
}

// all are the objects as they are, by id.
func (s *store[T]) all() []*T { return s.listed(s.get) }

// past are the objects as they were, by id.
func (s *store[T]) past(when time.Time) []*T {
	return s.listed(func(id string) *T { return s.at(id, when) })
}

func (s *store[T]) listed(find func(string) *T) []*T {
	if s.order == nil {
		s.order = slices.Sorted(maps.Keys(s.items))
	}
	found := make([]*T, 0, len(s.items))
	for _, id := range s.order {
		if v := find(id); v != nil {
			found = append(found, v)
		}
	}
	return found
}

// put stores an object, which must not be changed afterwards.
func (s *store[T]) put(id string, value *T, now time.Time) {
	s.append(id, version[T]{value: value, since: now})
}

// remove lets an object be gone.
func (s *store[T]) remove(id string, now time.Time) {
	if s.get(id) != nil {
		s.append(id, version[T]{since: now})
	}
}

// edit stores a changed copy of an object that is there.
func (s *store[T]) edit(id string, now time.Time, change func(*T)) {
	value := clone(s.get(id))
	change(value)
	s.put(id, value, now)
}

// settled lets all that is there have been there always.
func (s *store[T]) settled() {
	for id := range s.items {
		if v := s.get(id); v != nil {
			s.set(id, []version[T]{{value: v}})
		}
	}
}

func (s *store[T]) append(id string, v version[T]) {
	versions := slices.Concat(s.items[id], []version[T]{v})
	for len(versions) > 1 && !versions[1].since.After(v.since.Add(-s.keep)) {
		versions = versions[1:]
	}
	if len(versions) == 1 && v.value == nil {
		delete(s.items, id)
		s.order = nil
		return
	}
	s.set(id, versions)
}

// set stores all that is known of an object.
func (s *store[T]) set(id string, versions []version[T]) {
	if s.items[id] == nil {
		s.order = nil
	}
	s.items[id] = versions
}

// clone copies an object with all that it holds.
func clone[T any](value *T) *T {
	copied := new(T)
	reflect.ValueOf(copied).Elem().Set(deep(reflect.ValueOf(value).Elem()))
	return copied
}

func deep(v reflect.Value) reflect.Value {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		copied := reflect.New(v.Type().Elem())
		copied.Elem().Set(deep(v.Elem()))
		return copied
	case v.Kind() == reflect.Slice && !v.IsNil():
		copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			copied.Index(i).Set(deep(v.Index(i)))
		}
		return copied
	case v.Kind() == reflect.Map && !v.IsNil():
		copied := reflect.MakeMapWithSize(v.Type(), v.Len())
		for entry := v.MapRange(); entry.Next(); {
			copied.SetMapIndex(entry.Key(), deep(entry.Value()))
		}
		return copied
	case v.Kind() == reflect.Struct:
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		for i := range v.NumField() {
			if copied.Field(i).CanSet() {
				copied.Field(i).Set(deep(v.Field(i)))
			}
		}
		return copied
	default:
		return v
	}
}
