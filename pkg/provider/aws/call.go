// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Ref names an AWS object: by its id when that is known, or else by the step
// that makes it. The zero value names nothing.
type Ref struct {
	ID   string // an ARN or id
	Made plan.ID
}

// placeholder begins what stands in a call for an id that is not known yet. No
// id of AWS begins so.
const placeholder = "made by "

// Text is the id, or what stands for it in a call until the step is done.
func (r Ref) Text() string {
	if r.ID != "" || r.Made == (plan.ID{}) {
		return r.ID
	}
	return placeholder + r.Made.String()
}

// name is the id, or the name of what is to be made.
func (r Ref) name() string { return cmp.Or(r.ID, r.Made.Name) }

// refsTo are refs to what has the ids.
func refsTo(ids []string) []Ref {
	var out []Ref
	for _, id := range ids {
		out = append(out, Ref{ID: id})
	}
	return out
}

// refTexts are the refs as calls have them.
func refTexts(refs []Ref) []string {
	var out []string
	for _, r := range refs {
		out = append(out, r.Text())
	}
	return out
}

// refNames are the refs as plans tell them.
func refNames(refs []Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, r.name())
	}
	return strings.Join(out, ", ")
}

// stepsOf are the steps that make what is not there yet.
func stepsOf(refs []Ref) []plan.ID {
	var out []plan.ID
	for _, r := range refs {
		if r.ID == "" {
			out = append(out, r.Made)
		}
	}
	return out
}

// Known are the ids of what steps made, by the steps' targets.
type Known map[plan.ID]string

// Call is one call of AWS: the SDK's input, such as *ec2.CreateSecurityGroupInput,
// in which Ref.Text stands for ids. It is never changed.
type Call any

// Write is what one step sends: calls one after the other, most often one.
type Write struct {
	Calls []Call
}

// Resolve is the call with the ids of what earlier steps made. It fails when
// one is missing.
func Resolve(c Call, known Known) (Call, error) {
	r := resolver{ids: map[string]string{}}
	for id, made := range known {
		r.ids[Ref{Made: id}.Text()] = made
	}
	out := r.copy(reflect.ValueOf(c)).Interface()
	if r.missing != "" {
		return nil, &plan.Error{Kind: plan.Conflict, Reason: ReasonChangedMeanwhile, Err: fmt.Errorf("%s is needed and not there; plan again", strings.TrimPrefix(r.missing, placeholder))}
	}
	return out, nil
}

// resolver copies a value and replaces placeholders in it.
type resolver struct {
	ids     map[string]string
	missing string
}

func (r *resolver) copy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(r.copy(v.Elem()))
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(r.copy(v.Index(i)))
		}
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if out.Field(i).CanSet() {
				out.Field(i).Set(r.copy(v.Field(i)))
			}
		}
		return out
	case reflect.String:
		return r.text(v)
	default:
		return v
	}
}

func (r *resolver) text(v reflect.Value) reflect.Value {
	if !strings.HasPrefix(v.String(), placeholder) {
		return v
	}
	id, ok := r.ids[v.String()]
	if !ok {
		r.missing = v.String()
		return v
	}
	out := reflect.New(v.Type()).Elem()
	out.SetString(id)
	return out
}
