// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awsapi "github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	"github.com/fairlead/fairlead/pkg/provider/azure"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/metal"
)

// Cloud is one value of --cloud-provider.
type Cloud struct {
	Name string
	// Scheme begins the provider ids of the cloud's nodes, before "://".
	Scheme string
	// New makes the provider, which lives until ctx ends.
	New func(ctx context.Context, d Deps) (provider.Provider, error)
}

// Deps are what a provider may be made of.
type Deps struct {
	// Config is the cloud-config now, Cluster the cluster's name.
	Config  *cloudconfig.Config
	Cluster string
	// Auth says where credentials come from; zero is the cloud-config.
	Auth arm.Auth
	// WithoutCredentials is what to do where AWS gives none, as a sentence ends;
	// empty: what helps a controller.
	WithoutCredentials string
	// Watch calls apply with the cloud-config at once, and again whenever the
	// file changes, until the provider's context ends. It returns at once.
	Watch func(apply func(*cloudconfig.Config))
	// Go runs work of the provider beside it. It must return soon after the
	// provider's context has ended, and is waited for.
	Go func(work func())
	// Write is Go for work that writes outside of passes. It drops the work where
	// nothing may be written.
	Write func(work func())
	// Metrics registers metrics of the provider's own.
	Metrics func(metrics.StableCollector) error
	// Informers are running, and those that New asks for are started and synced
	// before the first pass.
	Informers informers.SharedInformerFactory
	Client    kubernetes.Interface
}

// Clouds are all providers. A new one is one more line.
func Clouds() []Cloud {
	return []Cloud{
		{Name: intent.AWS, Scheme: "aws", New: newAWS},
		{Name: intent.Azure, Scheme: "azure", New: newAzure},
		{Name: intent.Metal, Scheme: "metal", New: newMetal},
	}
}

func newMetal(_ context.Context, d Deps) (provider.Provider, error) {
	if d.Config.Metal == nil {
		return nil, noSection(d.Config, intent.Metal)
	}
	core := d.Informers.Core().V1()
	p := metal.New(metal.Options{
		Services:   core.Services().Lister(),
		Namespaces: core.Namespaces().Lister(),
		Config:     d.Config,
	})
	if err := d.Metrics(p.Collector()); err != nil {
		return nil, fmt.Errorf("register the metrics of pools: %w", err)
	}
	if _, err := core.Namespaces().Informer().AddEventHandler(p.NamespaceHandler()); err != nil {
		return nil, fmt.Errorf("watch namespaces: %w", err)
	}
	d.Watch(p.Update)
	return p, nil
}

func newAWS(ctx context.Context, d Deps) (provider.Provider, error) {
	if d.Config.AWS == nil {
		return nil, noSection(d.Config, intent.AWS)
	}
	client, err := awsapi.New(ctx, d.Config.AWS, awsapi.Setup{WithoutCredentials: d.WithoutCredentials})
	if err != nil {
		return nil, err
	}
	core, conf := d.Informers.Core().V1(), d.Config.AWS
	o := aws.Options{Client: client, Config: conf, Cluster: d.Cluster, Services: core.Services().Lister(), Nodes: core.Nodes().Lister()}
	endpoints := d.Informers.Discovery().V1().EndpointSlices()
	if conf.Controller.Claim {
		o.Slices = endpoints.Lister()
	}
	p := aws.New(o)
	if conf.Controller.Claim {
		if _, err := endpoints.Informer().AddEventHandler(p.EndpointHandler()); err != nil {
			return nil, fmt.Errorf("watch endpoints: %w", err)
		}
	}
	if len(conf.NodeTags) > 0 {
		tagger := instances.NewTagger(p.Machines(), d.Client, clock.RealClock{}, conf.NodeTags)
		if _, err := core.Nodes().Informer().AddEventHandler(tagger.Handler()); err != nil {
			return nil, fmt.Errorf("watch nodes: %w", err)
		}
		d.Write(func() { tagger.Run(ctx) })
	}
	d.Go(func() { p.Run(ctx) })
	d.Watch(func(c *cloudconfig.Config) { p.Update(ctx, c) })
	return p, nil
}

