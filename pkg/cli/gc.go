// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

const gcLong = `Print what was made in the cloud for Services that are gone: what bears the names
and tags of this cluster, and belongs to no Service that lives. --delete deletes
it, after it was printed and confirmed.

Whose an object is is proved by the rules of the controllers that make them. What
a Service has that lives, what other clusters have, and what nothing proves to be
this cluster's is left alone. The cloud is read first and the Services after it,
so what is made for a Service that comes meanwhile is not taken for left over. A
controller may run at the same time: writes to what Services share are
conditional, and a deletion that was done already is no error.

The cloud is read, and written with --delete, with your own credentials, as plan
reads it; on Azure --auth=cli takes the account of the Azure CLI. They need the
rights that the controller needs. --cluster-name must be the controller's.

Exits with
  0  when nothing is left over, or all that was is deleted
  1  for an error: nothing could be told, or it was not confirmed in time
  2  when something is left over, or left after --delete
  3  when something may be left over that cannot be judged or deleted, and
     nothing else: also where another cluster may be meant`

// collector is the command gc.
type collector struct {
	planner
	remove     bool
	yes        bool
	named      bool // the cluster's name was given
	atTerminal bool // somebody can be asked
}

// newGCCommand returns the command gc.
func newGCCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags, clouds []ccm.Cloud) *cobra.Command {
	c := collector{planner: planner{IOStreams: streams, clouds: clouds}}
	cmd := &cobra.Command{
		Use:     "gc",
		Short:   "Print what is left in the cloud of Services that are gone, and delete it if told to",
		Long:    gcLong,
		Example: "  kubectl fairlead gc --cluster-name=prod --cloud-config=cloud.yaml\n  kubectl fairlead gc --cluster-name=prod --cloud-config=cloud.yaml --delete",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.named = cmd.Flags().Changed("cluster-name")
			if f, ok := streams.In.(*os.File); ok {
				c.atTerminal = term.IsTerminal(int(f.Fd()))
			}
			client, _, err := connect(flags)
			if err != nil {
				return err
			}
			return c.run(cmd.Context(), client)
		},
	}
	c.addCloudFlags(cmd.Flags())
	cmd.Flags().BoolVar(&c.remove, "delete", false, "delete what is left over, after it was confirmed")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "with --delete: do not ask")
	cmd.Flags().StringVarP(&c.output, "output", "o", "text", "text or json")
	return cmd
}

// check refuses what cannot be done before anything is read.
func (c *collector) check() error {
	ask := c.remove && !c.yes
	switch {
	case !c.named:
		return errors.New("--cluster-name is not set: the cluster's name tells whose an object is; give that of the controller")
	case c.output != "text" && c.output != "json":
		return fmt.Errorf("--output %q: must be text or json", c.output)
	case ask && c.output == "json":
		return errors.New("--delete asks before it deletes, which --output json leaves no room for; give --yes as well")
	case ask && !c.atTerminal:
		return errors.New("--delete asks before it deletes, and the standard input is no terminal; give --yes to delete without being asked")
	}
	return nil
}

func (c *collector) run(ctx context.Context, client kubernetes.Interface) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.open(ctx, client, func(ctx context.Context, o *opened) error {
		cloud, ok := o.provider.(provider.Collector)
		if !ok {
			return fmt.Errorf("provider %s makes nothing outside the cluster that could be left over", o.provider.Name())
		}
		return c.collect(ctx, func() (*leftovers, error) { return look(ctx, cloud, client) })
	})
}

// living lists all Services as the API server has them now.
func living(client kubernetes.Interface) provider.Living {
	return func(ctx context.Context) ([]*v1.Service, error) {
		list, err := client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list Services: %w; without them nothing is known to be left over", err)
		}
		out := make([]*v1.Service, len(list.Items))
		for i := range list.Items {
			out[i] = &list.Items[i]
		}
		return out, nil
	}
}

// look reads the cloud, and then the Services.
func look(ctx context.Context, cloud provider.Collector, client kubernetes.Interface) (*leftovers, error) {
	pass, err := cloud.Leftovers(ctx, living(client))
	if err != nil {
		return nil, err
	}
	l := &leftovers{pass: pass, Decision: pass.Decide()}
	if l.Plan, err = plan.New(l.Plan.Steps); err != nil {
		return nil, err
	}
	return l, nil
}

// collect prints what is left over, and deletes it when told to.
func (c *collector) collect(ctx context.Context, look func() (*leftovers, error)) error {
	l, err := look()
	if e, ok := errors.AsType[*plan.Error](err); ok && e.Reason == provider.ReasonOtherCluster {
		l, err = &leftovers{wrong: err, cluster: c.cluster}, nil
	}
	if err != nil {
		return err
	}
	if !c.remove || l.Plan.Empty() {
		if err := l.print(c.Out, c.output); err != nil {
			return err
		}
		return l.verdict()
	}
	if c.output == "text" {
		if err := l.print(c.Out, c.output); err != nil {
			return err
		}
	}
	if !c.yes {
		if l, err = c.confirm(l, look); err != nil {
			return err
		}
	}
	l.swept = true
	l.left = engine.Sweep(ctx, l.pass, l.Plan, func(st plan.Step, err error) {
		if err == nil && c.output == "text" {
			fmt.Fprintf(c.Out, "Done: %s %s\n", st.Action, st.Target)
		}
	})
	if c.output == "json" {
		err = l.print(c.Out, c.output)
	} else {
		err = l.printLeft(c.Out)
	}
	return errors.Join(err, l.verdict())
}

// confirm asks whether all that was printed shall be deleted. As the answer may
// take long, everything is looked at again after it.
func (c *collector) confirm(l *leftovers, look func() (*leftovers, error)) (*leftovers, error) {
	fmt.Fprint(c.Out, "Delete all of this? Only yes is taken for yes: ")
	line := bufio.NewScanner(c.In)
	if !line.Scan() || line.Text() != "yes" {
		fmt.Fprintln(c.Out, "Nothing was deleted.")
		return nil, ErrPlanned
	}
	now, err := look()
	if err != nil {
		return nil, err
	}
	if now.Plan.String() != l.Plan.String() {
		return nil, errors.New("what is left over changed since it was printed, and nothing was deleted; run gc again")
	}
	return now, nil
}
