// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	providertest.Reasons{
		Page:    "../../../docs/aws.md",
		Folders: []string{".", "api", "..", "../../intent", "../../engine"},
		Others:  []string{provider.ReasonOtherCluster, intent.ReasonDeprecatedAnnotation, intent.ReasonConflictingAddresses, intent.ReasonAddressFamilyMismatch},
	}.Documented(t)
}
