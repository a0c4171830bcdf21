// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// fargateNode is the network interface of a node that Fargate runs: all that
// EC2 knows of it.
type fargateNode struct {
	address, dns, zone string
}

// readFargates reads interfaces by their addresses.
func (r *Reader) readFargates(ctx context.Context, addresses []string) (map[string]*fargateNode, error) {
	cluster, err := r.options.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	in := &ec2.DescribeNetworkInterfacesInput{MaxResults: awssdk.Int32(pageSize)}
	in.Filters = append(in.Filters, filter("attachment.status", "attached"), filter("vpc-id", cluster.VPC), filter("private-ip-address", addresses...))
	out := map[string]*fargateNode{}
	err = api.Pages(ctx, r.client.EC2.DescribeNetworkInterfaces, in, &in.NextToken, func(page *ec2.DescribeNetworkInterfacesOutput) *string {
		for i := range page.NetworkInterfaces {
			n := &page.NetworkInterfaces[i]
			f := &fargateNode{address: awssdk.ToString(n.PrivateIpAddress), dns: awssdk.ToString(n.PrivateDnsName), zone: awssdk.ToString(n.AvailabilityZone)}
			out[f.address] = f
		}
		return page.NextToken
	})
	return out, err
}

// fargate finds the node that Fargate runs; nil when there is none.
func (r *Reader) fargate(ctx context.Context, node *v1.Node) (*fargateNode, error) {
	ip, _ := fargateAddress(node.Spec.ProviderID)
	now := r.clock.Now()
	f, _, err := r.fargates.get(ctx, ip.String(), now.Add(-metadataAge))
	if f != nil || err != nil {
		return f, err
	}
	f, _, err = r.fargates.get(ctx, ip.String(), now.Add(-missAge))
	return f, err
}

// addresses are those of a node that Fargate runs.
func (f *fargateNode) addresses() []v1.NodeAddress {
	out := []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: f.address}}
	if f.dns != "" {
		out = append(out, v1.NodeAddress{Type: v1.NodeInternalDNS, Address: f.dns}, v1.NodeAddress{Type: v1.NodeHostName, Address: f.dns})
	}
	return out
}
