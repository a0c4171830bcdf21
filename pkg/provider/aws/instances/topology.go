// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// The labels of a node's place, as the peer has them.
const (
	// LabelZoneID is the id of the availability zone, the same in all accounts.
	LabelZoneID = "topology.k8s.aws/zone-id"
	// LabelNetworkNode begins those of the layers of the network that the
	// instance hangs on, from 1, the farthest.
	LabelNetworkNode = "topology.k8s.aws/network-node-layer-"
)

const (
	topologyAction = "ec2:DescribeInstanceTopology"
	// topologyAge is how long a place in the network is true, and how long it is
	// true that there is none.
	topologyAge = 24 * time.Hour
	// topologyPerCall is how many instances DescribeInstanceTopology takes.
	topologyPerCall = 100
	// youth is how long an instance that has none may still get a place.
	youth = 2 * time.Minute
)

// place is what an instance hangs on, the farthest first.
type place []string

// placeless is the node's instance when its place is not among its labels;
// empty otherwise.
func (r *Reader) placeless(node *v1.Node) string {
	if _, ok := node.Labels[LabelNetworkNode+"1"]; ok {
		return ""
	}
	id, _ := instanceID(node)
	return id
}

// readPlaces reads the places of instances. What EC2 does not know has none.
func (r *Reader) readPlaces(ctx context.Context, ids []string) (map[string]place, error) {
	out := map[string]place{}
	_, _, err := callForKnown(ctx, ids, func(ctx context.Context, part []string) error {
		in := &ec2.DescribeInstanceTopologyInput{InstanceIds: part}
		return api.Pages(ctx, r.client.EC2.DescribeInstanceTopology, in, &in.NextToken, func(page *ec2.DescribeInstanceTopologyOutput) *string {
			for _, x := range page.Instances {
				if x.InstanceId != nil && len(x.NetworkNodes) > 0 {
					out[*x.InstanceId] = x.NetworkNodes
				}
			}
			return page.NextToken
		})
	})
	return out, err
}

// placeOf is where the node's instance hangs in the network; empty when it has
// no place or nobody may know. It fails only for instances whose place must be
// known.
func (r *Reader) placeOf(ctx context.Context, node *v1.Node, x *Instance) (place, error) {
	if _, ok := node.Labels[LabelNetworkNode+"1"]; ok || r.denied.Is(topologyAction) {
		return nil, nil
	}
	must := r.options.TopologyTypes != nil && r.options.TopologyTypes.MatchString(x.Type)
	now := r.clock.Now()
	young := now.Sub(x.Launched) < youth
	p, ok, err := r.places.get(ctx, x.ID, now.Add(-topologyAge))
	if err == nil && !ok && must && young {
		p, ok, err = r.places.get(ctx, x.ID, now.Add(-missAge))
	}
	switch {
	case ok:
		return p, nil
	case err == nil && must && young:
		return nil, fmt.Errorf("node %s: AWS does not know yet where instance %s of type %s is in the network", node.Name, x.ID, x.Type)
	case err == nil:
		return nil, nil
	case plan.KindOf(err) == plan.Denied || api.Code(err) == "UnsupportedOperation":
		r.denied.Note(topologyAction)
		klog.FromContext(ctx).Info("Nodes get no labels of their place in the network", "reason", err.Error())
		return nil, nil
	case must:
		return nil, err
	}
	klog.FromContext(ctx).V(2).Info("The place of a node in the network is not known", "node", node.Name, "reason", err.Error())
	return nil, nil
}

// labels are those of the node's place that it does not have.
func (r *Reader) labels(ctx context.Context, node *v1.Node, x *Instance) (map[string]string, error) {
	out, err := r.zoneLabel(ctx, x.Zone)
	if err != nil {
		return nil, err
	}
	p, err := r.placeOf(ctx, node, x)
	if err != nil {
		return nil, err
	}
	for i, id := range p {
		out[LabelNetworkNode+strconv.Itoa(i+1)] = id
	}
	return out, nil
}

func (r *Reader) zoneLabel(ctx context.Context, zone string) (map[string]string, error) {
	out := map[string]string{}
	all, err := r.zones.with(ctx, zone)
	if id := all[zone].id; id != "" {
		out[LabelZoneID] = id
	}
	return out, err
}
