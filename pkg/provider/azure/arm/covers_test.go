// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

func TestCovers(t *testing.T) {
	for name, tc := range map[string]struct {
		answered, sent string
		want           bool
	}{
		"equal":                           {`{"a":1,"b":[true,null,"x"]}`, `{"a":1,"b":[true,null,"x"]}`, true},
		"the service adds fields":         {`{"a":{"b":1,"c":2},"d":3}`, `{"a":{"b":1}}`, true},
		"a field is missing":              {`{"a":{}}`, `{"a":{"b":1}}`, false},
		"another value":                   {`{"a":1}`, `{"a":2}`, false},
		"another type":                    {`{"a":"1"}`, `{"a":1}`, false},
		"case of texts":                   {`{"id":"/Subscriptions/S"}`, `{"id":"/subscriptions/s"}`, true},
		"location":                        {`{"location":"westeurope"}`, `{"location":"West Europe"}`, true},
		"nothing was sent":                {`{}`, `{"a":null,"b":[],"c":{}}`, true},
		"the service's own fields":        {`{"etag":"2","properties":{"provisioningState":"Succeeded"}}`, `{"etag":"1","properties":{"provisioningState":"Updating"}}`, true},
		"named elements in another order": {`{"r":[{"name":"b","p":2},{"name":"A","p":1}]}`, `{"r":[{"name":"a","p":1},{"name":"b","p":2}]}`, true},
		"a named element is another":      {`{"r":[{"name":"a","p":1},{"name":"c","p":2}]}`, `{"r":[{"name":"a","p":1},{"name":"b","p":2}]}`, false},
		"an element was taken away":       {`{"r":[{"name":"a"},{"name":"b"}]}`, `{"r":[{"name":"a"}]}`, false},
		"plain lists keep their order":    {`{"z":["1","2"]}`, `{"z":["2","1"]}`, false},
		"large numbers":                   {`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		"no JSON":                         {`<html>`, `{}`, false},
	} {
		if got := arm.Covers(tc.answered, tc.sent); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
