// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"regexp"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// Options say whose instances are read.
type Options struct {
	// Nodes are all of the cluster.
	Nodes corelisters.NodeLister
	// Families are those of nodes' addresses, in their order; IPv4 unless set.
	Families []cloudconfig.IPFamily
	// TopologyTypes are the types of instances whose place in the network must be
	// known; nil: none.
	TopologyTypes *regexp.Regexp
	// Cluster says which tags the cluster's instances have, and where it is. It
	// is asked when it is needed, and may then read.
	Cluster func(context.Context) (Cluster, error)
}

// Cluster is where instances are and how they are marked.
type Cluster struct {
	VPC  string
	Tags names.Cluster
}

const (
	// hitAge is how old what shows an instance may be. Upstream asks for nodes
	// that are not ready every 5 s: with half of 500 that is 2 calls a minute.
	hitAge = time.Minute
	// metadataAge is how old it may be for what hardly changes, the addresses of
	// a node that is initialised: upstream asks for all nodes every 5 minutes.
	metadataAge = 3 * time.Minute
	// missAge is how old what does not show one may be: an instance that is not
	// found makes one call in this time, whoever asks.
	missAge = 10 * time.Second
	// keepTime is how long what nobody asks for is kept.
	keepTime = 30 * time.Minute
	// valuesPerFilter is how many values a filter of EC2 takes.
	valuesPerFilter = 200
	pageSize        = 1000 // DescribeInstances and DescribeNetworkInterfaces take it
)

// Reader reads instances.
type Reader struct {
	client  *api.Client
	clock   clock.PassiveClock
	options Options

	byID     *shelf[*Instance]
	byName   *shelf[*Instance]
	fargates *shelf[*fargateNode]
	places   *shelf[place]
	zones    *zones
	denied   *wire.Lately // of calls, by their actions
	gone     *wire.Lately // of instances that were asked for alone
}

// NewReader returns a reader that has read nothing yet.
func NewReader(client *api.Client, c clock.PassiveClock, o Options) *Reader {
	if len(o.Families) == 0 {
		o.Families = []cloudconfig.IPFamily{cloudconfig.IPv4}
	}
	r := &Reader{client: client, clock: c, options: o, zones: newZones(client, c), denied: wire.NewLately(c, topologyAge), gone: wire.NewLately(c, missAge)}
	r.byID = newShelf(c, valuesPerFilter, keepTime, r.readByID, r.keys(func(n *v1.Node) string {
		id, _ := instanceID(n)
		return id
	}))
	r.byName = newShelf(c, valuesPerFilter, keepTime, r.readByName, r.keys(func(n *v1.Node) string {
		if _, ok := instanceID(n); ok || n.Spec.ProviderID != "" {
			return ""
		}
		return n.Name
	}))
	r.fargates = newShelf(c, valuesPerFilter, keepTime, r.readFargates, r.keys(func(n *v1.Node) string {
		if ip, ok := fargateAddress(n.Spec.ProviderID); ok {
			return ip.String()
		}
		return ""
	}))
	r.places = newShelf(c, topologyPerCall, 2*topologyAge, r.readPlaces, r.keys(r.placeless)) //nolint:mnd // kept a little longer than it is true
	return r
}

// keys are those of the cluster's nodes; a node without one has the empty key.
func (r *Reader) keys(of func(*v1.Node) string) func() []string {
	return func() []string {
		nodes, err := r.options.Nodes.List(labels.Everything())
		if err != nil {
			return nil // a lister over a cache has no errors
		}
		var out []string
		for _, n := range nodes {
			if key := of(n); key != "" {
				out = append(out, key)
			}
		}
		return out
	}
}

// Instance is an EC2 instance.
type Instance struct {
	ID, Type, VPC, Zone string
	State               ec2types.InstanceStateName
	Launched            time.Time
	PrivateDNS          string
	PublicDNS, PublicIP string
	// Interfaces are those in use, in the order of their devices.
	Interfaces []Interface
	// Groups are the ids of the primary interface's security groups, in AWS's
	// order.
	Groups []string
	Tags   map[string]string
	// Checked: packets that are neither from nor to its own addresses are
	// dropped.
	Checked bool
}

// Interface is a network interface of an instance, with its addresses in AWS's
// order.
type Interface struct {
	device     int32
	IPv4, IPv6 []string
}

func instanceOf(x *ec2types.Instance) *Instance {
	out := &Instance{
		ID: awssdk.ToString(x.InstanceId), Type: string(x.InstanceType), VPC: awssdk.ToString(x.VpcId),
		PrivateDNS: awssdk.ToString(x.PrivateDnsName), PublicDNS: awssdk.ToString(x.PublicDnsName), PublicIP: awssdk.ToString(x.PublicIpAddress),
		Launched: awssdk.ToTime(x.LaunchTime), Tags: map[string]string{}, Checked: awssdk.ToBool(x.SourceDestCheck),
	}
	if x.Placement != nil {
		out.Zone = awssdk.ToString(x.Placement.AvailabilityZone)
	}
	if x.State != nil {
		out.State = x.State.Name
	}
	for _, g := range x.SecurityGroups {
		out.Groups = append(out.Groups, awssdk.ToString(g.GroupId))
	}
	for _, t := range x.Tags {
		out.Tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	for i := range x.NetworkInterfaces {
		n := &x.NetworkInterfaces[i]
		if n.Status != ec2types.NetworkInterfaceStatusInUse {
			continue
		}
		in := Interface{}
		if n.Attachment != nil {
			in.device = awssdk.ToInt32(n.Attachment.DeviceIndex)
		}
		for _, a := range n.PrivateIpAddresses {
			in.IPv4 = append(in.IPv4, awssdk.ToString(a.PrivateIpAddress))
		}
		for _, a := range n.Ipv6Addresses {
			in.IPv6 = append(in.IPv6, awssdk.ToString(a.Ipv6Address))
		}
		out.Interfaces = append(out.Interfaces, in)
	}
	slices.SortStableFunc(out.Interfaces, func(a, b Interface) int { return int(a.device - b.device) })
	return out
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: awssdk.String(name), Values: values}
}

