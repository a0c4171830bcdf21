// SPDX-License-Identifier: Apache-2.0

package metal_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	providertest.Reasons{
		Page:    "../../../docs/metal.md",
		Folders: []string{".", "../../ipam", "..", "../../intent", "../../engine"},
		Others:  []string{provider.ReasonOtherCluster, provider.ReasonNoTargets},
	}.Documented(t)
}
