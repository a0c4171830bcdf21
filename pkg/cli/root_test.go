// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/version"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/cli"
)

func root(streams genericiooptions.IOStreams) *cobra.Command {
	return cli.NewRootCommand(streams, ccm.Clouds())
}

func TestPluginTellsItsVersion(t *testing.T) {
	want := "kubectl fairlead version " + version.Get().GitVersion + "\n"
	for _, arg := range []string{"version", "--version"} {
		if got := run(t, root, "", arg); got.out != want || got.err != nil {
			t.Errorf("%s: got %s, want %s", arg, got, want)
		}
	}
}

func TestHelpIsShort(t *testing.T) {
	for _, command := range []string{"bgp", "convert", "explain", "plan", "validate"} {
		got := run(t, root, "", command, "--help")
		if got.err != nil || strings.Contains(got.out, "--as-group") || !strings.Contains(got.out, "see kubectl options") {
			t.Errorf("%s: %s", command, got)
		}
	}
}

func TestServiceIsNamedAsInKubectl(t *testing.T) {
	for arg, want := range map[string]string{
		"pod/web": `"pod/web": must be the name of a Service, such as web or svc/web`,
		"svc/":    `"svc/": must be the name of a Service, such as web or svc/web`,
	} {
		for _, command := range []string{"bgp", "explain", "plan"} {
			if got := run(t, root, "", command, arg); got.err == nil || got.err.Error() != want {
				t.Errorf("%s %s: got %v, want %s", command, arg, got.err, want)
			}
		}
	}
}
