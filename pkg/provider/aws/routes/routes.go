// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
)

// Options say whose routes are kept, and where.
type Options struct {
	Client *api.Client
	// Nodes are all of the cluster, and must have synced before the first
	// question.
	Nodes corelisters.NodeLister
	// Instances knows those of the nodes.
	Instances *instances.Reader
	// TableID is the route table; empty: the one with the cluster's tag.
	TableID string
	// Cluster says where the table is, as in instances.Options.
	Cluster func(context.Context) (instances.Cluster, error)
}

// Routes keeps the routes to nodes.
type Routes struct {
	options Options
	clock   clock.PassiveClock
	reading chan struct{} // holds one while the table is read, so that all share it

	mu      sync.Mutex
	newest  *table
	read    time.Time // when the read of newest was sent; zero: it must be read again
	since   map[netip.Prefix]written
	forward map[string]bool // instances that forward what is not theirs
}

var _ cloudprovider.Routes = (*Routes)(nil)

// New returns routes of a table that was not read yet.
func New(c clock.PassiveClock, o Options) *Routes {
	return &Routes{options: o, clock: c, reading: make(chan struct{}, 1), since: map[netip.Prefix]written{}, forward: map[string]bool{}}
}

// ListRoutes lists the routes to nodes, and those that lead to nothing. A route
// to an instance that is no node's any more is listed with the instance's id, so
// that it goes. Nodes that are no instances have their routes as if they were
// there: their networks see to them.
func (r *Routes) ListRoutes(ctx context.Context, cluster string) ([]*cloudprovider.Route, error) {
	t, err := r.table(ctx, r.clock.Now().Add(-maxAge))
	if err != nil {
		return nil, err
	}
	nodes, err := r.options.Nodes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	var out []*cloudprovider.Route
	byInstance := map[string]string{}
	complete := true // all nodes say what they run on
	for _, n := range nodes {
		if id, ok := instances.Of(n); ok {
			byInstance[id] = n.Name
		}
		complete = complete && n.Spec.ProviderID != ""
		if instances.Managed(n) {
			continue
		}
		for _, cidr := range n.Spec.PodCIDRs {
			out = append(out, &cloudprovider.Route{Name: cluster + "-" + cidr, TargetNode: types.NodeName(n.Name), DestinationCIDR: cidr})
		}
	}
	for _, p := range t.sorted() {
		x := t.routes[p]
		to := &cloudprovider.Route{Name: cluster + "-" + p.String(), DestinationCIDR: p.String(), Blackhole: x.blackhole}
		name, known := byInstance[x.instance]
		switch {
		case x.foreign:
			continue
		case known: // an instance that is switched off: the route is right
			to.TargetNode, to.Blackhole = types.NodeName(name), false
		case x.blackhole:
		case complete:
			to.TargetNode = types.NodeName(x.instance)
		default:
			continue
		}
		out = append(out, to)
	}
	return out, nil
}

func (t *table) sorted() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(t.routes))
	for p := range t.routes {
		out = append(out, p)
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return out
}

// CreateRoute leads a node's prefix to its instance, and lets the instance
// forward what is not its own. The error says that it does not.
func (r *Routes) CreateRoute(ctx context.Context, _, _ string, x *cloudprovider.Route) error {
	node, err := r.options.Nodes.Get(string(x.TargetNode))
	if err != nil {
		return err
	}
	if !instances.Managed(node) {
		return nil
	}
	p, err := netip.ParsePrefix(x.DestinationCIDR)
	if err != nil {
		return fmt.Errorf("node %s: prefix %q is no CIDR: %w", x.TargetNode, x.DestinationCIDR, err)
	}
	id, ok := instances.Of(node)
	if !ok {
		return fmt.Errorf("node %s has no provider id yet, which its route leads to", x.TargetNode)
	}
	if err := r.letForward(ctx, node, id); err != nil {
		return err
	}
	return r.put(ctx, p.Masked(), id)
}

// checkAge is how old the knowledge may be of whether an instance forwards.
const checkAge = 10 * time.Minute

