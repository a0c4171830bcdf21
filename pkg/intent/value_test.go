// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func kinds() map[string]Kind {
	return map[string]Kind{
		"bool":     Bool{},
		"int":      Int{Min: -5, Max: 100},
		"enum":     Enum{Values: []string{"HTTP", "HTTPS"}},
		"text":     Text{Max: 20, Example: "x"},
		"address":  Address{},
		"range":    CIDR{},
		"one-each": OnePerFamily{},
		"spaced":   List{Item: Address{Family: V4}, Items: "addresses", Sep: Space, Max: 4},
		"ranges":   List{Item: CIDR{}, Items: "ranges", Sep: Comma, Max: 4},
		"texts":    List{Item: Text{Max: 9, Example: "x"}, Items: "texts", Sep: Comma, Max: 4},
		"pairs":    Pairs{Max: 4},
	}
}

func TestExamplesAreAllowed(t *testing.T) {
	for name, k := range kinds() {
		if _, ok := k.parse(k.example()); !ok {
			t.Errorf("%s: %q is not allowed", name, k.example())
		}
	}
}

// What is parsed, printed and parsed again stays the same.
func FuzzValuesRoundTrip(f *testing.F) {
	for _, k := range kinds() {
		f.Add(k.example())
	}
	for _, text := range []string{" TRUE ", "-5", "10.1.2.3/8 , ::/0", "a = b,c==", "192.0.2.1  192.0.2.2", "a , b", "\x80"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, k := range kinds() {
			v, ok := k.parse(text)
			if !ok {
				continue
			}
			again, ok := k.parse(v.String())
			if !ok {
				t.Errorf("%s: %q prints as %q, which is not allowed", name, text, v)
				continue
			}
			if diff := cmp.Diff(v.String(), again.String()); diff != "" {
				t.Errorf("%s: %q: -first +second:\n%s", name, text, diff)
			}
		}
	})
}
