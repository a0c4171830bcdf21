// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/netip"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/manifests"
)

// serviceRanges hold the cluster IP that mysql asks for.
func serviceRanges() []netip.Prefix { return []netip.Prefix{votefront.ServiceRange()} }

func (d *azure) writeConfig() error {
	text, err := votefront.CloudConfig(d.sim.url, map[string]any{"loadBalancerBackendPoolConfigurationType": "nodeIP"})
	if err != nil {
		return err
	}
	d.environment = votefront.Environment(d.sim.url)
	return d.configure("azure.json", text)
}

// startController starts the controller manager, which keeps the routes too.
func (d *azure) startController(ctx context.Context) error {
	return d.manage(ctx, "--cloud-provider=azure", "--cluster-name="+votefront.ClusterName,
		"--allocate-node-cidrs", "--configure-cloud-routes", "--cluster-cidr="+votefront.PodRange().String(),
		"--route-reconciliation-period=1s") // 10 s by default
}

// applyWrongAddress applies mysql with an address that no public IP has.
func (d *azure) applyWrongAddress(ctx context.Context) error {
	data, err := votefront.Objects.Open("objects/azure-mysql-static-ip.yaml")
	if err != nil {
		return err
	}
	objs, err := manifests.Decode(data)
	if err != nil {
		return err
	}
	wrong := votefront.StaticAddress().Next().String()
	for _, o := range objs {
		if err := unstructured.SetNestedField(o.Object, wrong, "spec", "loadBalancerIP"); err != nil {
			return err
		}
	}
	return d.apply.Apply(ctx, objs...)
}
