// SPDX-License-Identifier: Apache-2.0

package names

import (
	"slices"
	"strings"
)

// Tags of public IPs and private link services, each with the name it had.
const (
	TagService          = "k8s-azure-service"
	TagServiceLegacy    = "service"
	TagCluster          = "k8s-azure-cluster-name"
	TagClusterLegacy    = "kubernetes-cluster-name"
	TagDNSService       = "k8s-azure-dns-label-service"
	TagDNSServiceLegacy = "kubernetes-dns-label-service"
	TagOwner            = "k8s-azure-owner-service"
)

// Tag is the value of a tag, which counts before its legacy name; empty for
// none.
func Tag(tags map[string]string, key, legacy string) string {
	if v, ok := tags[key]; ok {
		return v
	}
	return tags[legacy]
}

// Services are the Services that a tag lists, as namespace/name.
func Services(tag string) []string {
	var out []string
	for name := range strings.SplitSeq(tag, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// WithService is the tag with the Service added at its end.
func WithService(tag, service string) string {
	if HasService(tag, service) {
		return tag
	}
	return strings.Join(append(Services(tag), service), ",")
}

// WithoutService is the tag without the Service.
func WithoutService(tag, service string) string {
	return strings.Join(slices.DeleteFunc(Services(tag), func(s string) bool { return strings.EqualFold(s, service) }), ",")
}

// HasService reports whether the tag lists the Service.
func HasService(tag, service string) bool {
	return slices.ContainsFunc(Services(tag), func(s string) bool { return strings.EqualFold(s, service) })
}
