// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// keyLinkFrontends is where a private link service names its frontend.
const keyLinkFrontends = "loadBalancerFrontendIpConfigurations"

// privateLink is a private link service of one of the resource groups in
// question.
type privateLink struct {
	resource
	group  string
	doc    linkDocument
	subnet *subnetState // whose addresses it takes, when it is written
	remove bool
}

type linkDocument struct {
	Properties struct {
		Frontends           []reference   `json:"loadBalancerFrontendIpConfigurations"`
		IPConfigurations    []linkAddress `json:"ipConfigurations"`
		EnableProxyProtocol bool          `json:"enableProxyProtocol"`
		FQDNs               []string      `json:"fqdns"`
		Visibility          subscriptions `json:"visibility"`
		AutoApproval        subscriptions `json:"autoApproval"`
		Connections         []reference   `json:"privateEndpointConnections"`
		ProvisioningState   string        `json:"provisioningState"`
	} `json:"properties"`
}

type subscriptions struct {
	Subscriptions []string `json:"subscriptions"`
}

type linkAddress struct {
	Properties struct {
		PrivateIPAddress          string     `json:"privateIPAddress"`
		PrivateIPAllocationMethod string     `json:"privateIPAllocationMethod"`
		Subnet                    *reference `json:"subnet"`
		Primary                   bool       `json:"primary"`
	} `json:"properties"`
}

func loadPrivateLink(doc json.RawMessage) (*privateLink, error) {
	r, err := newResource(doc)
	if err != nil {
		return nil, err
	}
	l := &privateLink{resource: r, group: names.Group(r.ID)}
	if err := json.Unmarshal(doc, &l.doc); err != nil {
		return nil, fmt.Errorf("private link service %s: %w", r.Name, err)
	}
	return l, nil
}

func (l *privateLink) target(s *Settings) plan.ID {
	name := l.Name
	if !names.Same(l.group, s.privateLinkGroup()) {
		name = l.group + "/" + name
	}
	return plan.ID{Kind: kindPrivateLink, Name: name}
}

// leadsTo reports whether clients of the private link service reach the
// frontend.
func (l *privateLink) leadsTo(frontendID string) bool {
	return slices.ContainsFunc(l.doc.Properties.Frontends, func(r reference) bool { return names.Same(r.ID, frontendID) })
}

func (l *privateLink) ours(cluster string) bool {
	return names.Same(strings.TrimSpace(l.Tags[names.TagCluster]), cluster)
}

func (w *world) sortedLinks() []*privateLink {
	out := make([]*privateLink, 0, len(w.links))
	for _, id := range slices.Sorted(maps.Keys(w.links)) {
		out = append(out, w.links[id])
	}
	return out
}

// linkGroup is the resource group of the Service's private link service.
func linkGroup(s *Settings, annotations map[string]string) string {
	return cmp.Or(strings.TrimSpace(annotations[intent.KeyAzurePLSResourceGroup]), s.privateLinkGroup())
}

// linkSubnet is the subnet of the Service's private link service.
func linkSubnet(s *Settings, it *provider.Item) string {
	name, _ := it.Intent.Options.Text(intent.KeyAzurePLSSubnet)
	if name = strings.TrimSpace(name); name == "" && isInternal(it) {
		return subnetOf(s, it)
	}
	return cmp.Or(name, s.Subnet)
}

// joinLinks lets private link services lead to Services that want one, and
// takes away those that lead nowhere any more.
func (t *turn) joinLinks() {
	for _, l := range t.sortedLinks() {
		for _, id := range slices.Sorted(maps.Keys(t.dropped)) {
			if l.leadsTo(id) {
				t.dropLink(l, id)
			}
		}
	}
	for _, a := range t.asks {
		if !a.serve() {
			continue
		}
		if !a.on(intent.KeyAzurePLSCreate) {
			t.leaveLink(a)
			continue
		}
		if err := t.joinLink(a); err != nil {
			t.refuse(a, err)
		}
	}
}

// dropLink deletes a private link service before its frontend goes. Those of
// others keep their frontend.
func (t *turn) dropLink(l *privateLink, frontendID string) {
	a := t.dropped[frontendID]
	if l.ours(t.settings.Cluster) {
		l.remove = true
		l.serves[a.key] = true
		return
	}
	t.refuse(a, refuse(ReasonFrontendShared, "private link service %s of resource group %s leads to a frontend of load balancer %s that the Service leaves, and is not this cluster's; delete it first",
		l.Name, l.group, names.Segment(l.frontendID(), "loadBalancers")))
}

