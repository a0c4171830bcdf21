// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"context"
	"fmt"
	"net/netip"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// sharingAnnotations hold the sharing key; the first that is there counts.
func sharingAnnotations() [3]string {
	return [...]string{intent.KeySharing, "metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip"}
}

// observed is what one pass knows.
type observed struct {
	state    ipam.State
	holders  map[plan.Key]int // index in state.Holders, of those in the batch
	records  map[plan.Key]record
	requests []ipam.Request
	leaving  []plan.Key
}

// Observe reads the status of every Service, and joins what was given a moment
// ago. It calls nobody.
func (p *Provider) Observe(_ context.Context, batch provider.Batch) (provider.Pass, error) {
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	o := observed{holders: map[plan.Key]int{}, records: map[plan.Key]record{}}
	items := make(map[plan.Key]*provider.Item, len(batch.Items))
	for i := range batch.Items {
		items[batch.Items[i].Key] = &batch.Items[i]
	}
	p.memory.observe(&o, services, items)
	o.state.Pools = p.config.Load().pools
	for i := range batch.Items {
		it := &batch.Items[i]
		switch it.Want {
		case provider.Serve:
			o.requests = append(o.requests, p.request(it))
		case provider.Remove:
			if _, ok := o.holders[it.Key]; ok { // else another life of the name may hold some
				o.leaving = append(o.leaving, it.Key)
			}
		case provider.Keep:
		}
	}
	return newPass(p.memory, batch, o), nil
}

// observe collects who has what. The Services of the batch are ours: what
// their status shows at first sight is noted as given.
func (m *memory) observe(o *observed, services []*v1.Service, items map[plan.Key]*provider.Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	m.journal.Turn()
	o.state.Holders = make([]ipam.Holder, 0, len(services))
	listed := make(map[plan.Key]struct{}, len(items))
	for _, svc := range services {
		key := provider.KeyOf(svc)
		it := items[key]
		if it != nil {
			listed[key] = struct{}{}
		}
		m.look(o, svc, it)
	}
	for key, it := range items {
		if _, ok := listed[key]; !ok {
			m.lookGone(o, it)
		}
	}
	m.forget(func(key plan.Key) bool { return items[key] != nil })
	o.state.History = m.journal.History()
}

// look adds the Service to those that hold addresses, if it does.
func (m *memory) look(o *observed, svc *v1.Service, it *provider.Item) {
	key := provider.KeyOf(svc)
	addresses := m.addresses(key, svc.UID, statusAddresses(svc))
	mine := it != nil && it.Service.UID == svc.UID
	if mine && it.Want == provider.Serve && m.records[key] == nil && len(addresses) > 0 {
		m.records[key] = &record{uid: svc.UID, addresses: addresses, sharing: sharing(&it.Intent), seen: m.turn, learned: true}
	}
	if r := m.records[key]; mine && r != nil {
		o.records[key] = *r
	}
	if len(addresses) == 0 {
		return
	}
	if mine {
		o.holders[key] = len(o.state.Holders)
	}
	shown := statusAddresses(svc)
	if r := m.records[key]; r != nil && r.removed() {
		shown = addresses // what was released is free at once
	}
	o.state.Holders = append(o.state.Holders, ipam.Holder{
		Key: key, Created: svc.CreationTimestamp.Time, Addresses: addresses, Shown: shown, Sharing: sharingOf(svc),
	})
}

// lookGone adds a Service of the batch that is not listed any more, nor another
// one of its name: until then its record counts.
func (m *memory) lookGone(o *observed, it *provider.Item) {
	addresses := m.addresses(it.Key, it.Service.UID, statusAddresses(it.Service))
	if r := m.records[it.Key]; r != nil {
		o.records[it.Key] = *r
	}
	if len(addresses) == 0 {
		return
	}
	o.holders[it.Key] = len(o.state.Holders)
	o.state.Holders = append(o.state.Holders, ipam.Holder{
		Key: it.Key, Created: it.Service.CreationTimestamp.Time, Addresses: addresses, Sharing: sharingOf(it.Service),
	})
}

// statusAddresses are the addresses in the status. Host names, and what does
// not parse, are none of ours.
func statusAddresses(svc *v1.Service) []netip.Addr {
	ingress := svc.Status.LoadBalancer.Ingress
	if len(ingress) == 0 {
		return nil
	}
	out := make([]netip.Addr, 0, len(ingress))
	for i := range ingress {
		if a, err := netip.ParseAddr(ingress[i].IP); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// sharingOf is how a Service shares that is not in the batch.
func sharingOf(svc *v1.Service) ipam.Sharing {
	for _, name := range sharingAnnotations() {
		key, ok := svc.Annotations[name]
		if !ok {
			continue
		}
		if key == "" {
			return ipam.Sharing{}
		}
		ports := make([]ipam.Port, 0, len(svc.Spec.Ports))
		for i := range svc.Spec.Ports {
			ports = append(ports, portOf(&svc.Spec.Ports[i]))
		}
		traffic := intent.Cluster
		if svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal {
			traffic = intent.Local
		}
		return ipam.NewSharing(key, ports, traffic, svc.Spec.Selector)
	}
	return ipam.Sharing{}
}

func portOf(p *v1.ServicePort) ipam.Port {
	proto := intent.TCP
	switch p.Protocol {
	case v1.ProtocolUDP:
		proto = intent.UDP
	case v1.ProtocolSCTP:
		proto = intent.SCTP
	case v1.ProtocolTCP:
	}
	return ipam.Port{Proto: proto, Port: uint16(p.Port)} //nolint:gosec // G115: the API allows 1 to 65535 alone.
}

// sharing is how a Service shares by its intent.
func sharing(in *intent.Intent) ipam.Sharing {
	ports := make([]ipam.Port, len(in.Ports))
	for i, p := range in.Ports {
		ports[i] = ipam.Port{Proto: p.Proto, Port: p.Port}
	}
	return ipam.NewSharing(in.SharingKey, ports, in.Traffic, in.Selector)
}

// request is what the item asks the pools for.
func (p *Provider) request(it *provider.Item) ipam.Request {
	in := &it.Intent
	return ipam.Request{
		Key:             it.Key,
		Created:         it.Service.CreationTimestamp.Time,
		Labels:          in.Labels,
		NamespaceLabels: p.namespaceLabels(it.Key.Namespace),
		Families:        in.Families,
		Policy:          in.FamilyPolicy,
		Addresses:       in.Addresses,
		Pool:            in.Pool,
		Sharing:         sharing(in),
		Fields: ipam.Fields{
			Addresses: in.AddressSource,
			Pool:      in.Options.Source(intent.KeyPool),
			Sharing:   in.Options.Source(intent.KeySharing),
		},
	}
}

func (p *Provider) namespaceLabels(name string) labels.Set {
	if p.namespaces == nil {
		return nil
	}
	ns, err := p.namespaces.Get(name)
	if err != nil {
		return nil
	}
	return ns.Labels
}
