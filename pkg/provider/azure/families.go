// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// otherFamily is why a Service whose families changed is not served yet.
const otherFamily = "what bears the Service's name is of the other IP family and is deleted, since Azure changes the family of none; it is made anew now"

// checkFamilies lets go of frontends that bear a name which is the other
// family's now: names of IPv6 have a suffix in dual-stack Services alone, so
// they change with the families of a Service that has IPv6 first.
func (t *turn) checkFamilies(a *ask, b *balancer) error {
	for _, f := range a.families {
		name := a.names.Frontend(f)
		fe, has := b.frontends.get(name)
		if !has || t.familyOf(fe, f) == f {
			continue
		}
		if other := t.sharer(a, b, name); other != "" {
			return refuse(ReasonFrontendShared, "frontend %s of load balancer %s has an address of the family that the Service changes, but %s uses it as well; move that Service to another address first",
				name, b.Name, other)
		}
		if !a.edited() && !a.otherFamilies() {
			return refuse(ReasonUnsupported, "frontend %s of load balancer %s is of another IP family than spec.ipFamilies asks for; edit the Service to let it be made anew, with other addresses",
				name, b.Name)
		}
		a.renews = otherFamily
	}
	return nil
}

// familyOf is the family of the frontend's address; def when it is not known.
func (t *turn) familyOf(fe *frontend, def intent.Family) intent.Family {
	if p := fe.Properties.PublicIPAddress; p != nil {
		if pip, ok := t.publicIPs[names.Key(p.ID)]; ok {
			return pip.family()
		}
		return def
	}
	if ip := fe.address(); ip.IsValid() {
		return intent.FamilyOf(ip)
	}
	if names.Same(fe.Properties.PrivateIPAddressVersion, version(intent.V6)) {
		return intent.V6
	}
	return def
}

// otherFamilies reports whether the status shows other families than the
// Service has: its families were edited while no controller was there.
func (a *ask) otherFamilies() bool {
	shown := map[intent.Family]bool{}
	for _, ip := range a.statusAddresses() {
		shown[intent.FamilyOf(ip)] = true
	}
	if len(shown) == 0 {
		return false
	}
	for _, f := range a.families {
		if !shown[f] {
			return true
		}
	}
	return len(shown) != len(a.families)
}

// staleFamily reports whether a public IP of the Service alone bears a name that is
// the other family's now, and no frontend has it any more.
func (t *turn) staleFamily(a *ask, p *publicIP, f intent.Family) bool {
	return p.exists && p.family() != f && p.taggedFor(a.key.String(), t.settings.Cluster) &&
		names.WithoutService(p.serviceTag(), a.key.String()) == "" && t.attachedElsewhere(p) == ""
}
