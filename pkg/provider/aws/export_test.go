// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// LongestUnlisted is longestUnlisted.
const LongestUnlisted = longestUnlisted

// Explain tells of a Service what a pass would, without its reads.
func Explain(in Input, r *Result, look Look, key plan.Key) ([]provider.Part, error) {
	e, err := newExplanation(in, r, key)
	if err != nil {
		return nil, err
	}
	return e.parts(look), nil
}
