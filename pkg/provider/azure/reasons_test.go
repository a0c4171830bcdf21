// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	providertest.Reasons{
		Page:    "../../../docs/azure.md",
		Folders: []string{".", "arm", "..", "../../intent", "../../engine"},
		Others:  []string{provider.ReasonOtherCluster, intent.ReasonDeprecatedAnnotation, intent.ReasonConflictingAnnotations, intent.ReasonAddressFamilyMismatch},
	}.Documented(t)
}
