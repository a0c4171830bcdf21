// SPDX-License-Identifier: Apache-2.0

package names

import (
	"maps"
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

// IsReserved reports whether the tag with the key tells whose a resource is, so
// that no user may set it. Azure compares keys without case.
func IsReserved(key string) bool {
	return Among([]string{TagService, TagCluster, TagDNSService, TagOwner}, key)
}

// WithLegacy are the wanted tags of a public IP with the legacy ones that it has:
// they are plain words, and tell whose an address is that has no newer one.
func WithLegacy(have, want map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, want)
	for legacy, now := range map[string]string{TagServiceLegacy: TagService, TagClusterLegacy: TagCluster, TagDNSServiceLegacy: TagDNSService} {
		at, has := FindTag(have, legacy)
		key, wanted := FindTag(want, legacy)
		if _, newer := FindTag(have, now); has && (!newer || !wanted) {
			out[key] = have[at]
		}
	}
	return out
}

// Retag is what changes of the tags that a resource has when it shall have the
// wanted ones: those that are set, by the resource's own key where it has one,
// and those that go, sorted. Keys and values are compared without case. Others
// stay, unless system names the beginnings of those that may. Tags that tell whose
// the resource is are neither set nor taken away.
func Retag(have, want map[string]string, system []string) (set map[string]string, gone []string) {
	set = map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		key, found := FindTag(have, k)
		if IsReserved(k) || (found && strings.EqualFold(have[key], want[k])) {
			continue
		}
		set[key] = want[k]
	}
	if len(system) == 0 {
		return set, nil
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		_, wanted := FindTag(want, k)
		if !wanted && !IsReserved(k) && !slices.ContainsFunc(system, func(prefix string) bool { return HasPrefix(k, prefix) }) {
			gone = append(gone, k)
		}
	}
	return set, gone
}

// FindTag is the key that equals key without case, and whether there is one; key
// itself where there is none.
func FindTag(tags map[string]string, key string) (string, bool) {
	if _, ok := tags[key]; ok {
		return key, true
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(k, key) {
			return k, true
		}
	}
	return key, false
}

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