// leaveLink deletes the private link service of a Service that was edited to
// want none. The peer leaves it.
func (t *turn) leaveLink(a *ask) {
	fr := a.fronts[intent.V4]
	if fr == nil || !a.edited() {
		return
	}
	for _, l := range t.sortedLinks() {
		if l.leadsTo(fr.id()) && l.ours(t.settings.Cluster) && names.Same(l.Tags[names.TagOwner], a.key.String()) {
			l.remove = true
			l.change(a.key)
		}
	}
}

func (t *turn) joinLink(a *ask) error {
	fr := a.fronts[intent.V4]
	switch {
	case fr == nil:
		return refuse(ReasonUnsupported, "annotation %s is true, but the Service has no IPv4 address and private link services lead to no other; add IPv4 to spec.ipFamilies, or remove the annotation",
			intent.KeyAzurePLSCreate)
	case a.placed == names.Public && a.floating():
		return refuse(ReasonUnsupported, "annotation %s is true, which needs an internal load balancer or one without floating IP; set annotation %s or %s to true as well",
			intent.KeyAzurePLSCreate, intent.KeyAzureInternal, intent.KeyAzureNoFloatingIP)
	}
	group := linkGroup(t.settings, a.item.Service.Annotations)
	l := t.linkOf(fr.id(), group)
	if l != nil {
		if done, err := t.shareLink(a, l, fr); done || err != nil {
			return err
		}
	} else {
		var err error
		if l, err = t.newLink(a, fr, group); err != nil {
			return err
		}
	}
	if err := t.configureLink(a, l); err != nil {
		if !l.exists {
			delete(t.links, names.Key(l.ID)) // others are judged by what is there
		}
		return err
	}
	return nil
}

// linkOf is the private link service that leads to the frontend.
func (t *turn) linkOf(frontendID, group string) *privateLink {
	for _, l := range t.sortedLinks() {
		if names.Same(l.group, group) && l.leadsTo(frontendID) && !l.remove {
			return l
		}
	}
	return nil
}

// shareLink checks a private link service that is there. It is done when
// another Service owns it: that one alone says how it is.
func (t *turn) shareLink(a *ask, l *privateLink, fr *front) (done bool, err error) {
	if !l.ours(t.settings.Cluster) {
		return false, refuse(ReasonFrontendShared, "frontend %s has private link service %s of resource group %s, which is not this cluster's; delete that, or remove annotation %s",
			fr.name, l.Name, l.group, intent.KeyAzurePLSCreate)
	}
	if owner := l.Tags[names.TagOwner]; !names.Same(owner, a.key.String()) {
		if key := a.linkExtra(); key != "" {
			return false, refuse(ReasonFrontendShared, "annotation %s cannot be set: private link service %s is that of Service %s, which alone says how it is; remove the annotation",
				key, l.Name, owner)
		}
		return true, nil
	}
	want, _ := a.options().Text(intent.KeyAzurePLSName)
	if want = strings.TrimSpace(want); want != "" && !names.Same(want, l.Name) {
		return false, refuse(ReasonUnsupported, "annotation %s is %q, but the private link service is called %s, and Azure renames none; take the old name, or let it be made anew by removing annotation %s first",
			intent.KeyAzurePLSName, want, l.Name, intent.KeyAzurePLSCreate)
	}
	return false, nil
}

// linkExtra is an annotation by which the Service says how its private link
// service is; empty for none.
func (a *ask) linkExtra() string {
	for _, key := range []string{
		intent.KeyAzurePLSName, intent.KeyAzurePLSSubnet, intent.KeyAzurePLSAddressCount, intent.KeyAzurePLSAddresses,
		intent.KeyAzurePLSNames, intent.KeyAzurePLSProxyProtocol, intent.KeyAzurePLSVisibility, intent.KeyAzurePLSAutoApproval,
	} {
		if _, set := a.item.Service.Annotations[key]; set {
			return key
		}
	}
	return ""
}

