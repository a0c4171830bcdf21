// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// DecideAll decides about many Services at once: for who has plain lists, such
// as the plugin. It returns the decision about each Service and the routes that
// they come to.
func DecideAll(v *View, svcs []*v1.Service, eps []*discoveryv1.EndpointSlice) (map[types.NamespacedName]Decision, *Table) {
	of := map[types.NamespacedName][]*discoveryv1.EndpointSlice{}
	for _, s := range eps {
		key := ServiceOf(s)
		of[key] = append(of[key], s)
	}
	decisions := make(map[types.NamespacedName]Decision, len(svcs))
	table := NewTable()
	for _, svc := range svcs {
		key := types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
		d := Decide(v, svc, of[key])
		decisions[key] = d
		table.Apply(key, d.Paths)
	}
	return decisions, table
}

// ServiceOf is the Service that an EndpointSlice belongs to.
func ServiceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}
