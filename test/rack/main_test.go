// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAIRLEAD_RACK") == "" && os.Getenv(helperEnv) == "" {
		os.Exit(m.Run()) //nolint:forbidigo // the main of a test
	}
	os.Exit(Main(m.Run)) //nolint:forbidigo // the main of a test
}
