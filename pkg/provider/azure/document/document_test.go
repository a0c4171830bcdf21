// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/fairlead/fairlead/pkg/provider/azure/document"
)

const example = ` { "name" : "lb", "x": 1.50e2, "properties":{"rules":[ {"name":"A","n":1 }, {"name":"b"}],"unknown": {"deep" :[1, 2]} , "empty":null}}`

func TestGetIsWhatWasWritten(t *testing.T) {
	tests := map[string]struct {
		path []string
		want string
		ok   bool
	}{
		"a number as written":     {[]string{"x"}, "1.50e2", true},
		"a value deep inside":     {[]string{"properties", "unknown", "deep"}, "[1, 2]", true},
		"none":                    {[]string{"properties", "gone"}, "", false},
		"below what is no object": {[]string{"x", "y"}, "", false},
		"keys have case":          {[]string{"Name"}, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, ok := document.Get(json.RawMessage(example), tt.path...); string(got) != tt.want || ok != tt.ok {
				t.Errorf("got %s, %t, want %s, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestSetAndRemoveKeepTheRest(t *testing.T) {
	tests := map[string]struct {
		edit func(json.RawMessage) (json.RawMessage, error)
		want string
	}{
		"the same value changes no byte": {
			func(d json.RawMessage) (json.RawMessage, error) {
				return document.Set(d, json.RawMessage("1.50e2"), "x")
			},
			example,
		},
		"another value stands in its place": {
			func(d json.RawMessage) (json.RawMessage, error) { return document.Set(d, json.RawMessage("2"), "x") },
			`{"name":"lb","x":2,"properties":{"rules":[ {"name":"A","n":1 }, {"name":"b"}],"unknown": {"deep" :[1, 2]} , "empty":null}}`,
		},
		"a new key comes last, its objects are made": {
			func(d json.RawMessage) (json.RawMessage, error) {
				return document.Set(d, json.RawMessage(`"z"`), "a", "b")
			},
			`{"name":"lb","x":1.50e2,"properties":{"rules":[ {"name":"A","n":1 }, {"name":"b"}],"unknown": {"deep" :[1, 2]} , "empty":null},"a":{"b":"z"}}`,
		},
		"null becomes an object": {
			func(d json.RawMessage) (json.RawMessage, error) {
				return document.Set(d, json.RawMessage(`1`), "properties", "empty", "b")
			},
			`{"name":"lb","x":1.50e2,"properties":{"rules":[ {"name":"A","n":1 }, {"name":"b"}],"unknown":{"deep" :[1, 2]},"empty":{"b":1}}}`,
		},
		"what is removed is gone": {
			func(d json.RawMessage) (json.RawMessage, error) { return document.Remove(d, "properties", "rules") },
			`{"name":"lb","x":1.50e2,"properties":{"unknown":{"deep" :[1, 2]},"empty":null}}`,
		},
		"what is not there cannot be removed": {
			func(d json.RawMessage) (json.RawMessage, error) { return document.Remove(d, "properties", "gone") },
			example,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.edit(json.RawMessage(example))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWhatIsNoObjectIsRefused(t *testing.T) {
	for _, doc := range []string{"", "{", "[]", `"x"`, "{} {}"} {
		if got, err := document.Set(json.RawMessage(doc), json.RawMessage("1"), "a"); err == nil {
			t.Errorf("%q became %s", doc, got)
		}
	}
	if got, err := document.Set(json.RawMessage("{}"), json.RawMessage("{"), "a"); err == nil {
		t.Errorf("a value that is not JSON became %s", got)
	}
}

func TestListsKeepTheirOtherElements(t *testing.T) {
	l, err := document.ListAt(json.RawMessage(example), "properties", "rules")
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := l.Find("a"); !ok || string(e.Raw) != `{"name":"A","n":1 }` {
		t.Errorf("found %s, %t", e.Raw, ok)
	}
	l.Put(document.Element{Name: "a", Raw: json.RawMessage(`{"name":"A","n":1 }`)})
	l.Remove("c")
	if l.Changed() {
		t.Error("nothing was changed")
	}
	l.Put(document.Element{Name: "B", Raw: json.RawMessage(`{"name":"b","n":2}`)})
	l.Put(document.Element{Name: "c", Raw: json.RawMessage(`{"name":"c"}`)})
	if got, want := string(l.JSON()), `[{"name":"A","n":1 },{"name":"b","n":2},{"name":"c"}]`; got != want || !l.Changed() {
		t.Errorf("got %s, want %s", got, want)
	}
	l.Remove("A")
	if got, want := string(l.JSON()), `[{"name":"b","n":2},{"name":"c"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if empty, err := document.ListAt(json.RawMessage(example), "properties", "empty"); err != nil || empty.Len() != 0 {
		t.Errorf("null is %d elements, %v", empty.Len(), err)
	}
	if _, err := document.ListAt(json.RawMessage(example), "name"); err == nil {
		t.Error("a text is no list")
	}
}

// Every value that is read is what encoding/json reads, and writing what was
// read changes no meaning; an edit that is undone leaves the meaning as well.
func FuzzEditsKeepAllElse(f *testing.F) {
	f.Add([]byte(example), "x", []byte(`[1]`))
	f.Add([]byte(`{"a\u0062":"\"}","ab":{}}`), "ab", []byte(`"\\"`))
	f.Add([]byte(`{"":-0.0,"é":[[],{}]}`), "", []byte(`null`))
	golden, err := filepath.Glob("../testdata/golden/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range golden {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "state", []byte(`{"resources":[]}`))
	}
	f.Fuzz(func(t *testing.T, doc []byte, key string, value []byte) {
		var before map[string]json.RawMessage
		if json.Unmarshal(doc, &before) != nil || before == nil || !json.Valid(value) || !validKey(key) {
			return
		}
		old, had := document.Get(doc, key)
		want, ok := before[key]
		if had != ok || !bytes.Equal(bytes.TrimSpace(old), bytes.TrimSpace(want)) {
			t.Fatalf("%q is %s, encoding/json says %s", key, old, want)
		}
		set, err := document.Set(doc, value, key)
		if err != nil {
			t.Fatal(err)
		}
		var after map[string]json.RawMessage
		if err := json.Unmarshal(set, &after); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		if !bytes.Equal(bytes.TrimSpace(after[key]), bytes.TrimSpace(value)) {
			t.Errorf("%q is %s, want %s", key, after[key], value)
		}
		delete(after, key)
		delete(before, key)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("the rest was %s, is %s", before, after)
		}
		if gone, err := document.Remove(set, key); err != nil {
			t.Error(err)
		} else if _, still := document.Get(gone, key); still {
			t.Errorf("%q is still in %s", key, gone)
		}
	})
}

// validKey reports whether encoding/json gives the key back as it is.
func validKey(key string) bool {
	raw, err := json.Marshal(key)
	if err != nil {
		return false
	}
	var back string
	return json.Unmarshal(raw, &back) == nil && back == key
}
