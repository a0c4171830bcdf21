// SPDX-License-Identifier: Apache-2.0

// Package cli is the kubectl plugin: it explains what the controller and the
// speakers do, from outside the cluster.
package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/version"

	"github.com/fairlead/fairlead/pkg/ccm"
)

// NewRootCommand returns the plugin. The clouds are those that plan knows.
func NewRootCommand(streams genericiooptions.IOStreams, clouds []ccm.Cloud) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:   "kubectl-fairlead",
		Short: "Explain and check what Fairlead does in a cluster",
		Annotations: map[string]string{
			cobra.CommandDisplayNameAnnotation: "kubectl fairlead",
		},
		Version:       version.Get().GitVersion,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags.AddFlags(root.PersistentFlags())
	root.Flags().Bool("version", false, "print the version and quit")
	root.SetUsageTemplate(usage(root.UsageTemplate()))
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddCommand(
		NewValidateCommand(streams),
		NewConvertCommand(streams),
		newBGPCommand(streams, flags),
		newExplainCommand(streams, flags, clouds),
		newGCCommand(streams, flags, clouds),
		newPlanCommand(streams, flags, clouds),
		newHandoverCommand(streams, flags, clouds),
		newVersionCommand(),
	)
	return root
}

// newVersionCommand says what --version says.
func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this plugin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", cmd.Root().DisplayName(), cmd.Root().Version)
			return err
		},
	}
}

// usage shortens cobra's template: the flags of kubectl are many, and known.
func usage(template string) string {
	const all = "{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}"
	return strings.Replace(template, all,
		"  those of kubectl, such as --context, --kubeconfig and --namespace: see kubectl options", 1)
}
