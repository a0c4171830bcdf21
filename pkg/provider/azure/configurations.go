// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// Configuration is one of several load balancers of a cluster: a public and an
// internal one of its name. Services are spread over them, and so are nodes.
type Configuration struct {
	Name string
	// Closed: Services that are not there already do not come.
	Closed bool
	// PrimarySet is the scale set or availability set whose nodes are here.
	PrimarySet string
	// Services and Namespaces select the Services that may come; nil: all.
	// Where a selector matches, configurations without one are not used.
	Services, Namespaces labels.Selector
	// Nodes selects the nodes that rather come here; nil: none.
	Nodes labels.Selector
}

// several reports whether there are several load balancer configurations.
func (s *Settings) several() bool { return len(s.Configurations) > 0 }

// configurations are their names; one alone is called as the settings say.
func (s *Settings) configurations() []string {
	if !s.several() {
		return []string{s.single()}
	}
	out := make([]string, len(s.Configurations))
	for i := range s.Configurations {
		out[i] = s.Configurations[i].Name
	}
	return out
}

// pins reports whether the Service asks for an address that may have a load
// balancer already.
func (a *ask) pins() bool {
	for _, f := range a.families {
		if ip, _ := a.requested(f); ip.IsValid() {
			return true
		}
		if name, _ := a.perFamily(f, intent.KeyAzurePublicIPName, intent.KeyAzurePublicIPNameV6); name != "" && a.placed == names.Public {
			return true
		}
	}
	return false
}

// annotated are the configurations that the Service names, in lower case.
func (a *ask) annotated() []string {
	texts, _ := a.options().Texts(intent.KeyAzureConfigurations)
	for i, text := range texts {
		texts[i] = strings.ToLower(strings.TrimSpace(text))
	}
	return texts
}

// place decides which load balancer serves the Service: the one where it is,
// or where its address is, else the eligible one that has the fewest rules.
func (t *turn) place(a *ask) error {
	if !t.settings.several() {
		a.balancer = t.balancer(t.settings.single(), a.placed)
		return nil
	}
	if name, ok := t.placed[a.key]; ok {
		a.balancer = t.balancer(name, a.placed)
		return nil
	}
	at := t.whereFrontend(a)
	if at == "" || a.pins() || len(a.annotated()) > 0 {
		at = t.whereRules(a)
	}
	pinned := false
	if a.pins() {
		if where := t.whereAddress(a); where != "" {
			at, pinned = where, true
		}
	}
	eligible, err := t.eligible(a)
	if err != nil {
		return err
	}
	if pinned && !names.Among(eligible, at) {
		return refuse(ReasonNoLoadBalancerEligible, "the address that the Service asks for is on load balancer %s, but only %s may serve it; take annotation %s away or name %s in it, or ask for another address",
			at, strings.Join(eligible, ", "), intent.KeyAzureConfigurations, at)
	}
	name := t.choose(a, eligible, at)
	t.placed[a.key] = name
	a.balancer = t.balancer(name, a.placed)
	if !names.Same(name, at) {
		t.pending[a.balancer] += len(a.item.Intent.Ports) * len(a.families)
	}
	return nil
}

// eligible are the configurations that may serve the Service.
func (t *turn) eligible(a *ask) ([]string, error) {
	annotated := a.annotated()
	var open, matched []string
	named := 0
	in := t.whereRules(a)
	for i := range t.settings.Configurations {
		c := &t.settings.Configurations[i]
		if len(annotated) > 0 && !names.Among(annotated, c.Name) {
			continue
		}
		named++
		if c.Closed && !names.Same(in, c.Name) {
			continue
		}
		if c.Services != nil && !c.Services.Matches(labels.Set(a.item.Service.Labels)) {
			continue
		}
		if c.Namespaces != nil && !c.Namespaces.Matches(labels.Set(t.observed.Namespaces[a.key.Namespace])) {
			continue
		}
		open = append(open, c.Name)
		if c.Services != nil || c.Namespaces != nil {
			matched = append(matched, c.Name)
		}
	}
	switch {
	case named == 0:
		return nil, refuse(ReasonNoLoadBalancerEligible, "annotation %s names %s, but the cloud config has %s alone; name one of them, or remove the annotation",
			intent.KeyAzureConfigurations, strings.Join(annotated, ", "), strings.Join(t.settings.configurations(), ", "))
	case len(open) == 0:
		return nil, refuse(ReasonNoLoadBalancerEligible, "no load balancer configuration admits the Service: each is closed, or selects other labels or namespaces; change annotation %s, the Service's labels, or the cloud config",
			intent.KeyAzureConfigurations)
	case len(matched) > 0:
		return matched, nil
	}
	return open, nil
}