// describe reads instances, all pages.
func (r *Reader) describe(ctx context.Context, filters ...ec2types.Filter) ([]*Instance, error) {
	in := &ec2.DescribeInstancesInput{Filters: filters, MaxResults: awssdk.Int32(pageSize)}
	var out []*Instance
	err := api.Pages(ctx, r.client.EC2.DescribeInstances, in, &in.NextToken, func(page *ec2.DescribeInstancesOutput) *string {
		for i := range page.Reservations {
			for j := range page.Reservations[i].Instances {
				out = append(out, instanceOf(&page.Reservations[i].Instances[j]))
			}
		}
		return page.NextToken
	})
	return out, err
}

// readByID reads instances by a filter, which unlike a list of ids takes what
// is not there.
func (r *Reader) readByID(ctx context.Context, ids []string) (map[string]*Instance, error) {
	list, err := r.describe(ctx, filter("instance-id", ids...))
	if err != nil {
		return nil, err
	}
	out := map[string]*Instance{}
	for _, x := range list {
		out[x.ID] = x
	}
	return out, nil
}

// alive are the states of instances that nodes without a provider id may have.
func alive() []string {
	return []string{
		string(ec2types.InstanceStateNamePending), string(ec2types.InstanceStateNameRunning), string(ec2types.InstanceStateNameShuttingDown),
		string(ec2types.InstanceStateNameStopping), string(ec2types.InstanceStateNameStopped),
	}
}

// readByName reads the cluster's instances by the private names that nodes have
// by default. Of several with one name the newest counts.
func (r *Reader) readByName(ctx context.Context, list []string) (map[string]*Instance, error) {
	cluster, err := r.options.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	found, err := r.describe(ctx, filter("vpc-id", cluster.VPC), filter("private-dns-name", list...), filter("instance-state-name", alive()...))
	if err != nil {
		return nil, err
	}
	out := map[string]*Instance{}
	for _, x := range found {
		had := out[x.PrivateDNS]
		if cluster.Tags.Has(x.Tags) && (had == nil || had.Launched.Before(x.Launched)) {
			out[x.PrivateDNS] = x
		}
	}
	return out, nil
}

// find finds the node's instance, read at or after the time; nil when there is
// none.
func (r *Reader) find(ctx context.Context, node *v1.Node, notBefore time.Time) (*Instance, error) {
	if id, ok := instanceID(node); ok {
		x, _, err := r.byID.get(ctx, id, notBefore)
		return x, err
	}
	x, _, err := r.byName.get(ctx, node.Name, notBefore)
	return x, err
}

// lookUp finds the node's instance as it was at most age ago. That there is
// none must be newer.
func (r *Reader) lookUp(ctx context.Context, node *v1.Node, age time.Duration) (*Instance, error) {
	now := r.clock.Now()
	x, err := r.find(ctx, node, now.Add(-age))
	if x != nil || err != nil {
		return x, err
	}
	return r.find(ctx, node, now.Add(-missAge))
}

// Find finds instances by their ids, read at or after the time; that one is not
// there must be newer. What AWS does not know is missing.
func (r *Reader) Find(ctx context.Context, ids []string, notBefore time.Time) (map[string]*Instance, error) {
	out := make(map[string]*Instance, len(ids))
	for range 2 {
		r.byID.expect(ids, notBefore)
		var missed []string
		for _, id := range ids {
			x, ok, err := r.byID.get(ctx, id, notBefore)
			if err != nil {
				return nil, err
			}
			if ok {
				out[id] = x
			} else {
				missed = append(missed, id)
			}
		}
		ids = missed
		if renewed := r.clock.Now().Add(-missAge); renewed.After(notBefore) {
			notBefore = renewed
		}
	}
	return out, nil
}

// Known are those of the instances that were ever read, as they were then. It
// reads nothing.
func (r *Reader) Known(ids []string) map[string]*Instance {
	out := map[string]*Instance{}
	for _, id := range ids {
		if x, ok := r.byID.known(id); ok {
			out[id] = x
		}
	}
	return out
}

// there asks for one instance by itself: a list may be incomplete for a moment.
func (r *Reader) there(ctx context.Context, node *v1.Node) (bool, error) {
	id, ok := instanceID(node)
	if !ok {
		id = node.Name
	}
	if r.gone.Is(id) {
		return false, nil
	}
	exists, err := r.ask(ctx, node)
	if err == nil && !exists {
		r.gone.Note(id)
	}
	return exists, err
}

func (r *Reader) ask(ctx context.Context, node *v1.Node) (bool, error) {
	id, ok := instanceID(node)
	if !ok {
		found, err := r.readByName(ctx, []string{node.Name})
		return len(found) > 0, err
	}
	page, err := api.Call(ctx, r.client.EC2.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if api.Code(err) == codeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i := range page.Reservations {
		for j := range page.Reservations[i].Instances {
			if !ended(instanceOf(&page.Reservations[i].Instances[j])) {
				return true, nil
			}
		}
	}
	return false, nil
}

// ended reports whether the instance is no more. One that is shutting down
// still is.
func ended(x *Instance) bool {
	return x.State == "" || x.State == ec2types.InstanceStateNameTerminated
}
