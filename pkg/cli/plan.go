// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// ErrPlanned says that a plan is not empty: the plugin then exits with 2.
var ErrPlanned = errors.New("there is something to do")

const planLong = `Print what the controller would write, and why, field by field. Nothing is
written: the plan is made here, from the cloud-config and the cluster, with no
controller to ask. Run it before you swap controllers.

Exits with 0 when there is nothing to do, with 2 when there is something.`

// defaultCluster is what upstream calls a cluster that --cluster-name does not
// name.
const defaultCluster = "kubernetes"

// planner is the command plan.
type planner struct {
	genericiooptions.IOStreams
	from      source
	clouds    []ccm.Cloud
	cluster   string
	output    string
	unclassed bool
}

// newPlanCommand returns the command plan.
func newPlanCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags, clouds []ccm.Cloud) *cobra.Command {
	p := planner{IOStreams: streams, clouds: clouds}
	var all bool
	cmd := &cobra.Command{
		Use:     "plan [SERVICE | --all]",
		Short:   "Print what the controller would write, and write nothing",
		Long:    planLong,
		Example: "  kubectl fairlead plan --all --cloud-config=cloud.yaml\n  kubectl fairlead plan -n shop web",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return errors.New("name one Service, or give --all")
			}
			client, namespace, err := connect(flags)
			if err != nil {
				return err
			}
			var keys []plan.Key
			for _, name := range args {
				keys = append(keys, plan.Key{Namespace: namespace, Name: name})
			}
			return p.run(cmd.Context(), client, keys)
		},
	}
	p.from.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "plan for all Services")
	cmd.Flags().StringVarP(&p.output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&p.cluster, "cluster-name", defaultCluster, "as the controller's flag of this name")
	cmd.Flags().BoolVar(&p.unclassed, "serve-unclassed", true, "as the controller's flag of this name")
	return cmd
}

func (p *planner) run(ctx context.Context, client kubernetes.Interface, keys []plan.Key) error {
	groups, err := p.report(ctx, client, keys)
	if err != nil {
		return err
	}
	if err := printPlans(p.Out, p.output, groups); err != nil {
		return err
	}
	for _, g := range groups {
		if !g.Plan.Empty() || len(g.Refused) > 0 {
			return ErrPlanned
		}
	}
	return nil
}

// report makes the provider as the controller does, and asks the engine.
func (p *planner) report(ctx context.Context, client kubernetes.Interface, keys []plan.Key) ([]engine.GroupPlan, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	file, err := p.from.config(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := file.warn(p.ErrOut); err != nil {
		return nil, err
	}
	if file.config == nil {
		return nil, fmt.Errorf("nothing can be planned: %w", file.broken)
	}
	cloud, err := cloudFor(p.clouds, file.config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	core := factory.Core().V1()
	services, nodes, namespaces := core.Services(), core.Nodes(), core.Namespaces()
	services.Informer()
	nodes.Informer()
	namespaces.Informer()
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel() // before Shutdown, which waits for the informers
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return nil, fmt.Errorf("list %s: %w", kind, ctx.Err())
		}
	}
	prov, err := cloud.New(ctx, ccm.Deps{
		Config: file.config, Cluster: p.cluster, Informers: factory, Client: client,
		Watch:   func(func(*cloudconfig.Config)) {},                 // one plan, one configuration
		Metrics: func(metrics.StableCollector) error { return nil }, // nobody could read them
	})
	if err != nil {
		return nil, fmt.Errorf("make provider %s: %w", cloud.Name, err)
	}
	classes := ccm.Classes{Provider: cloud.Name, Unclassed: ccm.ServeUnclassed}
	if !p.unclassed {
		classes.Unclassed = ccm.IgnoreUnclassed
	}
	return engine.New(engine.Options{
		Provider: prov, Registry: intent.Annotations(),
		Services: services.Lister(), Nodes: nodes.Lister(),
		Recorder: &record.FakeRecorder{}, Owns: classes.Owns,
		Refresh: func(...plan.Key) {}, Clock: clock.RealClock{},
	}).Report(ctx, keys...)
}

// cloudFor returns the cloud whose section the cloud-config has.
func cloudFor(clouds []ccm.Cloud, cfg *cloudconfig.Config) (ccm.Cloud, error) {
	name := cfg.Provider()
	for _, c := range clouds {
		if c.Name == name {
			return c, nil
		}
	}
	return ccm.Cloud{}, fmt.Errorf("the cloud-config is for %q, which this plugin does not know", name)
}

func printPlans(out io.Writer, format string, groups []engine.GroupPlan) error {
	switch format {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(groups)
	case "text":
		for _, g := range groups {
			if _, err := fmt.Fprint(out, g); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		if len(groups) == 0 {
			fmt.Fprintln(out, "No Service is ours.")
		}
		return nil
	}
	return fmt.Errorf("--output %q: must be text or json", format)
}
