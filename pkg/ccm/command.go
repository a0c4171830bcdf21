// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"fmt"

	"github.com/spf13/cobra"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version"

	"github.com/fairlead/fairlead/pkg/engine"
	awsapi "github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// Name is the name of the command, and of the component in events.
const Name = "fairlead-controller-manager"

// NewCommand returns the command with upstream's flags and ours. It runs until
// its context ends, which a signal should bring about.
func NewCommand(clouds []Cloud) (*cobra.Command, error) {
	opts, err := NewOptions()
	if err != nil {
		return nil, err
	}
	logOptions := logs.NewOptions()
	cmd := &cobra.Command{
		Use: Name,
		Long: `Fairlead's controller manager gives Services of type LoadBalancer their load
balancers on a cloud or on bare metal, and tells the cluster what the cloud
knows of its nodes. It takes the flags of every cloud controller manager.`,
		Version: version.Get().GitVersion,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := logsapi.ValidateAndApply(logOptions, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			cliflag.PrintFlags(cmd.Flags())
			engine.RegisterMetrics()
			arm.RegisterMetrics()
			awsapi.RegisterMetrics()
			return Run(cmd.Context(), opts, clouds, cmd.OutOrStdout())
		},
	}
	sets := opts.flags()
	global := sets.FlagSet("global")
	global.Bool("version", false, "print the version and quit") // upstream's says Kubernetes
	logsapi.AddFlags(logOptions, global)
	globalflag.AddGlobalFlags(global, cmd.Name(), logs.SkipLoggingConfigurationFlags())
	for _, fs := range sets.FlagSets {
		cmd.Flags().AddFlagSet(fs)
	}
	describe(cmd, sets)
	return cmd, nil
}

// describe makes help and usage list the flags by section.
func describe(cmd *cobra.Command, sets cliflag.NamedFlagSets) {
	const usage = "Usage:\n  %s\n"
	cols, _, err := term.TerminalSize(cmd.OutOrStdout())
	if err != nil {
		cols = 0 // no terminal: lines are not wrapped
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		if _, err := fmt.Fprintf(out, usage, cmd.UseLine()); err != nil {
			return err
		}
		cliflag.PrintSections(out, sets, cols)
		return nil
	})
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		out := cmd.OutOrStdout()
		if _, err := fmt.Fprintf(out, "%s\n\n"+usage, cmd.Long, cmd.UseLine()); err != nil {
			return // nobody reads
		}
		cliflag.PrintSections(out, sets, cols)
	})
}
