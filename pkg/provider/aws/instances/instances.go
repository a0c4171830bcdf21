// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	cloudproviderapi "k8s.io/cloud-provider/api"
)

// grace is how long a new node exists though AWS does not show its instance:
// as long as the peer's tagging controller waits.
const grace = 5 * time.Minute

// Instances answers for nodes. What EC2 does not know, such as hybrid nodes and
// HyperPod's, exists and is as it is.
type Instances struct{ reader *Reader }

var _ cloudprovider.InstancesV2 = Instances{}

// Instances answers for nodes from what the reader reads.
func (r *Reader) Instances() Instances { return Instances{r} }

// InstanceExists is false when the instance is terminated; or when a list that
// is a few seconds old at most does not show it, and it is not there when it is
// asked for by itself. A node in its grace period exists.
func (in Instances) InstanceExists(ctx context.Context, node *v1.Node) (bool, error) {
	r := in.reader
	switch kindOf(node) {
	case elsewhere:
		return true, nil
	case fargate:
		return r.fargateExists(ctx, node)
	case ec2Instance:
	}
	x, err := r.lookUp(ctx, node, hitAge)
	switch {
	case err != nil:
		return false, err
	case x != nil:
		return !ended(x), nil
	case r.isNew(node):
		return true, nil
	}
	return r.there(ctx, node)
}

func (r *Reader) isNew(node *v1.Node) bool {
	return r.clock.Since(node.CreationTimestamp.Time) < grace
}

// fargateExists is false when neither a list nor a second call shows the node's
// interface.
func (r *Reader) fargateExists(ctx context.Context, node *v1.Node) (bool, error) {
	f, err := r.fargate(ctx, node)
	if f != nil || err != nil || r.isNew(node) {
		return err == nil, err
	}
	ip, _ := fargateAddress(node.Spec.ProviderID)
	found, err := r.readFargates(ctx, []string{ip.String()})
	return len(found) > 0, err
}

// InstanceShutdown reports whether the instance is stopped. It is false for one
// that is not there, and for all that is no instance of EC2.
func (in Instances) InstanceShutdown(ctx context.Context, node *v1.Node) (bool, error) {
	if kindOf(node) != ec2Instance {
		return false, nil
	}
	x, err := in.reader.lookUp(ctx, node, hitAge)
	if x == nil || err != nil {
		return false, err
	}
	return x.State == ec2types.InstanceStateNameStopped, nil
}

// InstanceMetadata describes the instance. What EC2 does not know keeps what it
// has.
func (in Instances) InstanceMetadata(ctx context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	r := in.reader
	switch kindOf(node) {
	case elsewhere:
		return &cloudprovider.InstanceMetadata{ProviderID: node.Spec.ProviderID}, nil
	case fargate:
		return r.fargateMetadata(ctx, node)
	case ec2Instance:
	}
	x, err := r.forMetadata(ctx, node)
	if err != nil {
		return nil, err
	}
	addresses := x.addresses(r.options.Families)
	if !hasAddress(addresses) {
		return nil, fmt.Errorf("node %s: instance %s (%s) has no private address of the families in nodeIPFamilies", node.Name, x.ID, x.State)
	}
	labels, err := r.labels(ctx, node, x)
	if err != nil {
		return nil, err
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID: cmp.Or(node.Spec.ProviderID, "aws:///"+x.Zone+"/"+x.ID), InstanceType: x.Type, NodeAddresses: addresses,
		Zone: x.Zone, Region: r.client.Region, AdditionalLabels: labels,
	}, nil
}

// forMetadata finds the node's instance. Of a node that is not initialised the
// newest counts.
func (r *Reader) forMetadata(ctx context.Context, node *v1.Node) (*Instance, error) {
	age := metadataAge
	if slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.Key == cloudproviderapi.TaintExternalCloudProvider }) {
		age = missAge
	}
	x, err := r.lookUp(ctx, node, age)
	if err != nil {
		return nil, err
	}
	if x == nil || ended(x) {
		what := "no instance of the cluster has that private DNS name"
		if id, ok := instanceID(node); ok {
			what = "there is no instance " + id
		}
		return nil, fmt.Errorf("node %s: %s: %w", node.Name, what, cloudprovider.InstanceNotFound)
	}
	return x, nil
}

func (r *Reader) fargateMetadata(ctx context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	f, err := r.fargate(ctx, node)
	if err != nil {
		return nil, err
	}
	if f == nil {
		ip, _ := fargateAddress(node.Spec.ProviderID)
		return nil, fmt.Errorf("node %s: no attached network interface has address %s: %w", node.Name, ip, cloudprovider.InstanceNotFound)
	}
	labels, err := r.zoneLabel(ctx, f.zone)
	if err != nil {
		return nil, err
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID: node.Spec.ProviderID, NodeAddresses: f.addresses(), Zone: f.zone, Region: r.client.Region, AdditionalLabels: labels,
	}, nil
}