func newAzure(ctx context.Context, d Deps) (provider.Provider, error) {
	if d.Config.Azure == nil {
		return nil, noSection(d.Config, intent.Azure)
	}
	if err := d.Config.Azure.CheckCluster(d.Cluster); err != nil {
		return nil, err
	}
	client, err := arm.FromConfig(ctx, d.Config.Azure, arm.Setup{Auth: d.Auth})
	if err != nil {
		return nil, err
	}
	core := d.Informers.Core().V1()
	o := azure.Options{
		Client: client, Config: d.Config.Azure, Cluster: d.Cluster,
		Services: core.Services().Lister(), Nodes: core.Nodes().Lister(),
	}
	if len(d.Config.Azure.LoadBalancers) == 0 {
		return startAzure(ctx, d, azure.New(o)), nil
	}
	endpoints := d.Informers.Discovery().V1().EndpointSlices()
	o.Spread = azure.Spread{Namespaces: core.Namespaces().Lister(), Endpoints: endpoints.Lister()}
	p := azure.New(o)
	if _, err := endpoints.Informer().AddEventHandler(p.EndpointHandler()); err != nil {
		return nil, fmt.Errorf("watch endpoints: %w", err)
	}
	return startAzure(ctx, d, p), nil
}

// startAzure lets the provider run and follow the cloud-config.
func startAzure(ctx context.Context, d Deps, p *azure.Provider) provider.Provider {
	d.Go(func() { p.Run(ctx) })
	d.Watch(func(c *cloudconfig.Config) { p.Update(ctx, c) })
	return p
}

// noSection says that the cloud-config is for another cloud.
func noSection(conf *cloudconfig.Config, name string) error {
	const text = "the cloud-config has no section %s: name a file in --cloud-config that has one"
	if other := conf.Provider(); other != "" {
		return fmt.Errorf(text+", or set --cloud-provider=%s, which it is for", name, other)
	}
	return fmt.Errorf(text, name)
}

// choose returns the cloud of that name.
func choose(clouds []Cloud, name string) (Cloud, error) {
	known := make([]string, 0, len(clouds))
	for _, c := range clouds {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	slices.Sort(known)
	return Cloud{}, fmt.Errorf("--cloud-provider %q: must be one of %s", name, strings.Join(known, ", "))
}

// makeProvider makes the provider of the newest cloud-config and waits until
// what it reads has been read. It lives until life ends, and its work is added to
// work; ctx bounds the wait.
func (m *manager) makeProvider(ctx, life context.Context, work *sync.WaitGroup) (provider.Provider, *cloudconfig.Config, error) {
	conf, err := m.source.load(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Using the cloud-config as it was at the start")
		conf = m.conf
	}
	client, err := m.ClientBuilder.Client("service-controller")
	if err != nil {
		return nil, nil, fmt.Errorf("make a client: %w", err)
	}
	prov, err := m.cloud.New(life, Deps{
		Config:    conf,
		Cluster:   m.opts.KubeCloudShared.ClusterName,
		Watch:     func(apply func(*cloudconfig.Config)) { work.Go(func() { m.watchConfig(life, apply) }) },
		Go:        work.Go,
		Write:     m.mayWrite(work.Go),
		Metrics:   legacyregistry.CustomRegister,
		Informers: m.SharedInformers,
		Client:    client,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("start provider %s: %w", m.cloud.Name, err)
	}
	m.SharedInformers.Start(life.Done())
	return prov, conf, m.waitForCaches(ctx)
}

// mayWrite is run, or nothing in a dry run.
func (m *manager) mayWrite(run func(work func())) func(work func()) {
	if m.opts.DryRun {
		return func(func()) {}
	}
	return run
}

// watchConfig applies the cloud-config whenever it changes. A file that cannot
// be used at all changes nothing.
func (m *manager) watchConfig(ctx context.Context, apply func(*cloudconfig.Config)) {
	log := klog.FromContext(ctx).WithValues("source", m.source.where())
	m.source.watch(ctx, func(conf *cloudconfig.Config, err error) {
		if err != nil {
			log.Error(err, "The cloud-config cannot be used; the last good one goes on")
			return
		}
		logFaults(log, conf)
		apply(conf)
	})
}

// watchDrift lets the engine follow the cloud-config. What is wrong with the
// file is logged by watchConfig.
func (l *leadership) watchDrift(ctx context.Context) {
	l.source.watch(ctx, func(conf *cloudconfig.Config, err error) {
		if err == nil {
			l.engine.SetDrift(conf.Drift)
		}
	})
}

func logFaults(log klog.Logger, conf *cloudconfig.Config) {
	for _, f := range conf.Faults {
		if f.Warning {
			log.Info("Doubtful in the cloud-config", "warning", f.Error())
			continue
		}
		log.Error(f, "Left out of the cloud-config")
	}
}
