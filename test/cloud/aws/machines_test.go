// SPDX-License-Identifier: Apache-2.0

package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

func TestMachinesAreListed(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{Families: "dualstack"})
	r.site.Launch(9)
	pages := ec2.NewDescribeInstancesPaginator(r.ec2, &ec2.DescribeInstancesInput{
		MaxResults: aws.Int32(5), Filters: filters("tag:kubernetes.io/cluster/rig", "*"),
	})
	n := 0
	for pages.HasMorePages() {
		for _, reservation := range must(pages.NextPage(t.Context()))(t).Reservations {
			n += len(reservation.Instances)
		}
	}
	if n != 12 {
		t.Errorf("%d machines, want 12", n)
	}
	out := must(r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: r.nodes[:1]}))(t)
	m := out.Reservations[0].Instances[0]
	if *m.PrivateDnsName != "ip-10-0-96-4.ec2.internal" || *m.PrivateIpAddress != "10.0.96.4" || m.State.Name != types.InstanceStateNameRunning ||
		*m.Placement.AvailabilityZone != "us-east-1a" || m.LaunchTime == nil || len(m.NetworkInterfaces) != 1 ||
		*m.NetworkInterfaces[0].Ipv6Addresses[0].Ipv6Address != "2600:1f18:1000:6::4" ||
		m.NetworkInterfaces[0].Status != types.NetworkInterfaceStatusInUse || *m.SecurityGroups[0].GroupId != r.site.NodeGroup {
		t.Errorf("the machine is %+v", m)
	}
	_, err := r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: r.nodes[:1], MaxResults: aws.Int32(5)})
	refused(t, err, "InvalidParameterCombination")
	_, err = r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{r.nodes[0], "i-01", "i-02"}})
	refused(t, err, "InvalidInstanceID.NotFound")
	if !strings.Contains(err.Error(), "'i-01, i-02' do not exist") {
		t.Errorf("the message is %v", err)
	}
	_, err = r.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"fargate-1"}})
	refused(t, err, "InvalidInstanceID.Malformed")
}

func TestTopologyIsThatOfMachinesThatHaveOne(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	if err := r.cloud.SetTopology(r.nodes[0], "p5.48xlarge", "nn-1", "nn-2", "nn-3"); err != nil {
		t.Fatal(err)
	}
	out := must(r.ec2.DescribeInstanceTopology(t.Context(), &ec2.DescribeInstanceTopologyInput{InstanceIds: r.nodes}))(t)
	if len(out.Instances) != 1 || len(out.Instances[0].NetworkNodes) != 3 || *out.Instances[0].ZoneId != "use1-az1" {
		t.Errorf("the topology is %+v", out.Instances)
	}
}

func TestRoutesLeadToMachinesThatRun(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	must(r.ec2.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{
		InstanceId: &r.nodes[0], SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)},
	}))(t)
	create := &ec2.CreateRouteInput{RouteTableId: &r.site.MainTable, DestinationCidrBlock: aws.String("100.64.0.7/24"), InstanceId: &r.nodes[0]}
	must(r.ec2.CreateRoute(t.Context(), create))(t)
	_, err := r.ec2.CreateRoute(t.Context(), create)
	refused(t, err, "RouteAlreadyExists")
	state := func() types.RouteState {
		tables := must(r.ec2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{r.site.MainTable}}))(t).RouteTables
		for _, route := range tables[0].Routes {
			if aws.ToString(route.DestinationCidrBlock) == "100.64.0.0/24" && *route.InstanceId == r.nodes[0] {
				return route.State
			}
		}
		return ""
	}
	if got := state(); got != types.RouteStateActive {
		t.Errorf("the route is %q", got)
	}
	if err := r.cloud.SetPower(r.nodes[0], "stopped"); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != types.RouteStateBlackhole {
		t.Errorf("when its machine stands still the route is %q", got)
	}
	must(r.ec2.ReplaceRoute(t.Context(), &ec2.ReplaceRouteInput{RouteTableId: create.RouteTableId, DestinationCidrBlock: aws.String("100.64.0.0/24"), InstanceId: &r.nodes[1]}))(t)
	remove := &ec2.DeleteRouteInput{RouteTableId: create.RouteTableId, DestinationCidrBlock: aws.String("100.64.0.0/24")}
	must(r.ec2.DeleteRoute(t.Context(), remove))(t)
	_, err = r.ec2.DeleteRoute(t.Context(), remove)
	refused(t, err, "InvalidRoute.NotFound")
	remove.DestinationCidrBlock = aws.String("10.0.0.0/16")
	_, err = r.ec2.DeleteRoute(t.Context(), remove)
	refused(t, err, "InvalidParameterValue")
	r.cloud.SetLimits(awssim.Limits{Routes: 1})
	_, err = r.ec2.CreateRoute(t.Context(), create)
	refused(t, err, "RouteLimitExceeded")
}

