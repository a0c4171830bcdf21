// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// What plan and gc came to besides nothing: the plugin then exits with 2 and
// with 3.
var (
	ErrPlanned = errors.New("there is something to do")
	ErrRefused = errors.New("nothing would be written, and a Service is refused")
)

const planLong = `Print what the controller would write, and why, field by field. Nothing is
written: the plan is made here, from the cloud-config and the cluster, with no
controller to ask. Run it before you swap controllers.

Services whose objects are shared are planned together, as a group: on bare
metal all that take addresses from the pools, on Azure and AWS all of the cluster. + is
what would be created, ~ updated, - deleted, ± deleted and made anew; ! is a
Service that is refused, and why, or what the controller said when the last try
failed; i is what its owner should know.

On Azure, --auth=cli reads with the account that the Azure CLI is signed in
with, where the credentials of the cloud-config work in the cluster alone.

Exits with
  0  when nothing would be written, and no Service is refused
  1  for an error: no plan could be made, or the Service named is not ours
  2  when something would be written, whether or not a Service is refused
  3  when nothing would be written, and a Service is refused`

// defaultCluster is what upstream calls a cluster that --cluster-name does not
// name.
const defaultCluster = "kubernetes"

// planner is the command plan.
type planner struct {
	genericiooptions.IOStreams
	from      source
	clouds    []ccm.Cloud
	cluster   string
	auth      arm.Auth
	output    string
	unclassed bool
}

// newPlanCommand returns the command plan.
func newPlanCommand(streams genericiooptions.IOStreams, flags *genericclioptions.ConfigFlags, clouds []ccm.Cloud) *cobra.Command {
	p := planner{IOStreams: streams, clouds: clouds}
	all := false
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
			for _, arg := range args {
				name, err := serviceName(arg)
				if err != nil {
					return err
				}
				keys = append(keys, plan.Key{Namespace: namespace, Name: name})
			}
			return p.run(cmd.Context(), client, keys)
		},
	}
	p.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", all, "plan for all Services")
	cmd.Flags().StringVarP(&p.output, "output", "o", "text", "text or json")
	return cmd
}

// addFlags adds what says how a plan is made.
func (p *planner) addFlags(fs *pflag.FlagSet) {
	p.addCloudFlags(fs)
	fs.BoolVar(&p.unclassed, "serve-unclassed", true, "as the controller's flag of this name")
}

// addCloudFlags adds what says how a cloud is read.
func (p *planner) addCloudFlags(fs *pflag.FlagSet) {
	p.from.addFlags(fs)
	p.auth = arm.AuthConfig
	fs.Var((*authValue)(&p.auth), "auth", "where credentials for Azure come from: config (the cloud-config and the environment), or cli (the Azure CLI)")
	fs.StringVar(&p.cluster, "cluster-name", defaultCluster, "as the controller's flag of this name")
}

// authValue is the value of --auth.
type authValue arm.Auth

// String is the value as the flag takes it.
func (a *authValue) String() string { return arm.Auth(*a).String() }

// Set reads a value.
func (a *authValue) Set(text string) error {
	auth, err := arm.ParseAuth(text)
	*a = authValue(auth)
	return err
}

// Type is what help shows for a value.
func (a *authValue) Type() string { return "string" }

func (p *planner) run(ctx context.Context, client kubernetes.Interface, keys []plan.Key) error {
	groups, none, err := p.report(ctx, client, keys)
	if err != nil {
		return err
	}
	if err := printPlans(p.Out, p.output, groups, none); err != nil {
		return err
	}
	refused := false
	for _, g := range groups {
		if !g.Plan.Empty() {
			return ErrPlanned
		}
		refused = refused || len(g.Refused) > 0
	}
	if refused {
		return ErrRefused
	}
	return nil
}

// config is the cloud-config, which must be usable in part at least, and its
// cloud.
func (p *planner) config(ctx context.Context, client kubernetes.Interface) (*cloudconfig.Config, ccm.Cloud, error) {
	file, err := p.from.config(ctx, client)
	if err != nil {
		return nil, ccm.Cloud{}, err
	}
	if err := file.warn(p.ErrOut); err != nil {
		return nil, ccm.Cloud{}, err
	}
	if file.config == nil {
		return nil, ccm.Cloud{}, file.unusable("nothing can be planned")
	}
	cloud, err := cloudFor(p.clouds, file.config)
	return file.config, cloud, err
}

// report asks the engine. none says why there is no plan, where there is none.
func (p *planner) report(ctx context.Context, client kubernetes.Interface, keys []plan.Key) (groups []groupPlan, none string, err error) {
	err = p.open(ctx, client, func(ctx context.Context, o *opened) error {
		unclassed := ccm.ServeUnclassed
		if !p.unclassed {
			unclassed = ccm.IgnoreUnclassed
		}
		classes := ccm.NewClasses(o.provider.Name(), unclassed, o.config)
		plans, err := engine.New(engine.Options{
			Provider: o.provider, Registry: intent.Annotations(),
			Services: o.services, Nodes: o.nodes,
			Recorder: &record.FakeRecorder{}, Owns: classes.Owns, Left: classes.Left,
			Refresh: func(...plan.Key) {}, Clock: clock.RealClock{},
		}).Report(ctx, keys...)
		switch {
		case err != nil:
			return err
		case len(plans) == 0 && len(keys) > 0:
			return notOurs(o.services, keys[0], classes)
		case len(plans) == 0:
			none, err = noneText(o.services, classes)
			return err
		}
		groups, err = newGroupPlans(o, plans, classes, keys)
		return err
	})
	return groups, none, err
}

