// SPDX-License-Identifier: Apache-2.0

package names

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Controller names and tags as the AWS Load Balancer Controller does.
type Controller struct {
	Cluster string // its --cluster-name
}

// LoadBalancer is the name of a Service's load balancer. The scheme is in
// AWS's words.
func (c Controller) LoadBalancer(namespace, service string, uid types.UID, scheme string) string {
	return Prefix(namespace, service) + digest(c.Cluster, string(uid), scheme)
}

// ControllerGroup is what the name of one of its target groups is made of.
type ControllerGroup struct {
	Namespace, Name  string // of the Service
	UID              types.UID
	TargetPort, Port uint16
	TargetType       string // instance, ip
	Protocol         string // TCP, UDP, TCP_UDP, TLS
	HealthProtocol   string
	HealthInterval   int32 // seconds
	// Again tells apart target groups that would have one name; 0 for the first.
	Again int
}

// TargetGroup is the name of a target group.
func (c Controller) TargetGroup(g ControllerGroup) string {
	parts := []string{
		c.Cluster, string(g.UID), strconv.Itoa(int(g.TargetPort)), strconv.Itoa(int(g.Port)), g.TargetType, g.Protocol,
		g.HealthProtocol, strconv.Itoa(int(g.HealthInterval)),
	}
	if g.Again > 0 {
		parts = append(parts, "#"+strconv.Itoa(g.Again))
	}
	return Prefix(g.Namespace, g.Name) + digest(parts...)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	return fmt.Sprintf("%.10s", hex.EncodeToString(sum[:]))
}

// Tags of the AWS Load Balancer Controller.
const (
	tagControllerCluster = "elbv2.k8s.aws/cluster"
	tagControllerObject  = "elbv2.k8s.aws/resource"
	tagStack             = "service.k8s.aws/stack"
	tagStackResource     = "service.k8s.aws/resource"
)

// The values of the tag that says what an object is.
const (
	ResourceLoadBalancer  = "LoadBalancer"
	ResourceSecurityGroup = "ManagedLBSecurityGroup"
)

// Tags are those of what is made for one Service, without that of the resource:
// the user's come first.
func (c Controller) Tags(more map[string]string, namespace, service string) map[string]string {
	out := maps.Clone(more)
	if out == nil {
		out = map[string]string{}
	}
	out[tagControllerCluster] = c.Cluster
	out[tagStack] = namespace + "/" + service
	return out
}

// As adds to tags of the controller which object it is. Others stay as they are.
func As(tags map[string]string, resource string) map[string]string {
	out := maps.Clone(tags)
	if _, ok := tags[tagStack]; ok {
		out[tagStackResource] = resource
	}
	return out
}

// IsFor reports whether tags may be those of the object: they name it, or none.
func IsFor(tags map[string]string, resource string) bool {
	named, ok := tags[tagStackResource]
	return !ok || named == resource
}

// OwnsFor reports whether the tags say that it was made for the Service in this
// cluster.
func (c Controller) OwnsFor(tags map[string]string, namespace, service string) bool {
	return c.Cluster != "" && tags[tagControllerCluster] == c.Cluster && tags[tagStack] == namespace+"/"+service
}

// Owns reports whether the tags say that it was made for a Service of this
// cluster.
func (c Controller) Owns(tags map[string]string) bool {
	return c.Cluster != "" && tags[tagControllerCluster] == c.Cluster
}

// ServiceOf is the Service that the tags name as the one that it was made for in
// this cluster; false when they name none.
func (c Controller) ServiceOf(tags map[string]string) (namespace, service string, ok bool) {
	if c.Cluster == "" || tags[tagControllerCluster] != c.Cluster {
		return "", "", false
	}
	return strings.Cut(tags[tagStack], "/")
}

// StackTag is the tag that names the Service.
func (Controller) StackTag(namespace, service string) map[string]string {
	return map[string]string{tagStack: namespace + "/" + service}
}

// IsClients reports whether the tags are those of a security group that lets the
// clients of a load balancer of this cluster in.
func (c Controller) IsClients(tags map[string]string) bool {
	_, _, ok := c.ServiceOf(tags)
	return ok && tags[tagStackResource] == ResourceSecurityGroup
}

// IsForOthers reports whether the tags are of what the AWS Load Balancer
// Controller makes for Ingresses and Gateways.
func IsForOthers(tags map[string]string) bool {
	for key := range tags {
		if strings.HasPrefix(key, "ingress.k8s.aws") || strings.HasPrefix(key, "gateway.k8s.aws") {
			return true
		}
	}
	return false
}

// IsControllerBackend reports whether the tags are those of the security group
// that the AWS Load Balancer Controller lets in at the nodes.
func IsControllerBackend(tags map[string]string) bool {
	return tags[tagControllerObject] == "backend-sg" && tags[tagControllerCluster] != ""
}

// ControllerRule describes all rules with which the AWS Load Balancer Controller
// lets load balancers in at the nodes: its networking manager, target group
// binding.
const ControllerRule = "elbv2.k8s.aws/targetGroupBinding=shared"

// IsControllers reports whether the tags say that the AWS Load Balancer
// Controller made it for a Service, or would take it for its own.
func IsControllers(tags map[string]string) bool {
	_, ok := tags[tagStack]
	return ok
}
