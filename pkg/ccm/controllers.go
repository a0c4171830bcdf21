// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apiserver/pkg/server/healthz"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/controllers/service"
	"k8s.io/cloud-provider/names"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	genericapp "k8s.io/controller-manager/app"
	"k8s.io/controller-manager/controller"
	controllerhealthz "k8s.io/controller-manager/pkg/healthz"
	"k8s.io/klog/v2"
)

// metricsName is the manager label of upstream's metrics, which dashboards
// know.
const metricsName = "cloud-controller-manager"

// startControllers starts the upstream controllers that --controllers asks for:
// the service controller until services ends, the others until nodes ends.
func (l *leadership) startControllers(services, nodes context.Context) error {
	initializers := app.ConstructControllerInitializers(l.constructors(), l.CompletedConfig, l.cloud)
	generic := genericapp.ControllerContext{
		InformerFactory:          l.SharedInformers,
		Stop:                     services.Done(),
		ControllerManagerMetrics: controllersmetrics.NewControllerManagerMetrics(metricsName),
	}
	controllersmetrics.Register()
	log := klog.FromContext(services)
	var checks []healthz.HealthChecker
	for _, name := range slices.Sorted(maps.Keys(initializers)) {
		log := log.WithValues("controller", name)
		if !genericapp.IsControllerEnabled(name, app.ControllersDisabledByDefault, l.ComponentConfig.Generic.Controllers) {
			log.Info("Controller is disabled by --controllers")
			continue
		}
		ctx := nodes
		if name == names.ServiceLBController {
			ctx = services // it writes what the passes answer
		}
		_, started, err := initializers[name](ctx, generic)
		if err != nil {
			return fmt.Errorf("start controller %s: %w", name, err)
		}
		if started {
			log.Info("Controller started")
			checks = append(checks, controllerhealthz.NamedPingChecker(name))
		}
	}
	l.health.healthz.AddHealthChecker(checks...)
	return nil
}

// constructors are upstream's, with the views around the service controller.
func (l *leadership) constructors() map[string]app.ControllerInitFuncConstructor {
	all := maps.Clone(app.DefaultInitFuncConstructors)
	lb := all[names.ServiceLBController]
	lb.Constructor = l.serviceController
	all[names.ServiceLBController] = lb
	route := all[names.NodeRouteController]
	route.Constructor = routeController
	all[names.NodeRouteController] = route
	return all
}

func (l *leadership) serviceController(ic app.ControllerInitContext, cc *config.CompletedConfig, c cloudprovider.Interface) app.InitFunc {
	return func(ctx context.Context, generic genericapp.ControllerContext) (controller.Interface, bool, error) {
		sc, err := service.New(c, cc.ClientBuilder.ClientOrDie(ic.ClientName),
			l.view, NodeView{cc.SharedInformers.Core().V1().Nodes()},
			cc.ComponentConfig.KubeCloudShared.ClusterName, utilfeature.DefaultFeatureGate)
		if err != nil {
			return nil, false, err
		}
		workers := int(cc.ComponentConfig.ServiceController.ConcurrentServiceSyncs)
		l.work.Go(func() { sc.Run(ctx, workers, generic.ControllerManagerMetrics) })
		return nil, true, nil
	}
}

// routeController is upstream's, except that a cluster CIDR that is not given
// leaves it out instead of ending the process: --configure-cloud-routes is true
// by default.
func routeController(ic app.ControllerInitContext, cc *config.CompletedConfig, c cloudprovider.Interface) app.InitFunc {
	start := app.StartRouteControllerWrapper(ic, cc, c)
	return func(ctx context.Context, generic genericapp.ControllerContext) (controller.Interface, bool, error) {
		if _, has := c.Routes(); !has {
			return nil, false, nil
		}
		if shared := cc.ComponentConfig.KubeCloudShared; shared.ConfigureCloudRoutes && shared.ClusterCIDR == "" {
			klog.FromContext(ctx).Info("Routes of nodes are not configured: --cluster-cidr is empty")
			return nil, false, nil
		}
		return start(ctx, generic)
	}
}
