// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"net/netip"
	"slices"
	"strconv"
)

type routeTable struct {
	Associations []association `ec2:"associationSet"`
	OwnerID      string        `json:"OwnerId"`
	RouteTableID string        `json:"RouteTableId"`
	Routes       []route       `ec2:"routeSet"`
	Tags         []tag         `ec2:"tagSet"`
	VPCID        string        `json:"VpcId"`
}

type association struct {
	AssociationState        blockState
	Main                    bool
	RouteTableAssociationID string `json:"RouteTableAssociationId"`
	RouteTableID            string `json:"RouteTableId"`
	SubnetID                string `json:"SubnetId,omitempty"`
}

type route struct {
	DestinationCidrBlock     string `json:",omitempty"`
	DestinationIpv6CidrBlock string `json:",omitempty"`
	GatewayID                string `json:"GatewayId,omitempty"`
	InstanceID               string `json:"InstanceId,omitempty"`
	InstanceOwnerID          string `json:"InstanceOwnerId,omitempty"`
	NatGatewayID             string `json:"NatGatewayId,omitempty"`
	NetworkInterfaceID       string `json:"NetworkInterfaceId,omitempty"`
	Origin                   string
	State                    string
}

func (r route) destination() string { return r.DestinationCidrBlock + r.DestinationIpv6CidrBlock }

type describeTablesIn struct {
	RouteTableIDs []string `in:"RouteTableId"`
	question
}

type describeTablesOut struct {
	RouteTables []routeTable `ec2:"routeTableSet"`
	NextToken   string       `json:",omitempty"`
}

func (c *Cloud) describeTables(in describeTablesIn) (any, *refusal) {
	associated := func(field func(association) string) func(*routeTable) []string {
		return func(t *routeTable) []string {
			var found []string
			for _, a := range t.Associations {
				found = append(found, field(a))
			}
			return found
		}
	}
	l := listed[routeTable]{
		prefix: "rtb-", malformed: "InvalidRouteTableId.Malformed",
		missing: "InvalidRouteTableID.NotFound", noun: "routeTable ID",
		id: func(t *routeTable) string { return t.RouteTableID }, tags: func(t *routeTable) []tag { return t.Tags },
		filters: map[string]func(*routeTable) []string{
			"route-table-id":        one(func(t *routeTable) string { return t.RouteTableID }),
			"vpc-id":                one(func(t *routeTable) string { return t.VPCID }),
			"association.subnet-id": associated(func(a association) string { return a.SubnetID }),
			"association.main": associated(func(a association) string {
				return strconv.FormatBool(a.Main)
			}),
		},
		least: 5, most: 100,
	}
	found, next, refused := list(c, c.tables.past(c.seen(EC2)), l, in.RouteTableIDs, in.question)
	if refused != nil {
		return nil, refused
	}
	out := describeTablesOut{NextToken: next}
	for _, t := range found {
		out.RouteTables = append(out.RouteTables, *c.withStates(t))
	}
	return out, nil
}

// withStates copies a table with the state of each route: one to a machine that
// does not run is a black hole.
func (c *Cloud) withStates(t *routeTable) *routeTable {
	t = clone(t)
	for i := range t.Routes {
		r := &t.Routes[i]
		if r.InstanceID == "" {
			continue
		}
		r.State = "blackhole"
		if m := c.instances.get(r.InstanceID); m != nil && m.State.Name == running {
			r.State = "active"
		}
	}
	return t
}

type createRouteIn struct {
	RouteTableID             string `json:"RouteTableId"`
	DestinationCidrBlock     string
	DestinationIpv6CidrBlock string
	InstanceID               string `json:"InstanceId"`
	NetworkInterfaceID       string `json:"NetworkInterfaceId"`
	GatewayID                string `json:"GatewayId"`
}

type returned struct {
	Return bool
}

func (c *Cloud) createRoute(in createRouteIn) (any, *refusal) {
	t, made, refused := c.newRoute(in)
	if refused != nil {
		return nil, refused
	}
	if slices.ContainsFunc(t.Routes, func(r route) bool { return r.destination() == made.destination() }) {
		return nil, bad("RouteAlreadyExists", "The route identified by %s already exists.", made.destination())
	}
	if len(t.Routes) >= c.limits.Routes {
		return nil, bad("RouteLimitExceeded", "The maximum number of routes (%d) has been reached.", c.limits.Routes)
	}
	c.tables.edit(t.RouteTableID, c.now(), func(t *routeTable) { t.Routes = append(t.Routes, made) })
	return returned{Return: true}, nil
}