// choose is the configuration where the Service is, if it may stay; else the
// first that is not made yet, else the one with the fewest rules.
func (t *turn) choose(a *ask, eligible []string, at string) string {
	if names.Among(eligible, at) {
		return at
	}
	best, fewest := "", 0
	for _, name := range eligible {
		b, has := t.balancers[names.Key(names.LoadBalancer(name, a.placed))]
		if !has {
			return name
		}
		if rules := b.rules.list.Len() + t.pending[b]; best == "" || rules < fewest {
			best, fewest = name, rules
		}
	}
	return best
}

// whereFrontend is the configuration where a frontend bears the Service's
// name, of the exposure that it asks for; empty for none.
func (t *turn) whereFrontend(a *ask) string {
	for _, b := range t.sortedBalancers() {
		if b.exposure != a.placed {
			continue
		}
		for _, f := range b.frontends.all() {
			if names.Owns(a.base, f.Name) {
				return names.Configuration(b.Name)
			}
		}
	}
	return ""
}

// whereRules is the configuration where the Service has rules.
func (t *turn) whereRules(a *ask) string {
	for _, name := range t.settings.configurations() {
		for _, e := range []names.Exposure{names.Public, names.Internal} {
			b, has := t.balancers[names.Key(names.LoadBalancer(name, e))]
			if !has {
				continue
			}
			for _, r := range b.rules.all() {
				if names.Owns(a.base, r.Name) {
					return name
				}
			}
		}
	}
	return ""
}

// whereAddress is the configuration that has the address that the Service
// asks for.
func (t *turn) whereAddress(a *ask) string {
	for _, f := range a.families {
		want, _ := a.requested(f)
		name, _ := a.perFamily(f, intent.KeyAzurePublicIPName, intent.KeyAzurePublicIPNameV6)
		for _, b := range t.sortedBalancers() {
			if b.exposure == a.placed && t.hasAddress(a, b, want, name) {
				return names.Configuration(b.Name)
			}
		}
	}
	return ""
}

func (t *turn) hasAddress(a *ask, b *balancer, want netip.Addr, publicIPName string) bool {
	group := publicIPGroup(t.settings, a.item.Service.Annotations)
	for _, f := range b.frontends.all() {
		if a.placed == names.Internal {
			if want.IsValid() && f.address() == want {
				return true
			}
			continue
		}
		p, ok := t.publicIPs[names.Key(f.Properties.PublicIPAddress.id())]
		if !ok || !names.Same(p.group, group) {
			continue
		}
		if (want.IsValid() && p.address() == want) || (publicIPName != "" && names.Same(p.Name, publicIPName)) {
			return true
		}
	}
	return false
}

// follows notes that the load balancer can have the public IP only after
// another one has let it go, and refuses a circle: one of the Services moves
// in the next pass then.
func (t *turn) follows(b, before *balancer) error {
	if b == before {
		return nil
	}
	if t.reaches(before, b) {
		return &plan.Error{Kind: plan.Conflict, Reason: ReasonMovesCross, Err: errMovesCross}
	}
	if t.after[b] == nil {
		t.after[b] = map[*balancer]bool{}
	}
	t.after[b][before] = true
	before.releases = true
	return nil
}

// reaches reports whether from waits for to.
func (t *turn) reaches(from, to *balancer) bool {
	if from == to {
		return true
	}
	for next := range t.after[from] {
		if t.reaches(next, to) {
			return true
		}
	}
	return false
}
