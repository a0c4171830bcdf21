// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	cloudproviderapi "k8s.io/cloud-provider/api"
	"k8s.io/utils/clock"
)

// initGrace is how long a node may take to be initialised before its absence
// in the cloud counts. A node registers before every list of the cloud has it.
const initGrace = 5 * time.Minute

// guardedInstances stands between a provider and the upstream node
// controllers. Those end the process when metadata is nil, take sentinel
// errors for failures of the call, and delete a node at once when they are
// told that it does not exist.
type guardedInstances struct {
	inner  cloudprovider.InstancesV2
	scheme string // of the provider's provider ids, such as metal
	brake  *brake
	clock  clock.PassiveClock
}

var _ cloudprovider.InstancesV2 = (*guardedInstances)(nil)

// InstanceExists says false, which deletes the node, only when the provider
// does, the node is one of the provider's, and the brake lets it pass.
func (g *guardedInstances) InstanceExists(ctx context.Context, node *v1.Node) (bool, error) {
	if g.foreign(node) {
		return true, nil
	}
	exists, err := g.inner.InstanceExists(ctx, node)
	switch {
	case errors.Is(err, cloudprovider.NotImplemented):
		return true, nil
	case errors.Is(err, cloudprovider.InstanceNotFound):
		exists = false
	case err != nil:
		return false, err
	}
	if exists {
		g.brake.present(node.Name)
		return true, nil
	}
	if age := g.clock.Since(node.CreationTimestamp.Time); uninitialised(node) && age < initGrace {
		return false, fmt.Errorf("node %s is not found in the cloud, and is not initialised yet: waiting for %s more before it may be deleted",
			node.Name, (initGrace - age).Round(time.Second))
	}
	return false, g.brake.missing(node.Name)
}

// InstanceShutdown is false where the provider cannot tell.
func (g *guardedInstances) InstanceShutdown(ctx context.Context, node *v1.Node) (bool, error) {
	if g.foreign(node) {
		return false, nil
	}
	down, err := g.inner.InstanceShutdown(ctx, node)
	if errors.Is(err, cloudprovider.NotImplemented) || errors.Is(err, cloudprovider.InstanceNotFound) {
		return false, nil
	}
	return down, err
}

// InstanceMetadata is never nil without an error. A node of another cloud is
// left to its own controller until it is initialised, and unchanged after.
func (g *guardedInstances) InstanceMetadata(ctx context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	if g.foreign(node) {
		if uninitialised(node) {
			return nil, fmt.Errorf("node %s has providerID %q, which is not of %s://: its own cloud's controller must initialise it",
				node.Name, node.Spec.ProviderID, g.scheme)
		}
		return &cloudprovider.InstanceMetadata{ProviderID: node.Spec.ProviderID}, nil
	}
	meta, err := g.inner.InstanceMetadata(ctx, node)
	if err == nil && meta == nil {
		return nil, fmt.Errorf("the provider %s has no metadata for node %s and does not say why", g.scheme, node.Name)
	}
	return meta, err
}

// foreign reports whether the node has a provider id of another cloud. One that
// names no cloud, such as an instance's bare id, is the provider's to judge.
func (g *guardedInstances) foreign(node *v1.Node) bool {
	scheme, _, has := strings.Cut(node.Spec.ProviderID, "://")
	return has && scheme != g.scheme
}

func uninitialised(node *v1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool {
		return t.Key == cloudproviderapi.TaintExternalCloudProvider
	})
}
