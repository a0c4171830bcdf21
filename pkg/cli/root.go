// SPDX-License-Identifier: Apache-2.0

// Package cli is the kubectl plugin: it explains what the controller and the
// speakers do, from outside the cluster.
package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

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
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags.AddFlags(root.PersistentFlags())
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddCommand(
		NewValidateCommand(streams),
		NewConvertCommand(streams),
		newBGPCommand(streams, flags),
		newExplainCommand(streams, flags),
		newPlanCommand(streams, flags, clouds),
	)
	return root
}
