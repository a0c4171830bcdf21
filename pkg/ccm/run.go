// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/component-base/configz"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// serviceResync is how often the upstream service controller looks at its cache
// again, by which failing deletions are tried again. It must be known when the
// informer starts, which is before that controller does.
const serviceResync = 30 * time.Second

// lastWordsTime bounds how long the process stays for its last events.
const lastWordsTime = 300 * time.Millisecond

// manager is one run of the command.
type manager struct {
	*config.CompletedConfig
	opts     *Options
	cloud    Cloud
	source   source
	conf     *cloudconfig.Config
	clock    clock.WithTicker
	writes   *writes
	recorder record.EventRecorder
	health   *health
}

// Run runs the controller manager until ctx ends, and then hands over: no new
// work is begun, what is in flight is finished, the lease is released. It
// returns an error, at once, when the lease is lost.
func Run(ctx context.Context, opts *Options, clouds []Cloud, out io.Writer) error {
	m, err := newManager(ctx, opts, clouds)
	if err != nil {
		return err
	}
	if opts.DryRun {
		return m.dryRun(ctx, out)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	m.EventBroadcaster.StartStructuredLogging(0)
	m.EventBroadcaster.StartRecordingToSink(&corev1.EventSinkImpl{Interface: m.Client.CoreV1().Events("")})
	defer m.EventBroadcaster.Shutdown()
	if err := m.serve(life); err != nil {
		return err
	}
	defer configz.Delete(app.ConfigzName)
	// A standby's caches are filled, so that it goes on at once when it leads.
	m.startInformers(life)
	if !m.ComponentConfig.Generic.LeaderElection.LeaderElect {
		return m.lead(ctx)
	}
	err = m.elect(ctx)
	m.lastWords(life)
	return err
}

// lastWords lets events be written that are on their way.
func (m *manager) lastWords(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWordsTime)
	defer cancel()
	if err := m.writes.events.quiet(ctx, lastWordsTime/10); err != nil {
		klog.FromContext(ctx).V(2).Info("Events are lost", "reason", err)
	}
}

func newManager(ctx context.Context, opts *Options, clouds []Cloud) (*manager, error) {
	chosen, err := choose(clouds, opts.KubeCloudShared.CloudProvider.Name)
	if err != nil {
		return nil, err
	}
	from, err := opts.source()
	if err != nil {
		return nil, err
	}
	conf, err := from.load(ctx)
	if err != nil {
		return nil, err
	}
	warnings := append(opts.azureWarnings(), opts.awsWarnings()...)
	c, err := opts.config()
	if err != nil {
		return nil, err
	}
	wall := clock.RealClock{}
	m := &manager{
		CompletedConfig: c, opts: opts, cloud: chosen, source: from, conf: conf, clock: wall,
		writes: newWrites(wall),
	}
	log := klog.FromContext(ctx)
	log.Info("Starting", "version", version.Get().GitVersion, "provider", chosen.Name)
	for _, warning := range warnings {
		log.Info("Doubtful in the flags", "warning", warning)
	}
	logFaults(log, conf)
	return m, m.connect()
}

// connect makes all clients anew with our transport around upstream's.
func (m *manager) connect() error {
	m.Kubeconfig = rest.CopyConfig(m.Kubeconfig)
	controllers, process := m.writes.fence, m.writes.count
	if m.opts.DryRun {
		controllers, process = readOnly, readOnly
	}
	m.ClientBuilder = shownClients{ControllerClientBuilder: m.ClientBuilder, transport: controllers}
	shared := rest.AddUserAgent(rest.CopyConfig(m.Kubeconfig), Name)
	shared.Wrap(process)
	client, err := kubernetes.NewForConfig(shared)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	m.Client, m.VersionedClient = client, client
	resync := m.ComponentConfig.Generic.MinResyncPeriod.Duration
	resync += time.Duration(rand.Int64N(int64(resync) + 1)) //nolint:gosec // spreads load, guards nothing
	m.SharedInformers = informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithTransform(slim),
		informers.WithCustomResyncConfig(map[metav1.Object]time.Duration{&v1.Service{}: serviceResync}))
	m.recorder = m.EventBroadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: Name})
	m.health = newHealth(m)
	return nil
}

// slim drops from cached objects what nobody here reads. An update without
// managed fields leaves those of the server as they are.
func slim(obj any) (any, error) {
	if o, err := meta.Accessor(obj); err == nil {
		o.SetManagedFields(nil)
	}
	if node, ok := obj.(*v1.Node); ok {
		node.Status.Images = nil
	}
	return obj, nil
}

// startInformers starts the informers that are always needed. Others start
// when the provider has asked for them.
func (m *manager) startInformers(ctx context.Context) {
	core := m.SharedInformers.Core().V1()
	core.Services().Informer()
	core.Nodes().Informer()
	m.SharedInformers.Start(ctx.Done())
}

// waitForCaches waits until all informers that were started have synced.
func (m *manager) waitForCaches(ctx context.Context) error {
	for kind, synced := range m.SharedInformers.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("read all %s: %w", kind, ctx.Err())
		}
	}
	return nil
}
