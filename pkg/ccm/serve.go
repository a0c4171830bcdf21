// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/config/v1alpha1"
	"k8s.io/component-base/configz"
	"k8s.io/component-base/metrics/prometheus/slis"
	genericapp "k8s.io/controller-manager/app"
	controllerhealthz "k8s.io/controller-manager/pkg/healthz"
)

// electionGrace is how long past its end a lease may still be held before the
// process counts as hung. Upstream's value.
const electionGrace = 20 * time.Second

// health answers whether the process is well.
type health struct {
	election *leaderelection.HealthzAdaptor
	// healthz grows by a check for each controller that is started.
	healthz *controllerhealthz.MutableHealthzHandler
	caches  healthz.HealthChecker
}

func newHealth(m *manager) *health {
	h := &health{election: leaderelection.NewLeaderHealthzAdaptor(electionGrace)}
	var checks []healthz.HealthChecker
	if m.ComponentConfig.Generic.LeaderElection.LeaderElect {
		checks = append(checks, h.election)
	}
	h.healthz = controllerhealthz.NewMutableHealthzHandler(checks...)
	h.caches = healthz.NamedCheck("caches", func(*http.Request) error {
		core := m.SharedInformers.Core().V1()
		if core.Services().Informer().HasSynced() && core.Nodes().Informer().HasSynced() {
			return nil
		}
		return errors.New("Services and Nodes are not read yet")
	})
	return h
}

// serve answers health checks, metrics and configz from now on, also while
// another leads, until ctx ends.
func (m *manager) serve(ctx context.Context) error {
	if err := m.publishConfig(); err != nil {
		return err
	}
	if m.SecureServing == nil {
		return nil
	}
	mux := genericapp.NewBaseHandler(&m.ComponentConfig.Generic.Debugging, m.health.healthz)
	healthz.InstallLivezHandler(mux, m.health.election)
	healthz.InstallReadyzHandler(mux, m.health.caches)
	slis.SLIMetricsWithReset{}.Install(mux)
	handler := genericapp.BuildHandlerChain(mux, &m.Authorization, &m.Authentication)
	if _, _, err := m.SecureServing.Serve(handler, 0, ctx.Done()); err != nil {
		return fmt.Errorf("serve health and metrics on --secure-port: %w", err)
	}
	return nil
}

// publishConfig puts the configuration under /configz.
func (m *manager) publishConfig() error {
	shown := &v1alpha1.CloudControllerManagerConfiguration{}
	if err := v1alpha1.Convert_config_CloudControllerManagerConfiguration_To_v1alpha1_CloudControllerManagerConfiguration(
		&m.ComponentConfig, shown, nil); err != nil {
		return fmt.Errorf("convert the configuration for /configz: %w", err)
	}
	shown.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("CloudControllerManagerConfiguration"))
	z, err := configz.New(app.ConfigzName)
	if err != nil {
		return fmt.Errorf("register /configz: %w", err)
	}
	if err := z.Set(shown); err != nil {
		return fmt.Errorf("fill /configz: %w", err)
	}
	return nil
}
