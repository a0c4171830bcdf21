// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// route is one to an instance, or to nothing any more.
type route struct {
	instance string // empty when AWS does not say
	// blackhole: what it led to is gone or does not run.
	blackhole bool
	// foreign: it leads to a gateway or the like, and is not ours.
	foreign bool
}

// table is a route table, by destination.
type table struct {
	id     string
	routes map[netip.Prefix]route
}

// routeOf is a route as AWS answers it; false for one to a prefix list.
func routeOf(x *ec2types.Route) (netip.Prefix, route, bool) {
	text := awssdk.ToString(x.DestinationCidrBlock)
	if text == "" {
		text = awssdk.ToString(x.DestinationIpv6CidrBlock)
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, route{}, false
	}
	elsewhere := []*string{
		x.GatewayId, x.NatGatewayId, x.TransitGatewayId, x.LocalGatewayId, x.CarrierGatewayId, x.VpcPeeringConnectionId,
		x.EgressOnlyInternetGatewayId, x.CoreNetworkArn,
	}
	r := route{instance: awssdk.ToString(x.InstanceId), blackhole: x.State == ec2types.RouteStateBlackhole}
	r.foreign = slices.ContainsFunc(elsewhere, func(s *string) bool { return awssdk.ToString(s) != "" })
	if r.instance == "" && !r.blackhole {
		r.foreign = true // to an interface of somebody's
	}
	return p.Masked(), r, true
}

// tablesPerPage is how many DescribeRouteTables answers at once.
const tablesPerPage = 100

// List reads the route tables of a VPC. They are not nil, however few.
func List(ctx context.Context, c *api.Client, vpc string) ([]ec2types.RouteTable, error) {
	out := []ec2types.RouteTable{}
	in := &ec2.DescribeRouteTablesInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("vpc-id"), Values: []string{vpc}}}, MaxResults: awssdk.Int32(tablesPerPage),
	}
	err := api.Pages(ctx, c.EC2.DescribeRouteTables, in, &in.NextToken, func(page *ec2.DescribeRouteTablesOutput) *string {
		out = append(out, page.RouteTables...)
		return page.NextToken
	})
	return out, err
}

// readTable reads the table of the cluster: the one of the configuration, or
// the only one in the VPC with the cluster's tag.
func (r *Routes) readTable(ctx context.Context) (*table, error) {
	if id := r.options.TableID; id != "" {
		page, err := api.Call(ctx, r.options.Client.EC2.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{id}})
		if err != nil {
			return nil, err
		}
		if len(page.RouteTables) != 1 {
			return nil, refusal("there is no route table %s; correct routeTableID in the cloud-config", id)
		}
		return tableOf(&page.RouteTables[0]), nil
	}
	cluster, err := r.options.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	all, err := List(ctx, r.options.Client, cluster.VPC)
	if err != nil {
		return nil, err
	}
	var found []*table
	for i := range all {
		tags := map[string]string{}
		for _, t := range all[i].Tags {
			tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
		}
		if cluster.Tags.Has(tags) {
			found = append(found, tableOf(&all[i]))
		}
	}
	if len(found) != 1 {
		var ids []string
		for _, t := range found {
			ids = append(ids, t.id)
		}
		slices.Sort(ids)
		return nil, refusal("%d route tables of %s have the tag of cluster %q (%s), and nodes need one; tag one alone, or set routeTableID in the cloud-config",
			len(found), cluster.VPC, cluster.Tags.ID, strings.Join(ids, ", "))
	}
	return found[0], nil
}

func refusal(format string, args ...any) error {
	return &plan.Error{Kind: plan.Invalid, Reason: "NoRouteTable", Err: fmt.Errorf(format, args...)}
}

func tableOf(x *ec2types.RouteTable) *table {
	t := &table{id: awssdk.ToString(x.RouteTableId), routes: map[netip.Prefix]route{}}
	for i := range x.Routes {
		if p, r, ok := routeOf(&x.Routes[i]); ok {
			t.routes[p] = r
		}
	}
	return t
}

const (
	// maxAge is how old the table may be that is listed.
	maxAge = 120 * time.Second
	// maxAgeToDelete is how old it may be when a route is taken out: somebody may
	// have led the prefix elsewhere. Those of one round share a read.
	maxAgeToDelete = 5 * time.Second
	// settleTime is how long after a write a read may not show it yet.
	settleTime = 30 * time.Second
)

// written is a change of ours: a route, or none any more.
type written struct {
	at    time.Time
	route *route
}

// table is what is known, read if it is older than the time; with what was
// written since. It is the caller's.
func (r *Routes) table(ctx context.Context, notBefore time.Time) (*table, error) {
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	t, read := r.newest, r.read
	r.mu.Unlock()
	if t == nil || read.Before(notBefore) {
		begun := r.clock.Now()
		fresh, err := r.readTable(ctx)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.newest, r.read = fresh, begun
		maps.DeleteFunc(r.since, func(_ netip.Prefix, w written) bool { return begun.Sub(w.at) > settleTime })
		t = fresh
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &table{id: t.id, routes: maps.Clone(t.routes)}
	for p, w := range r.since {
		delete(out.routes, p)
		if w.route != nil {
			out.routes[p] = *w.route
		}
	}
	return out, nil
}

// note remembers a change of ours.
func (r *Routes) note(p netip.Prefix, to *route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since[p] = written{r.clock.Now(), to}
}

// forget makes the next question read the table.
func (r *Routes) forget(p netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, p)
	r.read = time.Time{}
}
