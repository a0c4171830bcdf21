// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"

	"k8s.io/component-base/version"
)

func TestVersionNeedsNoOtherFlag(t *testing.T) {
	var out bytes.Buffer
	cmd := command()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--version"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if want := "fairlead-speaker version " + version.Get().GitVersion + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
