// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"strconv"
	"strings"
)

// prefix is that of the peer's annotations.
const prefix = "service.beta.kubernetes.io/aws-load-balancer-"

// The annotations.
const (
	keyType                  = prefix + "type"
	keyInternal              = prefix + "internal"
	keyTags                  = prefix + "additional-resource-tags"
	keyNodeLabels            = prefix + "target-node-labels"
	keyCrossZone             = prefix + "cross-zone-load-balancing-enabled"
	keyLogs                  = prefix + "access-log-enabled"
	keyLogsBucket            = prefix + "access-log-s3-bucket-name"
	keyLogsPrefix            = prefix + "access-log-s3-bucket-prefix"
	keyCertificate           = prefix + "ssl-cert"
	keyTLSPorts              = prefix + "ssl-ports"
	keyTLSPolicy             = prefix + "ssl-negotiation-policy"
	keyBackendProtocol       = prefix + "backend-protocol"
	keyHealthProtocol        = prefix + "healthcheck-protocol"
	keyHealthPort            = prefix + "healthcheck-port"
	keyHealthPath            = prefix + "healthcheck-path"
	keyHealthyThreshold      = prefix + "healthcheck-healthy-threshold"
	keyUnhealthyThreshold    = prefix + "healthcheck-unhealthy-threshold"
	keyHealthTimeout         = prefix + "healthcheck-timeout"
	keyHealthInterval        = prefix + "healthcheck-interval"
	keyTargetGroupAttributes = prefix + "target-group-attributes"
	keyElasticIPs            = prefix + "eip-allocations"
	keyPrivateIPs            = prefix + "private-ipv4-addresses"
	keySubnets               = prefix + "subnets"
	keyGroups                = prefix + "security-groups"
	keyExtraGroups           = prefix + "extra-security-groups"
)

// text is the value of an annotation; empty when it is not there.
func (a *ask) text(key string) string { return strings.TrimSpace(a.item.Service.Annotations[key]) }

// has reports whether the annotation is there, though it be empty.
func (a *ask) has(key string) bool {
	_, ok := a.item.Service.Annotations[key]
	return ok
}

// list are the values of an annotation, separated by commas.
func (a *ask) list(key string) []string {
	var out []string
	for item := range strings.SplitSeq(a.text(key), ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// pairs are the key=value pairs of an annotation.
func (a *ask) pairs(key string) map[string]string {
	out := map[string]string{}
	for _, item := range a.list(key) {
		k, v, _ := strings.Cut(item, "=")
		if k = strings.TrimSpace(k); k != "" {
			out[k] = strings.TrimSpace(v)
		}
	}
	return out
}

// on reports whether a switch is true.
func (a *ask) on(key string) bool {
	on, err := strconv.ParseBool(a.text(key))
	return err == nil && on
}

// number is the value of an annotation; otherwise when there is none.
func (a *ask) number(key string, otherwise int32) int32 {
	n, err := strconv.ParseInt(a.text(key), 10, 32)
	if err != nil {
		return otherwise
	}
	return int32(n)
}

// internal reports whether the load balancer has private addresses alone: by
// anything but "false", as in the peer.
func (a *ask) internal() bool {
	raw := a.item.Service.Annotations[keyInternal]
	return raw != "" && raw != "false"
}
