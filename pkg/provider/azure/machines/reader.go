// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/wire"
)

// VMType is the kind of machines that a cluster is made of, where a node's
// provider id does not say. The zero value is none.
type VMType uint8

// The types, by their words in the configuration.
const (
	VMSS     VMType = iota + 1 // vmss: of scale sets, and others
	Standard                   // standard: single ones
	VMSSFlex                   // vmssflex: of flexible scale sets
)

// Options are what the configuration says about machines.
type Options struct {
	Subscription  string // of the cluster's machines
	ResourceGroup string // of the cluster's machines
	VMType        VMType
	// Grace is how long a new node exists though Azure does not show it:
	// nodeInstanceNotFoundGracePeriodInSeconds.
	Grace time.Duration
}

const (
	// hitAge is how old a listing may be that shows a machine.
	hitAge = 30 * time.Second
	// missAge is how old a listing may be that does not show one: a machine
	// that is not found makes one call in this time, whoever asks.
	missAge = 10 * time.Second
	// maxCalls is how many list calls one question makes side by side.
	maxCalls = 8
)

// Reader reads machines.
type Reader struct {
	api     API
	clock   clock.PassiveClock
	options Options

	sets       *shelf[ScaleSet]
	machines   *shelf[Machine]
	statuses   *shelf[status]
	interfaces *shelf[Interface]
	publicIPs  *shelf[publicIP]
	singles    *singles
	gone       *wire.Lately // by id in lower case: machines that were asked for alone
	denied     *wire.Lately // by subscription in lower case: lists of all states
	writes     stamp        // of the last write
}

// NewReader returns a reader that has read nothing yet.
func NewReader(api API, c clock.PassiveClock, o Options) *Reader {
	return &Reader{
		api: api, clock: c, options: o,
		sets:       newShelf(api, c, parseScaleSet),
		machines:   newShelf(api, c, parseMachine),
		statuses:   newShelf(api, c, parseStatus),
		interfaces: newShelf(api, c, parseInterface),
		publicIPs:  newShelf(api, c, parsePublicIP),
		singles:    newSingles(c),
		gone:       wire.NewLately(c, missAge),
		denied:     wire.NewLately(c, denyPeriod),
	}
}

func (r *Reader) home() group { return newGroup(r.options.Subscription, r.options.ResourceGroup) }

func setsOf(g group) collection {
	return collection{path: g.path("Microsoft.Compute/virtualMachineScaleSets")}
}

func virtualMachinesOf(g group) collection {
	return collection{path: g.path("Microsoft.Compute/virtualMachines")}
}

func interfacesOf(g group) collection {
	return collection{path: g.path("Microsoft.Network/networkInterfaces")}
}

func publicIPsOf(g group) collection {
	return collection{path: g.path("Microsoft.Network/publicIPAddresses")}
}

// instancesOf is the collection of a uniform scale set's instances, with their
// power states.
func instancesOf(set string) collection {
	return collection{path: strings.ToLower(set) + "/virtualMachines", query: url.Values{"$expand": {"instanceView"}}.Encode()}
}

// members are the machines of a flexible scale set, with their states: only
// with this filter does a resource group's list show them.
func members(set string) collection {
	g, _ := groupOf(set)
	return collection{
		path:  virtualMachinesOf(g).path,
		query: url.Values{"$filter": {"'virtualMachineScaleSet/id' eq '" + set + "'"}, "$expand": {"instanceView"}}.Encode(),
	}
}

// statusesOf are the states of all machines of a subscription: there is no
// such list for a resource group.
func statusesOf(subscription string) collection {
	return collection{
		path:  "/subscriptions/" + subscription + "/providers/Microsoft.Compute/virtualMachines",
		query: url.Values{"statusOnly": {"true"}}.Encode(),
	}
}

// find finds the machine of a node in listings begun at or after the time.
func (r *Reader) find(ctx context.Context, node *v1.Node, notBefore time.Time) (*Machine, error) {
	if ref, ok := ParseProviderID(node.Spec.ProviderID); ok {
		return r.findRef(ctx, ref, notBefore)
	}
	g := r.home()
	if name := node.Labels[GroupLabel]; name != "" {
		g = newGroup(r.options.Subscription, name)
	}
	return r.findName(ctx, g, node.Name, notBefore)
}

// findRef finds a machine by its id; nil when it is not listed.
func (r *Reader) findRef(ctx context.Context, ref Ref, notBefore time.Time) (*Machine, error) {
	c := virtualMachinesOf(ref.group())
	if ref.ScaleSet != "" {
		c = instancesOf(ref.group().path("Microsoft.Compute/virtualMachineScaleSets/" + ref.ScaleSet))
	}
	list, err := r.machines.get(ctx, c, notBefore)
	if err != nil {
		return nil, err
	}
	id := ref.ID()
	return pick(list.items, func(m *Machine) bool { return strings.EqualFold(m.ID, id) }), nil
}

// findName finds a machine by the name of its node, in one resource group;
// nil when none is listed.
func (r *Reader) findName(ctx context.Context, g group, name string, notBefore time.Time) (*Machine, error) {
	isNode := func(m *Machine) bool { return m.isNode(name) }
	lists := []collection{virtualMachinesOf(g)}
	if r.options.VMType == VMSS {
		sets, err := r.sets.get(ctx, setsOf(g), notBefore)
		if err != nil {
			return nil, err
		}
		for _, s := range sets.items {
			if s.Kind == Uniform {
				lists = append(lists, instancesOf(s.ID))
			}
		}
	}
	all, err := fetchAll(ctx, r.machines, lists, notBefore)
	if err != nil {
		return nil, err
	}
	return pick(all, isNode), nil
}

// pick returns a copy of the first item that matches, or nil.
func pick[T any](items []T, match func(*T) bool) *T {
	for i := range items {
		if match(&items[i]) {
			found := items[i]
			return &found
		}
	}
	return nil
}

// fetchAll gets several collections side by side and joins them in order.
func fetchAll[T any](ctx context.Context, s *shelf[T], lists []collection, notBefore time.Time) ([]T, error) {
	found := make([][]T, len(lists))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxCalls)
	for i, c := range lists {
		g.Go(func() error {
			list, err := s.get(ctx, c, notBefore)
			found[i] = list.items
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}
