// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/names"
	"k8s.io/cloud-provider/options"
	cliflag "k8s.io/component-base/cli/flag"
)

// Our defaults where upstream's would be the limit. All are flags.
const (
	// defaultQPS and defaultBurst are the requests a second of each client. A
	// node needs 3 writes to be initialised and a Service about 5, so 5,000
	// nodes at upstream's 20 take 12.5 minutes. What protects the API server is
	// its own priority and fairness.
	defaultQPS   = 1000
	defaultBurst = 2000
	// defaultServiceWorkers is so high that workers never limit a batch: one
	// that waits for its pass is a goroutine.
	defaultServiceWorkers = 1000
	// defaultNodeWorkers initialise nodes and update their addresses.
	defaultNodeWorkers = 50
	// defaultLifecycleWorkers ask the cloud about nodes that are not ready.
	defaultLifecycleWorkers = 20
	// defaultRetryPeriod is the time between two attempts on the lease, times
	// 1 to 2.2: a standby leads within 2.2 s of its release.
	defaultRetryPeriod = time.Second
	// defaultMaxMissing is the share of nodes that may vanish at once: less than
	// half of two failure domains.
	defaultMaxMissing = 30
)

// Options are the flags of the command: those of every cloud controller
// manager, and our own.
type Options struct {
	*options.CloudControllerManagerOptions

	// DryRun says that nothing is written, to the cluster or to the cloud.
	DryRun bool
	// ServeUnclassed says that Services without a class are served too.
	ServeUnclassed bool
	// MaxMissingNodesPercent is how many of all nodes the cloud may not know
	// before none is deleted any more.
	MaxMissingNodesPercent int
	// Azure are the flags that are for Azure alone.
	Azure AzureFlags
	// AWS are the flags that are for AWS alone.
	AWS AWSFlags
}

// NewOptions returns the options with our defaults.
func NewOptions() (*Options, error) {
	o, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("make the upstream options: %w", err)
	}
	o.Generic.ClientConnection.QPS = defaultQPS
	o.Generic.ClientConnection.Burst = defaultBurst
	o.Generic.LeaderElection.RetryPeriod.Duration = defaultRetryPeriod
	o.ServiceController.ConcurrentServiceSyncs = defaultServiceWorkers
	o.NodeController.ConcurrentNodeSyncs = defaultNodeWorkers
	o.NodeLifecycleController.ConcurrentNodeLifecycleSyncs = defaultLifecycleWorkers
	return &Options{
		CloudControllerManagerOptions: o,
		ServeUnclassed:                true,
		MaxMissingNodesPercent:        defaultMaxMissing,
	}, nil
}

// controllerNames are the values that --controllers allows.
func controllerNames() []string { return app.ControllerNames(app.DefaultInitFuncConstructors) }

// flags returns all flags, by section.
func (o *Options) flags() cliflag.NamedFlagSets {
	sets := o.Flags(controllerNames(), app.ControllersDisabledByDefault.List(), names.CCMControllerAliases(),
		app.AllWebhooks, app.DisabledByDefaultWebhooks)
	o.Azure.add(sets.FlagSet("azure"))
	o.AWS.add(sets.FlagSet("aws"))
	fs := sets.FlagSet("fairlead")
	fs.BoolVar(&o.DryRun, "dry-run", o.DryRun,
		"Print what would be done for all Services, and again whenever that changes. Writes nothing to the cluster or the cloud and takes no lease.")
	fs.BoolVar(&o.ServeUnclassed, "serve-unclassed", o.ServeUnclassed,
		"Serve Services without a loadBalancerClass too. Set to false where another controller serves them.")
	fs.IntVar(&o.MaxMissingNodesPercent, "max-missing-nodes-percent", o.MaxMissingNodesPercent,
		"Delete no Node while the cloud does not know more than this share of all nodes. 0 deletes none, 100 all.")
	return sets
}

// config validates the options and turns them into what upstream's parts take.
func (o *Options) config() (*config.CompletedConfig, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.dropForeignControllers()
	o.liftServiceSyncs()
	if o.DryRun {
		o.SecureServing.BindPort = 0 // it may run beside the real one
	}
	c, err := o.Config(controllerNames(), app.ControllersDisabledByDefault.List(), names.CCMControllerAliases(),
		app.AllWebhooks, app.DisabledByDefaultWebhooks)
	if err != nil {
		return nil, err
	}
	return c.Complete(), nil
}

func (o *Options) validate() error {
	var errs []error
	if err := o.Azure.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := o.validateAWS(); err != nil {
		errs = append(errs, err)
	}
	if p := o.MaxMissingNodesPercent; p < 0 || p > 100 {
		errs = append(errs, fmt.Errorf("--max-missing-nodes-percent %d: must be 0 to 100", p))
	}
	if n := o.ServiceController.ConcurrentServiceSyncs; n < 1 {
		errs = append(errs, fmt.Errorf("--concurrent-service-syncs %d: must be at least 1", n))
	}
	if o.Generic.LeaderElection.LeaderElect && o.Generic.LeaderMigration.Enabled {
		errs = append(errs, errors.New("--enable-leader-migration true: there is no second lease; leave it out, and move controllers out of kube-controller-manager first"))
	}
	return errors.Join(errs...)
}

// unclassed is the policy that --serve-unclassed stands for.
func (o *Options) unclassed() UnclassedPolicy {
	if o.ServeUnclassed {
		return ServeUnclassed
	}
	return IgnoreUnclassed
}
