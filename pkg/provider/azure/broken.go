// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// broken is a document that is not as Azure writes them. It is left alone, and
// fails the Services that it may be about.
type broken struct {
	id, name string
	raw      json.RawMessage
	err      error
	// balancer: it is a load balancer of the cluster, of this exposure; zero for
	// other resources.
	balancer names.Exposure
}

// leave notes a document that cannot be read.
func (w *world) leave(raw json.RawMessage, err error) {
	b := broken{id: idOf(raw), raw: raw, err: err}
	b.name = names.Last(b.id)
	if names.Segment(b.id, "loadBalancers") != "" {
		b.balancer = names.ExposureOf(b.name)
	}
	w.broken = append(w.broken, b)
}

// unreadable are the ids of the documents that are left alone, sorted.
func (w *world) unreadable() []string {
	out := make([]string, 0, len(w.broken))
	for i := range w.broken {
		out = append(out, w.broken[i].id)
	}
	slices.Sort(out)
	return out
}

// whole fails a Service that a document which cannot be read may be about.
func (t *turn) whole(a *ask) error {
	for i := range t.broken {
		b := &t.broken[i]
		if !t.concerns(a, b) {
			continue
		}
		return &plan.Error{Kind: plan.Transient, Reason: ReasonUnreadableResource, Err: fmt.Errorf("%s is not as Azure writes it, and is left alone: %w; see whether Azure shows it as it should be", b.id, b.err)}
	}
	return nil
}

// concerns reports whether the document names the Service or what it has, is
// named by it, or is the load balancer that would serve it.
func (t *turn) concerns(a *ask, b *broken) bool {
	if b.balancer != 0 && a.serve() && a.placed == b.balancer {
		return true
	}
	if mentions(b.raw, []byte(a.base)) || mentions(b.raw, []byte(`"`+a.key.String()+`"`)) {
		return true
	}
	for _, ip := range a.statusAddresses() {
		if mentions(b.raw, []byte(`"`+ip.String()+`"`)) {
			return true
		}
	}
	for _, f := range a.families {
		if name, _ := a.perFamily(f, intent.KeyAzurePublicIPName, intent.KeyAzurePublicIPNameV6); name != "" && names.Same(name, b.name) {
			return true
		}
		if ip, _ := a.requested(f); ip.IsValid() && mentions(b.raw, []byte(`"`+ip.String()+`"`)) {
			return true
		}
	}
	return t.hasFrontendOf(a, b.id)
}

// hasFrontendOf reports whether a frontend of the Service has the public IP.
func (t *turn) hasFrontendOf(a *ask, publicIP string) bool {
	for _, b := range t.balancers {
		for _, f := range b.frontends.all() {
			if names.Same(f.Properties.PublicIPAddress.id(), publicIP) && b.isFrontendOf(a.base, f) {
				return true
			}
		}
	}
	return false
}
