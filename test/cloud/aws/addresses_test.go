// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// allocated is a new elastic IP, of a network border group if that is named.
func (r *rig) allocated(t *testing.T, group string) string {
	t.Helper()
	in := &ec2.AllocateAddressInput{}
	if group != "" {
		in.NetworkBorderGroup = &group
	}
	return *must(r.ec2.AllocateAddress(t.Context(), in))(t).AllocationId
}

func TestElasticIPsAreListedByIDsOrByAFilter(t *testing.T) {
	r := newRig(t, awssim.Options{PageSize: 1}, awssim.SiteOptions{})
	a, b := r.allocated(t, ""), r.allocated(t, "")
	ids := []string{a, "eipalloc-0123", b}
	_, err := r.ec2.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: ids})
	refused(t, err, "InvalidAllocationID.NotFound")
	found := must(r.ec2.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{Filters: filters("allocation-id", ids...)}))(t)
	if len(found.Addresses) != 2 {
		t.Errorf("there are no pages, and unknown ids are passed over: %+v", found.Addresses)
	}
	for name, values := range map[string][]string{"allocation": {a}, "allocation-id": nil} {
		_, err = r.ec2.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{Filters: filters(name, values...)})
		refused(t, err, "InvalidParameterValue")
	}
	_, err = r.ec2.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{Filters: filters("allocation-id", make([]string, 201)...)})
	refused(t, err, "FilterLimitExceeded")
}

func TestElasticIPsKnowWhoHasThem(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	node := r.site.Launch(1)[0]
	id := r.allocated(t, "")
	holder := func() (description string, free bool) {
		a := must(r.ec2.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{id}}))(t).Addresses[0]
		if a.AssociationId == nil {
			return "", a.NetworkInterfaceId == nil && a.InstanceId == nil && a.PrivateIpAddress == nil
		}
		nics := must(r.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: filters("association.allocation-id", id)}))(t).NetworkInterfaces
		if len(nics) != 1 || *nics[0].NetworkInterfaceId != *a.NetworkInterfaceId || *nics[0].Association.AssociationId != *a.AssociationId {
			t.Fatalf("address %+v, interfaces %+v", a, nics)
		}
		return *nics[0].Description, false
	}
	made := must(r.ec2.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{AllocationId: &id, InstanceId: &node}))(t)
	if got, _ := holder(); got != "Primary network interface" {
		t.Errorf("%q has it", got)
	}
	balancer := func(in *elb.CreateLoadBalancerInput) {
		in.Subnets, in.SubnetMappings = nil, []types.SubnetMapping{{SubnetId: &r.site.Public[0], AllocationId: &id}}
	}
	_, err := r.create("web", balancer)
	refused(t, err, "ResourceInUse")
	_, err = r.ec2.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{AllocationId: &id, InstanceId: &node})
	refused(t, err, "Resource.AlreadyAssociated")
	must(r.ec2.DisassociateAddress(t.Context(), &ec2.DisassociateAddressInput{AssociationId: made.AssociationId}))(t)
	if _, free := holder(); !free {
		t.Error("it is not free")
	}
	lb := must(r.create("web", balancer))(t)
	if got, _ := holder(); got != "ELB "+(*lb.LoadBalancerArn)[len(*lb.LoadBalancerArn)-len("net/web/0123456789abcdef"):] {
		t.Errorf("%q has it", got)
	}
	must(r.elbv2.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))(t)
	must(r.ec2.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{AllocationId: &id, InstanceId: &node}))(t)
	if err := r.cloud.SetPower(node, "terminated"); err != nil {
		t.Fatal(err)
	}
	if _, free := holder(); !free {
		t.Error("it is not free after the machine")
	}
}

func TestAddressesThatNoLoadBalancerGets(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	r.cloud.LocalZone("us-east-1f")
	_, err := r.ec2.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{NetworkBorderGroup: aws.String("us-east-2")})
	refused(t, err, "InvalidParameterValue")
	near, far := r.allocated(t, ""), r.allocated(t, "us-east-1f")
	public := func(ids ...string) func(*elb.CreateLoadBalancerInput) {
		return func(in *elb.CreateLoadBalancerInput) {
			in.Subnets = nil
			for i := range ids {
				in.SubnetMappings = append(in.SubnetMappings, types.SubnetMapping{SubnetId: &r.site.Public[i], AllocationId: &ids[i]})
			}
		}
	}
	private := func(address string) func(*elb.CreateLoadBalancerInput) {
		return func(in *elb.CreateLoadBalancerInput) {
			in.Subnets, in.Scheme = nil, types.LoadBalancerSchemeEnumInternal
			in.SubnetMappings = []types.SubnetMapping{{SubnetId: &r.site.Private[0], PrivateIPv4Address: &address}}
		}
	}
	for name, c := range map[string]struct {
		change func(*elb.CreateLoadBalancerInput)
		code   string
	}{
		"an elastic IP twice":              {public(near, near), "ValidationError"},
		"one of another border group":      {public(far), "InvalidConfigurationRequest"},
		"the first address of the subnet":  {private("10.0.96.0"), "InvalidConfigurationRequest"},
		"the fourth address of the subnet": {private("10.0.96.3"), "InvalidConfigurationRequest"},
		"the last address of the subnet":   {private("10.0.111.255"), "InvalidConfigurationRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.create("web", c.change)
			refused(t, err, c.code)
		})
	}
	must(r.create("last", private("10.0.111.254")))(t)
}
