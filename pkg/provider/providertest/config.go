// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Fields say what the fields of a cloud's configuration count for, by their paths,
// such as Role.ARN. Base has an element in each list of sections.
type Fields[C any] struct {
	Base func() *C
	// Now is what counts from the next pass on, Start from the next start on.
	Now, Start func(*C) any
	// AtOnce are those of Now alone, Elsewhere those of neither. All others are of
	// Start.
	AtOnce, Elsewhere []string
}

// EveryFieldCounts checks that a change of any field has an effect, or asks for a
// restart.
func EveryFieldCounts[C any](t *testing.T, f Fields[C]) {
	t.Helper()
	f.walk(t, "", func(c *C) reflect.Value { return reflect.ValueOf(c).Elem() })
}

func (f *Fields[C]) walk(t *testing.T, path string, field func(*C) reflect.Value) {
	t.Helper()
	v := field(f.Base())
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if path != "" {
				name = path + "." + name
			}
			f.walk(t, name, func(c *C) reflect.Value { return field(c).Field(i) })
		}
		return
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		f.walk(t, path, func(c *C) reflect.Value { return field(c).Index(0) })
		return
	}
	other := f.Base()
	change(t, path, field(other))
	now := !reflect.DeepEqual(f.Now(f.Base()), f.Now(other))
	told := !reflect.DeepEqual(f.Start(f.Base()), f.Start(other))
	switch {
	case slices.Contains(f.Elsewhere, path):
		if now || told {
			t.Errorf("%s has an effect", path)
		}
	case slices.Contains(f.AtOnce, path):
		if !now || told {
			t.Errorf("%s counts at once: %v; a restart is asked for: %v", path, now, told)
		}
	case !told:
		t.Errorf("a change of %s asks for no restart", path)
	}
}

// change gives a field another value.
func change(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Duration:
		v.SetInt(int64(time.Minute))
		return
	case labels.Selector:
		v.Set(reflect.ValueOf(labels.Everything()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("other")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(v.Uint() + 1)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "b"}))
	case reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		change(t, path, one)
		v.Set(reflect.Append(v, one))
	case reflect.Interface:
		v.Set(reflect.ValueOf(labels.Everything()))
	default:
		t.Fatalf("%s is of kind %s", path, v.Kind())
	}
}
