// SPDX-License-Identifier: Apache-2.0

// Package names knows what Azure resources of a cluster are called, their ids
// and their tags. The names are those of cloud-provider-azure, so that what it
// made is ours and the other way round. It is pure.
package names

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/intent"
)

const (
	// BaseLen is the length of the base name of a Service with a usual uid:
	// cloudprovider.DefaultLoadBalancerName.
	BaseLen = 32
	// nameMax is the longest name of a resource (ARM, Microsoft.Network),
	// without room for the suffix of IPv6.
	nameMax = 80 - len(v6Suffix)

	v6Suffix       = "-IPv6"
	internalSuffix = "-internal"
)

// Service is what the names of a Service's resources depend on.
type Service struct {
	UID types.UID
	// Subnet is that of the internal-subnet annotation, empty for none. It is
	// part of names for an internal load balancer only.
	Subnet string
	// DualStack: resources of IPv6 have a suffix.
	DualStack bool
}

// Base is the beginning of the names of all that a Service owns.
func Base(uid types.UID) string {
	base := "a" + strings.ReplaceAll(string(uid), "-", "")
	return base[:min(len(base), BaseLen)]
}

// Owns reports whether a frontend, rule or probe is of the Service with this
// base name.
func Owns(base, name string) bool {
	return base != "" && len(name) >= len(base) && strings.EqualFold(name[:len(base)], base)
}

// IsBase reports whether the name begins as those of Services do, whichever.
func IsBase(name string) bool {
	if len(name) < BaseLen || !strings.EqualFold(name[:1], "a") {
		return false
	}
	return !strings.ContainsFunc(strings.ToLower(name[1:BaseLen]), func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f')
	})
}

// suffix is that of the family: only of IPv6 in a dual-stack Service.
func (s Service) suffix(f intent.Family) string {
	if s.DualStack && f == intent.V6 {
		return v6Suffix
	}
	return ""
}

// Frontend is the name of a frontend IP configuration.
func (s Service) Frontend(f intent.Family) string {
	name := Base(s.UID)
	if s.Subnet != "" {
		name += "-" + s.Subnet
	}
	if len(name) > nameMax {
		name = cut(name, nameMax)
		if !isWordEnd(name[nameMax-1]) {
			name = name[:nameMax-1] + "_"
		}
	}
	return name + s.suffix(f)
}

// isWordEnd reports whether the peer lets a shortened name end in c: it
// replaces all but letters, digits too.
func isWordEnd(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

// Rule is the name of a load-balancing rule, and of the probe that goes with
// it.
func (s Service) Rule(p intent.Proto, port uint16, f intent.Family) string {
	base := Base(s.UID)
	plain := fmt.Sprintf("%s-%s-%d", base, protoName(p), port)
	if s.Subnet == "" {
		return plain + s.suffix(f)
	}
	subnet := cut(s.Subnet, nameMax-len(plain)-1)
	return fmt.Sprintf("%s-%s-%s-%d", base, subnet, protoName(p), port) + s.suffix(f)
}

// protoName is the protocol as Kubernetes writes it.
func protoName(p intent.Proto) string {
	switch p {
	case intent.TCP:
		return "TCP"
	case intent.UDP:
		return "UDP"
	case intent.SCTP:
		return "SCTP"
	}
	return "NONE"
}

// PublicIP is the name of a public IP that is made for the Service; prefixID
// is the id of the prefix it comes from, empty for none.
func (s Service) PublicIP(cluster, prefixID string, f intent.Family) string {
	name := cluster + "-" + Base(s.UID)
	if prefix := Last(prefixID); prefix != "" {
		name += "-" + prefix
	}
	return cut(name, nameMax) + s.suffix(f)
}

// SharedProbe is the name of the one probe of all Services with
// externalTrafficPolicy Cluster, in the shared probe mode.
const SharedProbe = "cluster-service-shared-health-probe"

// LoadBalancer is the name of a public or internal load balancer of a
// configuration, of which a cluster with one load balancer has one that is
// called like it.
func LoadBalancer(configuration string, e Exposure) string {
	if e == Internal {
		return configuration + internalSuffix
	}
	return configuration
}

// Exposure is where a load balancer is reached from. The zero value is none.
type Exposure uint8

// The exposures.
const (
	Public Exposure = iota + 1
	Internal
)

// String is the word for the exposure.
func (e Exposure) String() string {
	switch e {
	case Public:
		return "public"
	case Internal:
		return "internal"
	}
	return "none"
}

// ExposureOf is the exposure of the load balancer with this name.
func ExposureOf(loadBalancer string) Exposure {
	if Configuration(loadBalancer) != loadBalancer {
		return Internal
	}
	return Public
}

// Configuration is the configuration that the load balancer is of.
func Configuration(loadBalancer string) string {
	if at := len(loadBalancer) - len(internalSuffix); at >= 0 && Same(loadBalancer[at:], internalSuffix) {
		return loadBalancer[:at]
	}
	return loadBalancer
}

// Pool is the name of the backend pool of all nodes.
func Pool(cluster string, f intent.Family) string {
	if f == intent.V6 {
		return cluster + v6Suffix
	}
	return cluster
}

// LocalPool is the name of the pool of a Service with externalTrafficPolicy
// Local, where there are several load balancer configurations.
func LocalPool(namespace, name string, f intent.Family) string {
	pool := strings.ToLower(namespace + "-" + name)
	if f == intent.V6 {
		pool += strings.ToLower(v6Suffix)
	}
	return pool
}

// PrivateLink is the default name of the private link service of a frontend.
func PrivateLink(frontend string) string { return "pls-" + frontend }

// PrivateLinkStatic is the name of a private link service's IP configuration
// with this address.
func PrivateLinkStatic(subnet, service, address string) string {
	return ipConfiguration(subnet+"-"+service, "-static-"+address)
}

// PrivateLinkDynamic is the name of the IP configuration with this number.
func PrivateLinkDynamic(subnet, service string, number int) string {
	return ipConfiguration(subnet+"-"+service, fmt.Sprintf("-dynamic-%d", number))
}

func ipConfiguration(prefix, suffix string) string {
	return cut(prefix, nameMax+len(v6Suffix)-len(suffix)) + suffix
}

// cut shortens s to n bytes; Azure's names are ASCII.
func cut(s string, n int) string {
	return s[:min(len(s), max(n, 0))]
}
