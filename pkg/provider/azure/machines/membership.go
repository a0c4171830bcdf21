// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Wish says which machines shall be in which pools.
//
// A pool that is to know its members by address instead is one of Leave: the
// step that writes the addresses needs the steps of Leaving. For the way back it
// is one of Join, and its Needs name the step that takes the addresses out.
type Wish struct {
	// Join are the pools that the machines of Nodes shall be in.
	Join []Pool
	// Leave are the pools that no machine shall be in, because their load
	// balancer goes or they get members by address.
	Leave []Pool
	// Nodes may receive traffic.
	Nodes []*v1.Node
	// Excluded are nodes that must not be in the pools of Join. Machines of
	// neither stay as they are: an instance joins with its scale set before its
	// node is there.
	Excluded []*v1.Node
	// ResourceGroup is not named in the plan; other groups are.
	ResourceGroup string
}

// Kinds of steps' targets, with the group where that is not Wish's.
const (
	KindScaleSet  = "azure/scaleSet"         // by name
	KindInstance  = "azure/scaleSetInstance" // by the scale set's name and the instance's number
	KindInterface = "azure/networkInterface" // by name
)

// Notice is why a node is left out of a pool.
type Notice struct {
	Node    string
	Message string // one sentence
}

// Membership is what must be written.
type Membership struct {
	Steps   []plan.Step        // by target, none of them shared
	Writes  map[plan.ID]*Write // what each step writes
	Notices []Notice           // by node
	// Waiting are the nodes that will join when their machines are made, listed
	// or switched on, sorted: of that no change of a node tells.
	Waiting []string
	leaving map[string][]plan.ID
	joined  map[string]bool // pools that a machine is in, by id in lower case
	snap    *Snapshot       // that it was decided from
}

// Joined reports whether a machine that shall be in the pool, which is named by
// its id, is in it already, and is not switched off.
func (m *Membership) Joined(pool string) bool { return m.joined[strings.ToLower(pool)] }

// Leaving are the steps that take machines out of the pool: what removes the
// pool, or gives it members by address, needs them all.
func (m *Membership) Leaving(pool string) []plan.ID { return m.leaving[strings.ToLower(pool)] }

// Decide computes the writes after which every machine is in the pools that it
// shall be in. Machines that are there already cost nothing. It is pure. A
// machine whose document is not as Azure writes them waits; the error says so of
// a scale set or a network interface.
func (s *Snapshot) Decide(w Wish) (*Membership, error) {
	d := decision{snap: s, wish: w, out: &Membership{Writes: map[plan.ID]*Write{}, leaving: map[string][]plan.ID{}, joined: map[string]bool{}, snap: s}, models: map[string]plan.ID{}}
	for _, p := range w.Leave {
		d.leave = append(d.leave, p.ID)
	}
	wanted, excluded := d.members(w.Nodes), d.members(w.Excluded)
	if err := d.scaleSets(wanted); err != nil {
		return nil, err
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		id := strings.ToLower(m.ID)
		if err := d.machine(m, wanted[id], excluded[id]); err != nil {
			d.wait(cmp.Or(wanted[id], excluded[id], names.Last(m.ID)), "its document cannot be read: "+err.Error())
		}
	}
	if err := d.strays(); err != nil {
		return nil, err
	}
	d.missing(w.Nodes)
	slices.SortStableFunc(d.out.Notices, func(a, b Notice) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Message, b.Message))
	})
	d.out.Notices = slices.Compact(d.out.Notices)
	slices.Sort(d.out.Waiting)
	d.out.Waiting = slices.Compact(d.out.Waiting)
	slices.SortFunc(d.out.Steps, func(a, b plan.Step) int {
		return cmp.Or(cmp.Compare(rank(a.Target.Kind), rank(b.Target.Kind)), cmp.Compare(a.Target.Name, b.Target.Name))
	})
	return d.out, nil
}

func rank(kind string) int {
	return slices.Index([]string{KindScaleSet, KindInstance, KindInterface}, kind)
}