func (t *turn) newLink(a *ask, fr *front, group string) (*privateLink, error) {
	name, _ := a.options().Text(intent.KeyAzurePLSName)
	name = cmp.Or(strings.TrimSpace(name), names.PrivateLink(fr.name))
	id := names.ID(t.settings.NodeSubscription, group, names.PrivateLinks, name)
	if other, taken := t.links[names.Key(id)]; taken {
		return nil, refuse(ReasonFrontendShared, "private link service %s of resource group %s leads elsewhere already; name another one in annotation %s",
			other.Name, group, intent.KeyAzurePLSName)
	}
	fields := []field{{"name", name}, {"id", id}, {"location", t.settings.Location}}
	if t.settings.Edge != "" {
		fields = append(fields, field{"extendedLocation", edgeZone(t.settings)})
	}
	properties := set(object(), []json.RawMessage{object(field{"id", fr.id()})}, keyLinkFrontends)
	fields = append(fields,
		field{"tags", map[string]string{names.TagCluster: t.settings.Cluster, names.TagOwner: a.key.String()}},
		field{"properties", properties},
	)
	l, err := loadPrivateLink(object(fields...))
	if err != nil {
		return nil, err
	}
	l.exists = false
	l.change(a.key, plan.Diff{Field: "frontend", Want: fr.name})
	t.links[names.Key(id)] = l
	return l, nil
}

// privateLinks writes the steps of private link services and of the subnets
// that they need; each after the load balancer that it leads to.
func (o *order) privateLinks() {
	t := o.turn
	for _, l := range t.sortedLinks() {
		w := Write{ID: l.ID, Etag: l.Etag, Document: l.raw}
		st := plan.Step{Action: plan.Update, Target: l.target(t.settings), Serves: l.keys(), Why: l.diffs}
		switch {
		case l.remove:
			st.Action, w.Delete, w.Document = plan.Delete, true, nil
			st.Why, st.Needs = nil, o.beforeUnlink(l)
			for _, c := range l.doc.Properties.Connections {
				w.First, w.Refresh = append(w.First, c.ID), true
				st.Why = append(st.Why, plan.Diff{Field: "connection", Have: names.Last(c.ID)})
			}
		case !l.exists:
			st.Action = plan.Create
		case same(l.first, l.raw):
			continue
		}
		if !l.remove {
			st.Needs = o.beforeLink(l)
		}
		o.add(st, w)
	}
}

// beforeLink are the steps before that of the private link service: its
// subnet's, and that of its load balancer.
func (o *order) beforeLink(l *privateLink) []plan.ID {
	var out []plan.ID
	if s := l.subnet; s != nil && s.opened {
		out = append(out, o.openSubnet(s, l))
	}
	for id, b := range o.balancers {
		if l.isOf(b) {
			out = append(out, id)
		}
	}
	return out
}

// openSubnet is the step that lets private link services take addresses from
// the subnet; one for all that want to. It comes after the load balancers, which
// take addresses from the subnet as well and so move its etag, and after the
// security group: Azure writes no subnet whose group is being written.
func (o *order) openSubnet(s *subnetState, l *privateLink) plan.ID {
	id := plan.ID{Kind: kindSubnet, Name: s.doc.Name}
	for i := range o.result.Steps {
		if st := &o.result.Steps[i]; st.Target == id {
			st.Serves = append(st.Serves, l.keys()...)
			return id
		}
	}
	why := []plan.Diff{{Field: keyLinkPolicy, Have: "Enabled", Want: "Disabled"}}
	o.add(plan.Step{Action: plan.Update, Target: id, Serves: l.keys(), Why: why, Needs: o.shared()},
		Write{ID: s.doc.ID, Etag: s.etag, Document: s.raw, Refresh: len(o.shared()) > 0})
	return id
}

// beforeUnlink are the steps before a private link service is deleted: those
// that its load balancer waits for, when another one takes over.
func (o *order) beforeUnlink(l *privateLink) []plan.ID {
	for _, b := range o.balancers {
		if l.isOf(b) && o.flips(b) {
			return slices.DeleteFunc(o.needsOf(b), func(id plan.ID) bool { return id.Kind == kindPrivateLink })
		}
	}
	return nil
}

// isOf reports whether the private link service leads to the load balancer.
func (l *privateLink) isOf(b *balancer) bool {
	return strings.HasPrefix(names.Key(l.frontendID()), names.Key(b.ID)+"/")
}

func (l *privateLink) frontendID() string {
	if len(l.doc.Properties.Frontends) == 0 {
		return ""
	}
	return l.doc.Properties.Frontends[0].ID
}