// opened is a provider outside the cluster, and what it reads.
type opened struct {
	provider provider.Provider
	config   *cloudconfig.Config
	services corelisters.ServiceLister
	nodes    corelisters.NodeLister
}

// withoutCredentials is what to do where who runs the plugin has none for AWS.
const withoutCredentials = "name a profile of yours in AWS_PROFILE, and sign in to it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

// open makes the provider as the controller does, and closes it after use.
func (p *planner) open(ctx context.Context, client kubernetes.Interface, use func(context.Context, *opened) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cfg, cloud, err := p.config(ctx, client)
	if err != nil {
		return err
	}
	factory := newCaches(client, cancel)
	core := factory.Core().V1()
	services, nodes, namespaces := core.Services(), core.Nodes(), core.Namespaces()
	services.Informer()
	nodes.Informer()
	namespaces.Informer()
	var work sync.WaitGroup
	defer factory.Shutdown()
	defer work.Wait()
	defer cancel(nil) // before the others, which wait
	if err := factory.list(ctx); err != nil {
		return err
	}
	prov, err := cloud.New(ctx, ccm.Deps{
		Config: cfg, Cluster: p.cluster, Auth: p.auth, Informers: factory, Client: client,
		WithoutCredentials: withoutCredentials,

		Go:      work.Go,
		Write:   func(func()) {},
		Watch:   func(func(*cloudconfig.Config)) {},                 // one plan, one configuration
		Metrics: func(metrics.StableCollector) error { return nil }, // nobody could read them
	})
	if err != nil {
		return fmt.Errorf("make provider %s: %w", cloud.Name, err)
	}
	if err := factory.list(ctx); err != nil { // what the provider asked for
		return err
	}
	return use(ctx, &opened{provider: prov, config: cfg, services: services.Lister(), nodes: nodes.Lister()})
}

// notOurs says why there is no plan for a Service that was named.
func notOurs(services corelisters.ServiceLister, key plan.Key, classes ccm.Classes) error {
	svc, err := services.Services(key.Namespace).Get(key.Name)
	if err != nil {
		return noService(key.Namespace, key.Name)
	}
	class := svc.Spec.LoadBalancerClass
	switch {
	case svc.Spec.Type != v1.ServiceTypeLoadBalancer:
		return fmt.Errorf("plan %s: the Service is of type %s, and has no load balancer to plan; give it type LoadBalancer, or name another", key, svc.Spec.Type)
	case unclaimed(svc, classes):
		by := "type"
		if class != nil {
			by = "class"
		}
		return fmt.Errorf("plan %s: the Service asks for the AWS Load Balancer Controller by its %s, and the cloud-config does not claim its Services; set aws.loadBalancerController.claim: true to plan for them", key, by)
	case class == nil:
		return fmt.Errorf("plan %s: the Service has no loadBalancerClass, and --serve-unclassed=false leaves it to others; plan with --serve-unclassed, or name one of class %s", key, classes.Class())
	}
	return fmt.Errorf("plan %s: the Service has loadBalancerClass %q, which is another controller's; ours is %s", key, *class, classes.Class())
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

func printPlans[G fmt.Stringer](out io.Writer, format string, groups []G, none string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(append([]G{}, groups...)) // never null
	case "text":
		for _, g := range groups {
			if _, err := fmt.Fprint(out, g); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		if len(groups) == 0 {
			fmt.Fprintln(out, none)
		}
		return nil
	}
	return fmt.Errorf("--output %q: must be text or json", format)
}

// unclaimed reports whether the Service asks for the AWS Load Balancer Controller,
// whose Services the cloud-config could claim and does not.
func unclaimed(svc *v1.Service, c ccm.Classes) bool {
	if c.Elsewhere == nil || svc.Spec.Type != v1.ServiceTypeLoadBalancer {
		return false
	}
	switch intent.Class(svc) {
	case "":
		return c.Unclassed == ccm.ServeUnclassed && c.Elsewhere(svc)
	case intent.AWSControllerClass:
		return true
	}
	return false
}

// noneText says why --all finds no Service.
func noneText(services corelisters.ServiceLister, c ccm.Classes) (string, error) {
	all, err := services.List(labels.Everything())
	if err != nil {
		return "", fmt.Errorf("list Services: %w", err)
	}
	text := "No Service is ours: none of type LoadBalancer is without a loadBalancerClass or has " + c.Class()
	if c.Unclassed == ccm.IgnoreUnclassed {
		text = "No Service is ours: --serve-unclassed=false leaves out those without a loadBalancerClass, and none of type LoadBalancer has " + c.Class()
	}
	others := slices.DeleteFunc(slices.Clone(all), func(svc *v1.Service) bool { return !unclaimed(svc, c) })
	if n := len(others); n > 0 {
		text += fmt.Sprintf(", but for those that ask for the AWS Load Balancer Controller by type or class, %d in all; set aws.loadBalancerController.claim: true in the cloud-config to plan for them", n)
	}
	return text + ".", nil
}
