// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// Instances answers for nodes.
type Instances struct{ reader *Reader }

var _ cloudprovider.InstancesV2 = Instances{}

// Instances answers for nodes from what the reader reads.
func (r *Reader) Instances() Instances { return Instances{r} }

// InstanceExists is false only when a complete list that is a few seconds old
// at most does not show the machine, and the machine itself is not there when
// it is asked for. A node that Azure does not know exists, and so does one in
// its grace period.
func (in Instances) InstanceExists(ctx context.Context, node *v1.Node) (bool, error) {
	if Unmanaged(node) {
		return true, nil
	}
	m, err := in.lookUp(ctx, node)
	if m != nil || err != nil {
		return err == nil, err
	}
	if in.reader.clock.Since(node.CreationTimestamp.Time) < in.reader.options.Grace {
		return true, nil
	}
	return in.reader.there(ctx, in.idOf(node))
}

// lookUp finds a machine, nil when it is not listed. A miss counts only in a
// newer list than a hit does.
func (in Instances) lookUp(ctx context.Context, node *v1.Node) (*Machine, error) {
	now := in.reader.clock.Now()
	m, err := in.reader.find(ctx, node, now.Add(-hitAge))
	if m != nil || err != nil {
		return m, err
	}
	return in.reader.find(ctx, node, now.Add(-missAge))
}

// idOf is the id that the node's machine has, or would have: without a
// provider id, that of a single machine with the node's name.
func (in Instances) idOf(node *v1.Node) string {
	if ref, ok := ParseProviderID(node.Spec.ProviderID); ok {
		return ref.ID()
	}
	ref := Ref{Subscription: in.reader.options.Subscription, Group: in.reader.options.ResourceGroup, Name: node.Name}
	if name := node.Labels[GroupLabel]; name != "" {
		ref.Group = name
	}
	return ref.ID()
}

// there asks for one machine.
func (r *Reader) there(ctx context.Context, id string) (bool, error) {
	if r.gone.Is(strings.ToLower(id)) {
		return false, nil
	}
	_, err := r.api.Get(ctx, id, nil)
	if arm.NotFound(err) {
		r.gone.Note(strings.ToLower(id))
		return false, nil
	}
	return err == nil, err
}

// InstanceShutdown reports whether the machine is switched off. It is false
// while the machine changes, and for one that is not there.
func (in Instances) InstanceShutdown(ctx context.Context, node *v1.Node) (bool, error) {
	if Unmanaged(node) {
		return false, nil
	}
	m, err := in.lookUp(ctx, node)
	if m == nil || err != nil {
		return false, err
	}
	st, err := in.reader.state(ctx, m)
	if err != nil {
		return false, err
	}
	if !strings.EqualFold(st.provisioning, "Succeeded") {
		return false, nil
	}
	switch st.power {
	case "stopped", "deallocated", "deallocating":
		return true, nil
	}
	return false, nil
}

// state is what the machine does. Lists of machines that are no instances of a
// uniform scale set do not say.
func (r *Reader) state(ctx context.Context, m *Machine) (status, error) {
	st, err := r.listedState(ctx, m)
	if plan.KindOf(err) != plan.Denied {
		return st, err
	}
	// An identity that may only read resource groups may not list a subscription.
	if st, ok := r.singles.status(m.ID); ok {
		return st, nil
	}
	raw, err := r.api.Get(ctx, m.ID, url.Values{"$expand": {"instanceView"}})
	if arm.NotFound(err) {
		return status{}, nil
	}
	if err != nil {
		return status{}, err
	}
	st, err = parseStatus(raw)
	if err == nil {
		r.singles.found(m.ID, st)
	}
	return st, err
}

// listedState is the state that a list shows.
func (r *Reader) listedState(ctx context.Context, m *Machine) (status, error) {
	notBefore := r.clock.Now().Add(-hitAge)
	switch m.Kind {
	case Uniform:
		return status{m.ID, m.Provisioning, m.Power, m.FaultDomain}, nil
	case Flex:
		list, err := r.machines.get(ctx, members(m.ScaleSet), notBefore)
		if err != nil {
			return status{}, err
		}
		found := pick(list.items, func(o *Machine) bool { return strings.EqualFold(o.ID, m.ID) })
		if found == nil {
			return status{}, nil
		}
		return status{m.ID, found.Provisioning, found.Power, found.FaultDomain}, nil
	case Single:
	}
	ref, _ := parseMachineID(m.ID)
	subscription := strings.ToLower(ref.Subscription)
	if r.denied.Is(subscription) {
		return status{}, errListDenied()
	}
	list, err := r.statuses.get(ctx, statusesOf(ref.Subscription), notBefore)
	if plan.KindOf(err) == plan.Denied {
		r.denied.Note(subscription)
	}
	if err != nil {
		return status{}, err
	}
	found := pick(list.items, func(s *status) bool { return strings.EqualFold(s.id, m.ID) })
	if found == nil {
		return status{}, nil
	}
	if found.provisioning == "" {
		found.provisioning = m.Provisioning
	}
	return *found, nil
}

// InstanceMetadata describes the machine. A node that Azure does not know
// keeps what it has.
func (in Instances) InstanceMetadata(ctx context.Context, node *v1.Node) (*cloudprovider.InstanceMetadata, error) {
	if Unmanaged(node) {
		return &cloudprovider.InstanceMetadata{ProviderID: node.Spec.ProviderID}, nil
	}
	m, err := in.lookUp(ctx, node)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("node %s: no virtual machine %s is there, nor a scale set's instance with that host name: %w; "+
			"if the node is not run by Azure, label it %s=false", node.Name, in.idOf(node), cloudprovider.InstanceNotFound, ManagedLabel)
	}
	addresses, err := in.reader.addresses(ctx, node, m)
	if err != nil {
		return nil, err
	}
	zone, err := in.reader.zone(ctx, node, m)
	if err != nil {
		return nil, err
	}
	id := node.Spec.ProviderID
	if id == "" {
		id = providerID(m.ID)
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID: id, InstanceType: m.Size, NodeAddresses: addresses,
		Zone: zone, Region: strings.ToLower(m.Location),
	}, nil
}

// noFaultDomain stands for a fault domain that Azure does not say.
const noFaultDomain = "0"

// zone is the availability zone of the machine, else its fault domain. A node
// without a zone keeps what it was told.
func (r *Reader) zone(ctx context.Context, node *v1.Node, m *Machine) (string, error) {
	if len(m.Zones) > 0 {
		return strings.ToLower(m.Location + "-" + m.Zones[0]), nil
	}
	if m.FaultDomain != "" {
		return m.FaultDomain, nil
	}
	if z := node.Labels[v1.LabelTopologyZone]; z != "" {
		return z, nil
	}
	st, err := r.listedState(ctx, m)
	switch {
	case plan.KindOf(err) == plan.Denied:
		return noFaultDomain, nil
	case err != nil:
		return "", err
	case st.fault == "":
		return noFaultDomain, nil
	}
	return st.fault, nil
}

// ages are how old a listing may be: one that has what is looked for, and one
// that has it not.
func (r *Reader) ages() []time.Time {
	now := r.clock.Now()
	return []time.Time{now.Add(-hitAge), now.Add(-missAge)}
}
