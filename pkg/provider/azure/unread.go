// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// ReadKind is what a read is of that only some Services need. The zero value
// is none.
type ReadKind uint8

// The kinds.
const (
	ReadPublicIPs    ReadKind = iota + 1 // of a resource group that is not the cluster's
	ReadPrivateLinks                     // of a resource group
	ReadSubnet
	ReadZones // of the region; it has no name
)

// Read is a read that only some Services need.
type Read struct {
	Kind ReadKind
	Name string // of the resource group or subnet, in lower case
}

func readOf(kind ReadKind, name string) Read { return Read{kind, names.Key(name)} }

// unread is the error of a read that did not succeed; nil for others.
func (w *world) unread(kind ReadKind, name string) error {
	if err := w.badSubnets[names.Key(name)]; err != nil && kind == ReadSubnet {
		return err
	}
	return w.observed.Unread[readOf(kind, name)]
}

// readable refuses a Service that needs what could not be read.
func (t *turn) readable(a *ask) error {
	if err := t.whole(a); err != nil {
		return err
	}
	if err := t.readableGroup(a); err != nil {
		return err
	}
	if err := t.readableLinks(a); err != nil {
		return err
	}
	if !a.serve() || a.placed != names.Internal {
		return nil
	}
	name := subnetOf(t.settings, a.item)
	switch {
	case t.settings.Network == "":
		return refuse(ReasonSubnetNotFound, "vnetName is not set in the cloud config, so that an internal load balancer has no subnet to take addresses from; set it and subnetName, or remove annotation %s",
			intent.KeyAzureInternal)
	case name == "":
		return refuse(ReasonSubnetNotFound, "no subnet is named for the internal load balancer; set annotation %s, or subnetName in the cloud config",
			intent.KeyAzureInternalSubnet)
	}
	return needed(t.unread(ReadSubnet, name), "%s names subnet %q, which cannot be read", a.subnetSource(), name)
}

// readableGroup is about the resource group of the Service's public IPs. One
// that goes and has nothing there may go all the same; while it is not known
// whether the read may succeed, it waits.
func (t *turn) readableGroup(a *ask) error {
	group := publicIPGroup(t.settings, a.item.Service.Annotations)
	for _, before := range t.unreadGroups() {
		if !names.Same(before, group) && mayLose(a.item) && t.hasFrontendIn(a, before) {
			return needed(t.unread(ReadPublicIPs, before), "the Service has a public IP in resource group %q, whose public IPs cannot be read", before)
		}
	}
	err := t.unread(ReadPublicIPs, group)
	public := a.serve() && a.placed == names.Public
	if err == nil || (!public && plan.KindOf(err).Refuses() && !t.mayHavePublicIPs(a, group)) {
		return nil
	}
	return needed(err, "annotation %s names resource group %q, whose public IPs cannot be read", intent.KeyAzureResourceGroup, group)
}

// readableLinks is about the resource group of the Service's private link
// services. When nothing in the Service says that it has one, a refusal is not
// in its way: Azure keeps a frontend that a private link service leads to.
func (t *turn) readableLinks(a *ask) error {
	create := a.serve() && a.on(intent.KeyAzurePLSCreate)
	group := linkGroup(t.settings, a.item.Service.Annotations)
	err := t.unread(ReadPrivateLinks, group)
	if err != nil && (create || (mayLose(a.item) && t.carriesLinks(a.base) && (!plan.KindOf(err).Refuses() || saysLink(a.item)))) {
		return needed(err, "the private link services of resource group %q (annotation %s, or privateLinkServiceResourceGroup in the cloud config) cannot be read",
			group, intent.KeyAzurePLSResourceGroup)
	}
	if !create {
		return nil
	}
	name := linkSubnet(t.settings, a.item)
	if name == "" || t.settings.Network == "" {
		return refuse(ReasonSubnetNotFound, "no subnet is named for the private link service; set annotation %s, or vnetName and subnetName in the cloud config",
			intent.KeyAzurePLSSubnet)
	}
	return needed(t.unread(ReadSubnet, name), "subnet %q for the private link service (annotation %s) cannot be read", name, intent.KeyAzurePLSSubnet)
}

// needed is the error of a read for a Service that needs it: of the same kind,
// in a sentence that says what asked for it. Nil stays nil.
func needed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	e := plan.Error{Kind: plan.KindOf(err), Reason: ReasonNotReadable}
	if cause, ok := errors.AsType[*plan.Error](err); ok {
		e.Reason, e.RetryAfter = cause.Reason, cause.RetryAfter
	}
	e.Err = fmt.Errorf(format+": %w", append(args, err)...)
	return &e
}

// mayHavePublicIPs reports whether the Service may have public IPs in a group
// that could not be read: a frontend of it names one, or its status has an
// address that nothing else explains.
func (t *turn) mayHavePublicIPs(a *ask, group string) bool {
	if t.hasFrontendIn(a, group) {
		return true
	}
	known := additionalOf(a.item.Service)
	for _, b := range t.sortedBalancers() {
		for _, f := range b.frontends.all() {
			known = append(known, f.address())
		}
	}
	for _, p := range t.publicIPs {
		known = append(known, p.address())
	}
	return slices.ContainsFunc(a.statusAddresses(), func(ip netip.Addr) bool { return !slices.Contains(known, ip) })
}

// unreadGroups are the resource groups whose public IPs could not be read.
func (w *world) unreadGroups() []string {
	var out []string
	for read := range w.observed.Unread {
		if read.Kind == ReadPublicIPs {
			out = append(out, read.Name)
		}
	}
	slices.Sort(out)
	return out
}

// hasFrontendIn reports whether a frontend of the Service has a public IP of
// the resource group.
func (t *turn) hasFrontendIn(a *ask, group string) bool {
	for _, b := range t.balancers {
		for _, f := range b.frontends.all() {
			id := f.Properties.PublicIPAddress.id()
			if id != "" && names.Same(names.Group(id), group) && b.isFrontendOf(a.base, f) {
				return true
			}
		}
	}
	return false
}

// isFrontendOf reports whether the frontend is of the Service with this base name,
// or one of its rules uses it.
func (b *balancer) isFrontendOf(base string, f *frontend) bool {
	if names.Owns(base, f.Name) {
		return true
	}
	return slices.ContainsFunc(b.rules.all(), func(r *rule) bool {
		return names.Owns(base, r.Name) && names.Same(r.Properties.FrontendIPConfiguration.id(), b.frontendID(f.Name))
	})
}

// mayLose reports whether what the Service has may go with what is done.
func mayLose(it *provider.Item) bool {
	return it.Want == provider.Remove || it.Want == provider.Serve && it.Edited()
}

// saysLink reports whether an annotation of the Service is about a private
// link service.
func saysLink(it *provider.Item) bool {
	for key := range it.Service.Annotations {
		if strings.HasPrefix(key, intent.PrefixAzurePLS) {
			return true
		}
	}
	return false
}

// carriesLinks reports whether the Service has a frontend that a private link
// service may lead to: an internal one, or one with a rule without floating IP.
func (w *world) carriesLinks(base string) bool {
	for _, b := range w.balancers {
		if b.carriesLinks(base) {
			return true
		}
	}
	return false
}

func (b *balancer) carriesLinks(base string) bool {
	for _, f := range b.frontends.all() {
		if b.exposure == names.Internal && names.Owns(base, f.Name) {
			return true
		}
	}
	for _, r := range b.rules.all() {
		floating := r.Properties.EnableFloatingIP
		if names.Owns(base, r.Name) && (b.exposure == names.Internal || floating == nil || !*floating) {
			return true
		}
	}
	return false
}