// decision is Decide under way.
type decision struct {
	snap   *Snapshot
	wish   Wish
	leave  []string
	out    *Membership
	models map[string]plan.ID // the step of a scale set, by its id in lower case
}

// members are the names of nodes by the id of their machine in lower case.
func (d *decision) members(nodes []*v1.Node) map[string]string {
	out := map[string]string{}
	for _, n := range nodes {
		if m := d.snap.Machine(n); m != nil && !Unmanaged(n) {
			out[strings.ToLower(m.ID)] = n.Name
		}
	}
	return out
}

// missing tells of nodes whose machine is not there.
func (d *decision) missing(nodes []*v1.Node) {
	if len(d.wish.Join) == 0 {
		return
	}
	for _, n := range nodes {
		if !Unmanaged(n) && d.snap.Machine(n) == nil {
			d.wait(n.Name, "its machine is not listed by Azure yet")
		}
	}
}

func (d *decision) notice(node, why string) {
	d.out.Notices = append(d.out.Notices, Notice{node, fmt.Sprintf("Node %s is not added to the load balancer's pool: %s.", node, why)})
}

// wait is a notice of what time will change.
func (d *decision) wait(node, why string) {
	d.notice(node, why)
	d.out.Waiting = append(d.out.Waiting, node)
}

// scaleSets decides on the models, which new instances follow: they join with
// their first node, and leave with the load balancer.
func (d *decision) scaleSets(wanted map[string]string) error {
	served := map[string]bool{}
	for i := range d.snap.Machines {
		m := &d.snap.Machines[i]
		if wanted[strings.ToLower(m.ID)] != "" {
			served[strings.ToLower(m.ScaleSet)] = true
		}
	}
	for i := range d.snap.ScaleSets {
		s := &d.snap.ScaleSets[i]
		c := change{leave: d.leave}
		if served[strings.ToLower(s.ID)] {
			c.join = d.wish.Join
		}
		if !s.hasNets {
			continue
		}
		w := &Write{target: plan.ID{Kind: KindScaleSet, Name: d.name(s.ID)}, id: s.ID, etag: s.Etag, doc: s.Raw, change: c, form: modelForm}
		if _, err := d.add(w); err != nil {
			return err
		}
		d.models[strings.ToLower(s.ID)] = w.target
	}
	return nil
}

// machine decides on one machine; wanted and excluded are the name of its node
// if it is one of those.
func (d *decision) machine(m *Machine, wanted, excluded string) error {
	c := change{leave: d.leave}
	switch {
	case wanted != "":
		c.join = d.wish.Join
	case excluded != "":
		c.leave = slices.Clone(c.leave)
		for _, p := range d.wish.Join {
			c.leave = append(c.leave, p.ID)
		}
	}
	if c.empty() || m.deleting() {
		return nil
	}
	if wanted != "" && !m.off() {
		d.present(m)
	}
	w := d.write(m, c)
	if w == nil {
		if len(c.join) > 0 {
			d.wait(wanted, "its network interface is not listed by Azure yet")
		}
		return nil
	}
	if why := asleep(m); why != "" && len(c.join) > 0 {
		e, err := w.edit(w.doc)
		if err != nil {
			return fmt.Errorf("%s: %w", w.id, err)
		}
		if slices.ContainsFunc(e.diffs, func(x plan.Diff) bool { return x.Want != "" }) {
			d.wait(wanted, why)
		}
		w.change.join = nil
	}
	w.node = cmp.Or(wanted, excluded)
	skipped, err := d.add(w)
	for _, why := range skipped {
		d.notice(wanted, why)
	}
	return err
}

// present notes the pools that the machine is in, whatever else is done to it.
func (d *decision) present(m *Machine) {
	if !slices.ContainsFunc(d.wish.Join, func(p Pool) bool { return !d.out.Joined(p.ID) }) {
		return
	}
	pools, _ := d.snap.pools(m)
	for _, id := range pools {
		d.out.joined[strings.ToLower(id)] = true
	}
}

