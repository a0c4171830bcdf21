// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"testing"

	"github.com/fairlead/fairlead/test/testrouter"
)

func TestMain(m *testing.M) { testrouter.Main(m) }
