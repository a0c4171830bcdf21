// SPDX-License-Identifier: Apache-2.0

// Package names knows the names and tags of what Services have in AWS:
// cloud-provider-aws's ("the peer"), so that what it made is ours the moment we
// start, and what we make is its own.
package names

import (
	"crypto/sha1" //nolint:gosec // the peer's names are made of it; nothing secret
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// nameMax is the longest name of a load balancer and of a target group.
const nameMax = 32

// LoadBalancer is the name of a Service's load balancer, classic or network:
// k8s.io/cloud-provider, DefaultLoadBalancerName.
func LoadBalancer(uid types.UID) string {
	name := "a" + strings.ReplaceAll(string(uid), "-", "")
	return name[:min(len(name), nameMax)]
}

// TargetGroup is what the name of a target group is made of.
type TargetGroup struct {
	ClusterID       string
	Namespace, Name string // of the Service
	Port, NodePort  uint16
	Protocol        string // TCP, UDP, TLS
	TargetType      string // instance, ip
	HealthProtocol  string // TCP, HTTP, HTTPS
	HealthInterval  int32  // seconds
	// Again tells apart target groups that would have one name; 0 for the first.
	Again int
}

// String is the name of the target group. Only the first is the peer's.
func (g TargetGroup) String() string {
	text := g.ClusterID + g.Namespace + g.Name + strconv.Itoa(int(g.Port)) + strconv.Itoa(int(g.NodePort)) +
		g.Protocol + g.TargetType + g.HealthProtocol + strconv.Itoa(int(g.HealthInterval))
	if g.Again > 0 {
		text += "#" + strconv.Itoa(g.Again)
	}
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the peer's names are made of it; nothing secret
	return fmt.Sprintf("%s%.10s", Prefix(g.Namespace, g.Name), hex.EncodeToString(sum[:]))
}

// MayBe reports whether the name is one that target groups of the Service have,
// and load balancers of the AWS Load Balancer Controller. Those of other Services
// may have it too.
func MayBe(name, namespace, service string) bool {
	return strings.HasPrefix(name, Prefix(namespace, service))
}

// Prefix begins the names of what a Service has, but for its load balancer.
// Several Services may have one.
func Prefix(namespace, service string) string {
	return fmt.Sprintf("k8s-%.8s-%.8s-", alphanumeric(namespace), alphanumeric(service))
}

func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, s)
}

// NetworkGroup is the name of the security group that a network load balancer
// gets from the controller. The cluster is the flag --cluster-name.
func NetworkGroup(cluster, namespace, service string, uid types.UID) string {
	sum := sha256.Sum256([]byte(cluster + service + namespace + string(uid)))
	return fmt.Sprintf("%s%.10s", Prefix(namespace, service), hex.EncodeToString(sum[:]))
}

// NetworkGroupDescription is that of the group of a network load balancer.
const NetworkGroupDescription = "[k8s] Managed SecurityGroup for LoadBalancer"

// ClassicGroup is the name of the security group that a classic load balancer
// gets from the controller.
func ClassicGroup(loadBalancer string) string { return "k8s-elb-" + loadBalancer }

// ClassicGroupDescription is that of the group of a classic load balancer.
func ClassicGroupDescription(loadBalancer, namespace, service string) string {
	return fmt.Sprintf("Security group for Kubernetes ELB %s (%s/%s)", loadBalancer, namespace, service)
}

// Descriptions of rules in the nodes' security groups.
const (
	clientRule = "kubernetes.io/rule/nlb/client="
	healthRule = "kubernetes.io/rule/nlb/health="
	groupRule  = "fairlead.dev/rule/nlb="
	// MTURule is that of the rule that all network load balancers share.
	MTURule = "kubernetes.io/rule/nlb/mtu"
)

// ClientRule describes the rule that lets clients to the nodes.
func ClientRule(loadBalancer string) string { return clientRule + loadBalancer }

// HealthRule describes the rule that lets health checks to the nodes.
func HealthRule(loadBalancer string) string { return healthRule + loadBalancer }

// GroupRule describes the rules that let a load balancer's security group to
// the nodes. It is ours: the peer lets clients in by their addresses.
func GroupRule(loadBalancer string) string { return groupRule + loadBalancer }

// RuleOf is the load balancer that a rule with the description is for; empty
// for any other rule.
func RuleOf(description string) string {
	for _, p := range []string{clientRule, healthRule, groupRule} {
		if name, ok := strings.CutPrefix(description, p); ok {
			return name
		}
	}
	return ""
}

// InstanceID is the EC2 instance in a node's spec.providerID; false for what is
// none, such as Fargate and hybrid nodes.
func InstanceID(providerID string) (string, bool) {
	id := providerID
	if rest, ok := strings.CutPrefix(providerID, "aws://"); ok {
		id = rest[strings.LastIndexByte(rest, '/')+1:]
	}
	return id, strings.HasPrefix(id, "i-") && !strings.Contains(id, "/")
}

// BackendGroup is the name of the security group that all network load
// balancers with groups share, so that one rule lets them all in at the nodes.
// It is ours: the peer lets clients in by their addresses.
func BackendGroup(cluster string) string {
	const longest = 200
	sum := sha256.Sum256([]byte(cluster))
	return fmt.Sprintf("fairlead-traffic-%.*s-%.10s", longest, alphanumeric(cluster), hex.EncodeToString(sum[:]))
}

// What describes the shared group, and the rules of the nodes that let it in.
const (
	BackendGroupDescription = "[k8s] Shared SecurityGroup for LoadBalancers at the nodes"
	BackendRule             = groupRule + "shared"
)