func TestObjectsOfEC2AreTagged(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	tags := []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}
	all := []string{r.nodes[0], r.site.VPC, r.site.NodeGroup, r.site.Public[0], r.site.MainTable}
	must(r.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: all, Tags: tags}))(t)
	must(r.ec2.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: all, Tags: []types.Tag{
		{Key: aws.String("a")}, {Key: aws.String("b"), Value: aws.String("other")},
	}}))(t)
	found := must(r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: filters("tag:b", "2")}))(t).Subnets
	gone := must(r.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: filters("tag-key", "a")}))(t).Subnets
	if len(found) != 1 || len(gone) != 0 {
		t.Errorf("with b there are %d subnets, with a %d", len(found), len(gone))
	}
	tag := func(key string, ids ...string) error {
		_, err := r.ec2.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: ids, Tags: []types.Tag{{Key: &key, Value: aws.String("")}}})
		return err
	}
	refused(t, tag("c", r.nodes[0], "i-0123"), "InvalidInstanceID.NotFound")
	refused(t, tag("aws:c", r.nodes[0]), "InvalidParameterValue")
	refused(t, tag(strings.Repeat("c", 129), r.nodes[0]), "InvalidParameterValue")
	r.cloud.SetLimits(awssim.Limits{Tags: 3})
	refused(t, tag("c", r.nodes[0]), "TagLimitExceeded")
	zones := must(r.ec2.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1a"}}))(t)
	if len(zones.AvailabilityZones) != 1 || zones.AvailabilityZones[0].State != "available" || *zones.AvailabilityZones[0].ZoneType != "availability-zone" {
		t.Errorf("the zones are %+v", zones.AvailabilityZones)
	}
	vpcs := must(r.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{r.site.VPC}}))(t).Vpcs
	if len(vpcs) != 1 || *vpcs[0].CidrBlock != "10.0.0.0/16" {
		t.Errorf("the VPCs are %+v", vpcs)
	}
	igws := must(r.ec2.DescribeInternetGateways(t.Context(), &ec2.DescribeInternetGatewaysInput{Filters: filters("attachment.vpc-id", r.site.VPC)}))(t)
	if len(igws.InternetGateways) != 1 {
		t.Errorf("the gateways are %+v", igws.InternetGateways)
	}
}

func TestPodsHaveAddressesAndInterfaces(t *testing.T) {
	r := newRig(t, awssim.Options{}, awssim.SiteOptions{})
	pod := must(r.cloud.Pod(r.nodes[0]))(t)
	if pod != "10.0.96.5" {
		t.Errorf("the pod's address is %s", pod)
	}
	fargate := r.site.Interface(r.site.NodeGroup)
	nics := must(r.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: append(filters("addresses.private-ip-address", pod, fargate), filters("attachment.status", "attached")...),
	}))(t).NetworkInterfaces
	if len(nics) != 2 {
		t.Fatalf("the interfaces are %+v", nics)
	}
	for _, n := range nics {
		if *n.PrivateIpAddress == fargate && (n.Attachment.InstanceId != nil || *n.PrivateDnsName != "ip-10-0-96-6.ec2.internal") {
			t.Errorf("the interface is %+v", n)
		}
	}
	if err := r.deleteGroup(r.site.NodeGroup); err == nil {
		t.Error("a group of an interface was deleted")
	}
}
