// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Asked is what of a Service asks something of a provider: an edit of anything
// else is none for us, such as a chart's label or what kubectl remembers.
type Asked struct {
	Spec        *v1.ServiceSpec
	Annotations map[string]string
	// Labels choose pools and load balancers; empty where nothing is chosen by
	// them.
	Labels map[string]string
}

// Asked is what the Service asks of the provider, read-only. Misspelt
// annotations are in it, since setting them right is an edit.
func (r *Registry) Asked(svc *v1.Service, provider string) Asked {
	out := Asked{Spec: &svc.Spec, Annotations: map[string]string{}}
	for key, text := range svc.Annotations {
		if r.isAsked(key) {
			out.Annotations[key] = text
		}
	}
	if provider != AWS {
		out.Labels = svc.Labels
	}
	return out
}

func (r *Registry) isAsked(key string) bool {
	if r.knows(key) || key == awsOtherRanges {
		return true
	}
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(key, prefix.Name) {
			return true
		}
	}
	return false
}