// letForward lets an instance forward what is neither from nor to itself. What
// does already is not written.
func (r *Routes) letForward(ctx context.Context, node *v1.Node, id string) error {
	r.mu.Lock()
	done := r.forward[id]
	r.mu.Unlock()
	if done {
		return nil
	}
	found, err := r.options.Instances.Find(ctx, []string{id}, r.clock.Now().Add(-checkAge))
	if err != nil {
		return err
	}
	if x, ok := found[id]; !ok || x.Checked {
		_, err := api.Call(ctx, r.options.Client.EC2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{
			InstanceId: awssdk.String(id), SourceDestCheck: &ec2types.AttributeBooleanValue{Value: awssdk.Bool(false)},
		})
		if err != nil {
			return fmt.Errorf("let node %s forward for its pods: %w", node.Name, err)
		}
		klog.FromContext(ctx).V(2).Info("Wrote", "action", "update", "target", id+" sourceDestCheck")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forward[id] = true
	return nil
}

// put makes a route, or replaces one that leads to nothing or to an instance
// that is no node's any more.
func (r *Routes) put(ctx context.Context, p netip.Prefix, id string) error {
	t, err := r.table(ctx, r.clock.Now().Add(-maxAge))
	if err != nil {
		return err
	}
	err = r.write(ctx, t, p, id)
	switch api.Code(err) {
	case "RouteAlreadyExists", "InvalidRoute.NotFound": // the table is another by now
	default:
		return err
	}
	r.forget(p)
	if t, err = r.table(ctx, r.clock.Now()); err != nil {
		return err
	}
	return r.write(ctx, t, p, id)
}

func (r *Routes) write(ctx context.Context, t *table, p netip.Prefix, id string) error {
	had, exists := t.routes[p]
	action := "create"
	switch {
	case exists && had.instance == id:
		return nil
	case exists && !had.blackhole && (had.foreign || r.isNode(had.instance)):
		return &plan.Error{Kind: plan.Invalid, Reason: "RouteConflict", Err: fmt.Errorf(
			"route table %s has a route for %s already, to %s; remove it, or give the node another prefix", t.id, p, orGateway(had.instance))}
	case exists:
		action = "replace"
		in := &ec2.ReplaceRouteInput{RouteTableId: awssdk.String(t.id), InstanceId: awssdk.String(id)}
		in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = destination(p)
		if _, err := api.Call(ctx, r.options.Client.EC2.ReplaceRoute, in); err != nil {
			return err
		}
	default:
		in := &ec2.CreateRouteInput{RouteTableId: awssdk.String(t.id), InstanceId: awssdk.String(id)}
		in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = destination(p)
		if _, err := api.Call(ctx, r.options.Client.EC2.CreateRoute, in); err != nil {
			return err
		}
	}
	r.note(p, &route{instance: id})
	klog.FromContext(ctx).V(2).Info("Wrote", "action", action, "target", t.id+" "+p.String())
	return nil
}

func orGateway(instance string) string {
	if instance == "" {
		return "a gateway or interface that is not ours"
	}
	return instance
}

// destination is the prefix as calls have it, by family.
func destination(p netip.Prefix) (v4, v6 *string) {
	if p.Addr().Is4() {
		return awssdk.String(p.String()), nil
	}
	return nil, awssdk.String(p.String())
}

// isNode reports whether a node runs on the instance.
func (r *Routes) isNode(id string) bool {
	nodes, err := r.options.Nodes.List(labels.Everything())
	return err != nil || slices.ContainsFunc(nodes, func(n *v1.Node) bool {
		have, ok := instances.Of(n)
		return ok && have == id
	})
}

// DeleteRoute takes a route out. One that is not there is no error.
func (r *Routes) DeleteRoute(ctx context.Context, _ string, x *cloudprovider.Route) error {
	if n, err := r.options.Nodes.Get(string(x.TargetNode)); err == nil && !instances.Managed(n) {
		return nil
	}
	p, err := netip.ParsePrefix(x.DestinationCIDR)
	if err != nil {
		return fmt.Errorf("prefix %q is no CIDR: %w", x.DestinationCIDR, err)
	}
	p = p.Masked()
	t, err := r.table(ctx, r.clock.Now().Add(-maxAgeToDelete))
	if err != nil {
		return err
	}
	if had, exists := t.routes[p]; !exists || had.foreign {
		return nil
	}
	in := &ec2.DeleteRouteInput{RouteTableId: awssdk.String(t.id)}
	in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = destination(p)
	_, err = api.Call(ctx, r.options.Client.EC2.DeleteRoute, in)
	if err != nil && api.Code(err) != "InvalidRoute.NotFound" {
		return err
	}
	r.note(p, nil)
	klog.FromContext(ctx).V(2).Info("Wrote", "action", "delete", "target", t.id+" "+p.String())
	return nil
}
