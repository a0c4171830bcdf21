// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// read is a file of testdata.
func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden is a cloud that holds the site and a state that the peer left.
func golden(t *testing.T, name string) *awssim.Cloud {
	t.Helper()
	c := awssim.New(awssim.Options{})
	if err := c.Seed(read(t, "site", "state.json"), read(t, name, "state.json")); err != nil {
		t.Fatal(err)
	}
	return c
}

func goldenNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/service.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("golden states: %v, %v", files, err)
	}
	for i, file := range files {
		files[i] = filepath.Base(filepath.Dir(file))
	}
	return files
}

// canonical sorts all lists by what their elements are as text.
func canonical(t *testing.T, tree any) any {
	t.Helper()
	switch v := tree.(type) {
	case map[string]any:
		for name := range v {
			v[name] = canonical(t, v[name])
		}
	case []any:
		for i := range v {
			v[i] = canonical(t, v[i])
		}
		slices.SortFunc(v, func(a, b any) int {
			x, err := json.Marshal(a)
			y, err2 := json.Marshal(b)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			return strings.Compare(string(x), string(y))
		})
	}
	return tree
}

func TestGoldenStateIsAnsweredAsItWasSeeded(t *testing.T) {
	for _, name := range goldenNames(t) {
		t.Run(name, func(t *testing.T) {
			var want, got map[string]any
			if err := json.Unmarshal(read(t, name, "state.json"), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(golden(t, name).State(), &got); err != nil {
				t.Fatal(err)
			}
			for kind := range want {
				if diff := cmp.Diff(canonical(t, want[kind]), canonical(t, got[kind])); diff != "" {
					t.Errorf("%s (-seeded +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func TestAStateSeedsAnEqualCloud(t *testing.T) {
	for _, name := range goldenNames(t) {
		t.Run(name, func(t *testing.T) {
			first := golden(t, name)
			second := awssim.New(awssim.Options{})
			if err := second.Seed(first.State()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(t, first), normal(t, second)); diff != "" {
				t.Errorf("-first +second:\n%s", diff)
			}
		})
	}
}
