// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
)

// provisioningState is what Azure says of a document's state; empty when it
// says none.
func provisioningState(doc json.RawMessage) string {
	var says string
	raw, ok := document.Get(doc, "properties", "provisioningState")
	if !ok || json.Unmarshal(raw, &says) != nil {
		return ""
	}
	return says
}

// about are the differences of one element, named by the field alone.
func about(all []plan.Diff, element string) []plan.Diff {
	var out []plan.Diff
	for _, d := range all {
		rest, is := strings.CutPrefix(d.Field, element)
		switch {
		case is && rest == "":
			d.Field = "it"
		case is && strings.HasPrefix(rest, " "):
			d.Field = strings.TrimSpace(rest)
		default:
			continue
		}
		out = append(out, d)
	}
	return out
}