func (c *Cloud) replaceRoute(in createRouteIn) (any, *refusal) {
	t, made, refused := c.newRoute(in)
	if refused != nil {
		return nil, refused
	}
	i := slices.IndexFunc(t.Routes, func(r route) bool { return r.destination() == made.destination() })
	if i < 0 {
		return nil, noRoute(t.RouteTableID, made.destination())
	}
	c.tables.edit(t.RouteTableID, c.now(), func(t *routeTable) { t.Routes[i] = made })
	return nil, nil
}

func noRoute(table, destination string) *refusal {
	return bad("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", destination, table)
}

func (c *Cloud) table(id string) (*routeTable, *refusal) {
	if t := c.tables.get(id); t != nil {
		return t, nil
	}
	return nil, bad("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

// newRoute judges a route by itself.
func (c *Cloud) newRoute(in createRouteIn) (*routeTable, route, *refusal) {
	r := route{Origin: "CreateRoute", State: "active"}
	t, refused := c.table(in.RouteTableID)
	if refused != nil {
		return nil, r, refused
	}
	if (in.DestinationCidrBlock == "") == (in.DestinationIpv6CidrBlock == "") {
		return nil, r, bad("InvalidParameterCombination", "Exactly one destination must be specified.")
	}
	prefix, err := netip.ParsePrefix(in.DestinationCidrBlock + in.DestinationIpv6CidrBlock)
	if err != nil || prefix.Addr().Is4() != (in.DestinationCidrBlock != "") {
		return nil, r, wrong("Value (%s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.",
			in.DestinationCidrBlock+in.DestinationIpv6CidrBlock)
	}
	if prefix.Addr().Is4() {
		r.DestinationCidrBlock = prefix.Masked().String()
	} else {
		r.DestinationIpv6CidrBlock = prefix.Masked().String()
	}
	return t, r, c.routeTarget(&r, in, t.VPCID)
}

// routeTarget finds where a route leads.
func (c *Cloud) routeTarget(r *route, in createRouteIn, vpcID string) *refusal {
	switch {
	case in.InstanceID != "":
		m := c.instances.get(in.InstanceID)
		if m == nil {
			return bad("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", in.InstanceID)
		}
		if m.VPCID != vpcID {
			return wrong("route table and instance %s belong to different networks", in.InstanceID)
		}
		if len(m.NetworkInterfaces) != 1 {
			return bad("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. "+
				"Please specify an interface ID for the operation instead.", in.InstanceID)
		}
		r.InstanceID, r.InstanceOwnerID = in.InstanceID, c.account
		r.NetworkInterfaceID = m.NetworkInterfaces[0].NetworkInterfaceID
	case in.NetworkInterfaceID != "":
		if c.nics.get(in.NetworkInterfaceID) == nil {
			return bad("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", in.NetworkInterfaceID)
		}
		r.NetworkInterfaceID = in.NetworkInterfaceID
	case in.GatewayID != "":
		if c.gateways.get(in.GatewayID) == nil {
			return bad("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", in.GatewayID)
		}
		r.GatewayID = in.GatewayID
	default:
		return bad("MissingParameter", "The request must contain a target of the route.")
	}
	return nil
}

type deleteRouteIn struct {
	RouteTableID             string `json:"RouteTableId"`
	DestinationCidrBlock     string
	DestinationIpv6CidrBlock string
}

func (c *Cloud) deleteRoute(in deleteRouteIn) (any, *refusal) {
	t, refused := c.table(in.RouteTableID)
	if refused != nil {
		return nil, refused
	}
	destination := in.DestinationCidrBlock + in.DestinationIpv6CidrBlock
	i := slices.IndexFunc(t.Routes, func(r route) bool { return r.destination() == destination })
	if i < 0 {
		return nil, noRoute(t.RouteTableID, destination)
	}
	if t.Routes[i].GatewayID == "local" {
		return nil, wrong("cannot remove local route %s in route table %s", destination, t.RouteTableID)
	}
	c.tables.edit(t.RouteTableID, c.now(), func(t *routeTable) { t.Routes = slices.Delete(t.Routes, i, i+1) })
	return nil, nil
}
