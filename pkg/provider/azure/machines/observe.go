// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Scope says what a snapshot is to show.
type Scope struct {
	// Nodes are those whose machines are wanted. Those without a provider id
	// are not initialised and left out.
	Nodes []*v1.Node
	// Pools are ids of backend pools: scale sets whose model names one are
	// wanted with all their instances, and network interfaces in one.
	Pools []string
	// NotBefore is how new it must be: what was done later may be missing.
	NotBefore time.Time
}

// Snapshot is what is known of the machines.
type Snapshot struct {
	ScaleSets  []ScaleSet  // of the resource groups of the nodes, by id
	Machines   []Machine   // by id
	Interfaces []Interface // of resource groups with machines that are no instances of uniform scale sets, by id
}

// Machine is the machine of a node; nil when it is not shown.
func (s *Snapshot) Machine(node *v1.Node) *Machine {
	ref, ok := ParseProviderID(node.Spec.ProviderID)
	if !ok {
		return nil
	}
	id := strings.ToLower(ref.ID())
	at, ok := slices.BinarySearchFunc(s.Machines, id, func(m Machine, id string) int {
		return cmp.Compare(strings.ToLower(m.ID), id)
	})
	if !ok {
		return nil
	}
	return &s.Machines[at]
}

// Observe reads what is needed to decide which machines must join or leave
// pools that know their members by network interface: one list of the scale
// sets for each resource group, one of the instances for each uniform scale set
// concerned, and one each of machines and network interfaces for each resource
// group with others. It is never older than our own last write.
func (r *Reader) Observe(ctx context.Context, scope Scope) (*Snapshot, error) {
	if w := r.writes.get(); w.After(scope.NotBefore) {
		scope.NotBefore = w
	}
	return r.observe(ctx, scope)
}

// Newest is what Observe read last, however old that is, for when it cannot
// read. What was never read is tried once more.
func (r *Reader) Newest(ctx context.Context, scope Scope) (*Snapshot, error) {
	scope.NotBefore = time.Time{}
	return r.observe(ctx, scope)
}

func (r *Reader) observe(ctx context.Context, scope Scope) (*Snapshot, error) {
	var snap Snapshot
	uniform, others := r.split(scope.Nodes)
	g, groupCtx := errgroup.WithContext(ctx)
	withSets := sortedGroups(uniform, others)
	if r.options.VMType == Standard {
		withSets = sortedGroups(uniform)
	}
	g.Go(func() error {
		var err error
		snap.ScaleSets, err = fetchAll(groupCtx, r.sets, collections(withSets, setsOf), scope.NotBefore)
		return err
	})
	var singles []Machine
	g.Go(func() error {
		var err error
		singles, snap.Interfaces, err = r.observeSingles(groupCtx, sortedGroups(others), scope.NotBefore)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var lists []collection
	for _, s := range snap.ScaleSets {
		inPool := slices.ContainsFunc(s.Pools, func(p string) bool { return names.Among(scope.Pools, p) })
		if s.Kind == Uniform && (inPool || uniform[homeOf(s.ID)][strings.ToLower(s.Name)]) {
			lists = append(lists, instancesOf(s.ID))
		}
	}
	instances, err := fetchAll(ctx, r.machines, lists, scope.NotBefore)
	if err != nil {
		return nil, err
	}
	snap.Machines = slices.Concat(instances, singles)
	slices.SortFunc(snap.Machines, func(a, b Machine) int { return compareFold(a.ID, b.ID) })
	slices.SortFunc(snap.ScaleSets, func(a, b ScaleSet) int { return compareFold(a.ID, b.ID) })
	slices.SortFunc(snap.Interfaces, func(a, b Interface) int { return compareFold(a.ID, b.ID) })
	return &snap, nil
}

func homeOf(id string) group {
	g, _ := groupOf(id)
	return g
}

func compareFold(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// grouped are lower-case names by resource group.
type grouped map[group]map[string]bool

func (n grouped) add(g group, name string) {
	if n[g] == nil {
		n[g] = map[string]bool{}
	}
	n[g][strings.ToLower(name)] = true
}

// split sorts the nodes' machines: uniform scale sets, and other machines. The
// cluster's own resource group is always looked at: a scale set that lost all
// its nodes may still be in a pool.
func (r *Reader) split(nodes []*v1.Node) (uniform, others grouped) {
	uniform, others = grouped{}, grouped{}
	if r.options.VMType == VMSS {
		uniform[r.home()] = map[string]bool{}
	}
	for _, n := range nodes {
		ref, ok := ParseProviderID(n.Spec.ProviderID)
		switch {
		case !ok || Unmanaged(n):
		case ref.ScaleSet != "":
			uniform.add(ref.group(), ref.ScaleSet)
		default:
			others.add(ref.group(), ref.Name)
		}
	}
	return uniform, others
}

func sortedGroups(list ...grouped) []group {
	var out []group
	for _, n := range list {
		for g := range n {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, compareGroups)
	return slices.Compact(out)
}

func compareGroups(a, b group) int {
	return cmp.Or(cmp.Compare(a.subscription, b.subscription), cmp.Compare(a.name, b.name))
}

func collections(groups []group, of func(group) collection) []collection {
	out := make([]collection, len(groups))
	for i, g := range groups {
		out[i] = of(g)
	}
	return out
}

// observeSingles reads the machines of the groups, and the network interfaces
// of the groups and of those that the machines' interfaces are in.
func (r *Reader) observeSingles(ctx context.Context, groups []group, notBefore time.Time) ([]Machine, []Interface, error) {
	var machines []Machine
	var interfaces []Interface
	g, groupCtx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		machines, err = fetchAll(groupCtx, r.machines, collections(groups, virtualMachinesOf), notBefore)
		return err
	})
	g.Go(func() (err error) {
		interfaces, err = fetchAll(groupCtx, r.interfaces, collections(groups, interfacesOf), notBefore)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	var elsewhere []group
	for _, m := range machines {
		if at, ok := groupOf(m.Interface); ok && !slices.Contains(groups, at) && !slices.Contains(elsewhere, at) {
			elsewhere = append(elsewhere, at)
		}
	}
	slices.SortFunc(elsewhere, compareGroups)
	more, err := fetchAll(ctx, r.interfaces, collections(elsewhere, interfacesOf), notBefore)
	return machines, append(interfaces, more...), err
}
