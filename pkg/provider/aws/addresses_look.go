// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// addressesPerCall is how many addresses a call asks for. EC2 takes 200 values
// of filters.
const addressesPerCall = 100

// compute decides, and looks up the addresses that load balancers would get:
// those are known after the decision alone. What is found may refuse a Service,
// and then another one may get other addresses.
func (p *Provider) compute(ctx context.Context, in Input) (*Result, error) {
	for {
		r := Compute(in)
		list := in.Observed.unknown(r.NewAddresses)
		if len(list) == 0 {
			return r, nil
		}
		found, err := p.lookUp(ctx, in.Settings.VPC, list)
		if err != nil {
			return nil, err
		}
		maps.Copy(found, in.Observed.Addresses)
		in.Observed.Addresses = found
	}
}

// lookUp is what AWS says of elastic IPs and private addresses, all of them.
func (p *Provider) lookUp(ctx context.Context, vpc string, list []string) (map[string]Address, error) {
	out := map[string]Address{}
	var elastic, four, six []string
	for _, address := range list {
		switch ip, err := netip.ParseAddr(address); {
		case err != nil:
			elastic = append(elastic, address)
		case ip.Is4():
			four = append(four, address)
		default:
			six = append(six, address)
		}
	}
	if err := p.lookUpElastic(ctx, elastic, out); err != nil {
		return nil, err
	}
	if err := p.lookUpPrivate(ctx, vpc, "addresses.private-ip-address", four, out); err != nil {
		return nil, err
	}
	return out, p.lookUpPrivate(ctx, vpc, "ipv6-addresses.ipv6-address", six, out)
}

// lookUpPrivate looks up addresses of the VPC by EC2's filter for them.
func (p *Provider) lookUpPrivate(ctx context.Context, vpc, filter string, list []string, out map[string]Address) error {
	for chunk := range slices.Chunk(list, addressesPerCall) {
		unless := Address{State: AddressFree}
		found, err := p.interfaces(ctx, append(inVPC(vpc), ec2types.Filter{Name: awssdk.String(filter), Values: chunk}))
		if err != nil {
			if unless, err = p.unlookedAt(ctx, "ec2:DescribeNetworkInterfaces", err); err != nil {
				return err
			}
		}
		for _, address := range chunk {
			out[address] = unless
		}
		for i := range found {
			for _, address := range addressesAt(&found[i]) {
				if _, asked := out[address]; asked {
					out[address] = heldBy(&found[i])
				}
			}
		}
	}
	return nil
}

// lookUpElastic looks up elastic IPs, and who has those that are in use. A
// filter passes over ids that are not there, where a list of ids would make AWS
// answer for none.
func (p *Provider) lookUpElastic(ctx context.Context, ids []string, out map[string]Address) error {
	for chunk := range slices.Chunk(ids, addressesPerCall) {
		page, err := api.Call(ctx, p.client.EC2.DescribeAddresses, &ec2.DescribeAddressesInput{
			Filters: []ec2types.Filter{{Name: awssdk.String("allocation-id"), Values: chunk}},
		})
		unless := Address{State: AddressAbsent}
		if err != nil {
			if unless, err = p.unlookedAt(ctx, "ec2:DescribeAddresses", err); err != nil {
				return err
			}
			page = &ec2.DescribeAddressesOutput{}
		}
		for _, id := range chunk {
			out[id] = unless
		}
		if err := p.holders(ctx, page.Addresses, out); err != nil {
			return err
		}
	}
	return nil
}

// holders notes elastic IPs, with who has them.
func (p *Provider) holders(ctx context.Context, list []ec2types.Address, out map[string]Address) error {
	held := map[string]Address{}
	for i := range list {
		if id := awssdk.ToString(list[i].NetworkInterfaceId); id != "" {
			held[id] = Address{State: AddressTaken, Holder: "network interface " + id}
		}
	}
	if len(held) > 0 {
		found, err := p.interfaces(ctx, []ec2types.Filter{{Name: awssdk.String("network-interface-id"), Values: slices.Sorted(maps.Keys(held))}})
		if err != nil {
			unless, err := p.unlookedAt(ctx, "ec2:DescribeNetworkInterfaces", err)
			if err != nil {
				return err
			}
			for id := range held {
				held[id] = unless
			}
		}
		for i := range found {
			held[awssdk.ToString(found[i].NetworkInterfaceId)] = heldBy(&found[i])
		}
	}
	for i := range list {
		a := &list[i]
		x := Address{State: AddressFree}
		switch id := awssdk.ToString(a.NetworkInterfaceId); {
		case id != "":
			x = held[id]
		case a.AssociationId != nil:
			x = Address{State: AddressTaken, Holder: "something else"}
		}
		x.BorderGroup = awssdk.ToString(a.NetworkBorderGroup)
		out[awssdk.ToString(a.AllocationId)] = x
	}
	return nil
}

// interfaces are the network interfaces that fit, all pages.
func (p *Provider) interfaces(ctx context.Context, filters []ec2types.Filter) ([]ec2types.NetworkInterface, error) {
	var out []ec2types.NetworkInterface
	in := &ec2.DescribeNetworkInterfacesInput{Filters: filters, MaxResults: awssdk.Int32(pageSizeEC2)}
	err := api.Pages(ctx, p.client.EC2.DescribeNetworkInterfaces, in, &in.NextToken, func(page *ec2.DescribeNetworkInterfacesOutput) *string {
		out = append(out, page.NetworkInterfaces...)
		return page.NextToken
	})
	return out, err
}

func addressesAt(n *ec2types.NetworkInterface) []string {
	var out []string
	for _, x := range n.PrivateIpAddresses {
		out = append(out, awssdk.ToString(x.PrivateIpAddress))
	}
	for _, x := range n.Ipv6Addresses {
		out = append(out, awssdk.ToString(x.Ipv6Address))
	}
	return out
}

// heldBy is an address that the interface has. That of a network load balancer
// is told by the description that AWS gives it, "ELB net/NAME/ID".
func heldBy(n *ec2types.NetworkInterface) Address {
	x := Address{State: AddressTaken, Holder: "network interface " + awssdk.ToString(n.NetworkInterfaceId)}
	if n.Attachment != nil && awssdk.ToString(n.Attachment.InstanceId) != "" {
		x.Holder += " of instance " + *n.Attachment.InstanceId
	} else if n.Description != nil && *n.Description != "" {
		x.Holder += fmt.Sprintf(" (%s)", *n.Description)
	}
	if rest, network := strings.CutPrefix(awssdk.ToString(n.Description), "ELB net/"); network {
		x.Balancer, _, _ = strings.Cut(rest, "/")
	}
	return x
}

// unlookedAt is what counts for addresses at which AWS does not let us look: it
// judges them itself then, when they are joined. Where the action is denied, that
// is told once. Other answers are the matter of the Services that want them; it
// fails where AWS takes no more calls, or did not answer.
func (p *Provider) unlookedAt(ctx context.Context, action string, err error) (Address, error) {
	switch {
	case plan.KindOf(err) == plan.Denied:
		p.tellUnlooked(ctx, action, err)
		return Address{State: AddressUnseen}, nil
	case isOfObject(err):
		return Address{State: AddressUnseen, Err: err}, nil
	}
	return Address{}, err
}

func (p *Provider) tellUnlooked(ctx context.Context, action string, err error) {
	p.mu.Lock()
	told := p.unlooked[action]
	p.unlooked[action] = true
	p.mu.Unlock()
	if !told {
		klog.FromContext(ctx).Info("Addresses of load balancers are not looked at before they are joined: grant "+action, "reason", err.Error())
	}
}
