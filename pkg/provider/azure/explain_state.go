// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
)

// What there is to say of something beside its provisioning state.
const (
	stateMissing   = "not there yet"
	stateLeaving   = "to be taken away"
	stateInStep    = "in step"
	stateDiffers   = "differs from what is wanted"
	stateNeverBeen = "neither there nor wanted"
)

// comparison is something as it is in Azure, beside what it shall be.
type comparison struct {
	doc          json.RawMessage // as it is
	here, wanted bool
	equal        bool        // what is here is as wanted
	diffs        []plan.Diff // where it is not
}

// state is the provisioning state and how it stands to what is wanted.
func (c *comparison) state() string {
	switch {
	case !c.here && c.wanted:
		return stateMissing
	case !c.here:
		return stateNeverBeen
	case !c.wanted:
		return c.provisioned(stateLeaving)
	case !c.equal:
		return c.provisioned(stateDiffers)
	}
	return c.provisioned(stateInStep)
}

// whole is the state of something whose parts are told of one by one.
func (c *comparison) whole() string {
	if !c.here || !c.wanted {
		return c.state()
	}
	return strings.TrimSuffix(c.provisioned(""), ", ")
}

// provisioned puts the provisioning state first, if Azure says one.
func (c *comparison) provisioned(state string) string {
	var says string
	raw, ok := document.Get(c.doc, "properties", "provisioningState")
	if !ok || json.Unmarshal(raw, &says) != nil || says == "" {
		return state
	}
	return says + ", " + state
}

// parts are the differences, for something that is there and stays.
func (c *comparison) parts() []Part {
	if !c.here || !c.wanted || c.equal {
		return nil
	}
	var out []Part
	for _, d := range c.diffs {
		out = append(out, Part{What: changeText(d)})
	}
	return out
}

func changeText(d plan.Diff) string {
	switch {
	case d.Have == "":
		return d.Field + ": " + d.Want
	case d.Want == "":
		return d.Field + ": " + d.Have + " -> (none)"
	}
	return d.Field + ": " + d.Have + " -> " + d.Want
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
