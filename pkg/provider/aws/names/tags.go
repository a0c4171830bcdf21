// SPDX-License-Identifier: Apache-2.0

package names

import (
	"maps"
	"slices"
	"strings"
)

// Keys of tags.
const (
	clusterPrefix = "kubernetes.io/cluster/"
	legacyCluster = "KubernetesCluster"
	// TagService names the Service as namespace/name.
	TagService = "kubernetes.io/service-name"
	// TagMade marks load balancers that we made. Others are a peer's: where they
	// differ from what they should be, they do so until the user edits the
	// Service.
	TagMade = "fairlead.dev/made"
	// TagCertificates marks load balancers of ours whose listeners have had more
	// certificates than one: lists do not tell, and asking costs a call for each
	// listener.
	TagCertificates = "fairlead.dev/certificates"
	// TagBase is the name of the load balancer that an object was made for, in
	// which its Service's UID is. It is set where the cluster has no id.
	TagBase = "fairlead.dev/load-balancer"
	// TagRolePublic and TagRoleInternal mark subnets for load balancers,
	// whatever the value.
	TagRolePublic   = "kubernetes.io/role/elb"
	TagRoleInternal = "kubernetes.io/role/internal-elb"
)

// owned is the value of the cluster's tag on what belongs to it alone.
const owned = "owned"

// Cluster says which tags prove that something is a cluster's.
type Cluster struct {
	ID     string // empty: tags prove nothing
	Legacy bool   // the cluster's tag is KubernetesCluster too
}

// Key is the key of the cluster's tag.
func (c Cluster) Key() string { return clusterPrefix + c.ID }

// Has reports whether the tags name the cluster, which without an id everything
// does.
func (c Cluster) Has(tags map[string]string) bool {
	if c.ID == "" {
		return true
	}
	_, ok := tags[c.Key()]
	return ok || tags[legacyCluster] == c.ID
}

// Owns reports whether the tags say that it is this cluster's alone. Without an
// id nothing is.
func (c Cluster) Owns(tags map[string]string) bool {
	if c.ID == "" {
		return false
	}
	return tags[c.Key()] == owned || tags[legacyCluster] == c.ID
}

// Foreign reports whether the tags name other clusters and not this one.
func (c Cluster) Foreign(tags map[string]string) bool {
	if c.ID == "" || c.Has(tags) {
		return false
	}
	return claimed(tags)
}

// ClusterTagged reports whether the tags name a cluster in the way that
// subnets are marked.
func ClusterTagged(tags map[string]string) bool {
	for key := range tags {
		if strings.HasPrefix(key, clusterPrefix) {
			return true
		}
	}
	return false
}

// ClusterOf is the id of the cluster that an instance's tags name, and whether
// by the legacy tag; empty when they name none.
func ClusterOf(tags map[string]string) (id string, legacy bool) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if rest, ok := strings.CutPrefix(key, clusterPrefix); ok && rest != "" {
			return rest, false
		}
	}
	id, legacy = tags[legacyCluster]
	return id, legacy
}

// claimed reports whether the tags name any cluster.
func claimed(tags map[string]string) bool {
	_, legacy := tags[legacyCluster]
	return legacy || ClusterTagged(tags)
}

// Unclaimed reports whether this cluster has no id, and the tags name no cluster:
// then a name with a Service's UID in it says whose it is.
func (c Cluster) Unclaimed(tags map[string]string) bool { return c.ID == "" && !claimed(tags) }

// Tags are those of the cluster.
func (c Cluster) Tags() map[string]string {
	if c.ID == "" {
		return map[string]string{}
	}
	out := map[string]string{c.Key(): owned}
	if c.Legacy {
		out[legacyCluster] = c.ID
	}
	return out
}

// ServiceTags are those of what is made for one Service: the user's, the
// cluster's and the Service's name.
func (c Cluster) ServiceTags(more map[string]string, namespace, service string) map[string]string {
	out := maps.Clone(more)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, c.Tags())
	out[TagService] = namespace + "/" + service
	return out
}

// OwnsFor reports whether the tags say that it was made for the Service in this
// cluster.
func (c Cluster) OwnsFor(tags map[string]string, namespace, service string) bool {
	return c.Owns(tags) && tags[TagService] == namespace+"/"+service
}

// tagResource says what an object of the whole cluster is.
const tagResource = "fairlead.dev/resource"

const backendResource = "traffic"

// BackendTags are those of the group that network load balancers share.
func (c Cluster) BackendTags() map[string]string {
	out := c.Tags()
	out[tagResource] = backendResource
	return out
}

// OwnsBackend reports whether the tags are those of BackendTags.
func (c Cluster) OwnsBackend(tags map[string]string) bool {
	return tags[tagResource] == backendResource && c.Owns(tags)
}

// IsReserved reports whether the tag with the key tells whose an object is, so
// that no user may set it.
func IsReserved(key string) bool {
	for _, prefix := range []string{clusterPrefix, "elbv2.k8s.aws/", "service.k8s.aws/", "fairlead.dev/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return key == legacyCluster || key == TagService
}