// asleep says why a machine cannot join now.
func asleep(m *Machine) string {
	switch {
	case m.Provisioning != "" && !strings.EqualFold(m.Provisioning, "Succeeded"):
		return "the provisioning state of its machine is " + m.Provisioning
	case m.off():
		return "its machine is " + m.Power
	}
	return ""
}

// write is the write that changes the machine's pools; nil when what has to be
// written is not there.
func (d *decision) write(m *Machine, c change) *Write {
	if m.Kind == Uniform {
		return &Write{target: plan.ID{Kind: KindInstance, Name: d.name(m.ID)}, id: m.ID, etag: m.Etag, doc: m.Raw, change: c, form: instanceForm, model: m.ScaleSet}
	}
	at, ok := slices.BinarySearchFunc(d.snap.Interfaces, m.Interface, func(n Interface, id string) int { return compareFold(n.ID, id) })
	if !ok {
		return nil
	}
	return d.interfaceWrite(&d.snap.Interfaces[at], c, m.ScaleSet)
}

func (d *decision) interfaceWrite(n *Interface, c change, set string) *Write {
	return &Write{target: plan.ID{Kind: KindInterface, Name: d.name(n.ID)}, id: n.ID, etag: n.Etag, doc: n.Raw, change: c, form: interfaceForm, model: set}
}

// strays are network interfaces of no machine that is shown, in pools that
// nobody shall be in.
func (d *decision) strays() error {
	if len(d.leave) == 0 {
		return nil
	}
	for i := range d.snap.Interfaces {
		w := d.interfaceWrite(&d.snap.Interfaces[i], change{leave: d.leave}, "")
		if d.out.Writes[w.target] != nil {
			continue
		}
		if _, err := d.add(w); err != nil {
			return err
		}
	}
	return nil
}

// add adds a write and its step, unless it changes nothing. It returns what is
// not joined, and why.
func (d *decision) add(w *Write) ([]string, error) {
	e, err := w.edit(w.doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.id, err)
	}
	for _, p := range w.change.join {
		if w.form != modelForm && slices.ContainsFunc(e.diffs, func(x plan.Diff) bool { return x.Want == label(p.ID) }) {
			w.joins = append(w.joins, strings.ToLower(p.ID))
		}
	}
	if len(e.diffs) == 0 {
		return e.skipped, nil
	}
	step := plan.Step{Action: plan.Update, Target: w.target, Why: e.diffs}
	if model, ok := d.models[strings.ToLower(w.model)]; ok && d.out.Writes[model] != nil {
		step.Needs = append(step.Needs, model)
	}
	for _, p := range w.change.join {
		if slices.ContainsFunc(e.diffs, func(x plan.Diff) bool { return x.Want == label(p.ID) }) {
			step.Needs = append(step.Needs, p.Needs...)
			step.Serves = append(step.Serves, p.Serves...)
		}
	}
	for _, p := range slices.Concat(d.wish.Leave, d.wish.Join) {
		if slices.ContainsFunc(e.diffs, func(x plan.Diff) bool { return x.Have == label(p.ID) }) {
			key := strings.ToLower(p.ID)
			d.out.leaving[key] = append(d.out.leaving[key], w.target)
			w.leaves = w.leaves || names.Among(d.leave, p.ID)
			step.Serves = append(step.Serves, p.Serves...)
		}
	}
	step.Needs = unique(step.Needs, plan.CompareIDs)
	step.Serves = unique(step.Serves, plan.CompareKeys)
	d.out.Steps = append(d.out.Steps, step)
	d.out.Writes[w.target] = w
	return e.skipped, nil
}

// unique sorts and drops what is there twice.
func unique[T comparable](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

// name is the name in the plan: of the scale set too for an instance, and of
// the resource group when it is not the usual one.
func (d *decision) name(id string) string {
	name := names.Last(id)
	if ref, ok := parseMachineID(id); ok && ref.ScaleSet != "" {
		name = ref.ScaleSet + "/" + ref.Name
	}
	if g, ok := groupOf(id); ok && !strings.EqualFold(g.name, d.wish.ResourceGroup) {
		return g.name + "/" + name
	}
	return name
}
