// SPDX-License-Identifier: Apache-2.0

package names

import (
	"crypto/md5" //nolint:gosec // the peer's names hold this hash; it protects nothing
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
)

// The priorities of the security rules that are ours: allowing ones take the
// first that is free from below, denying ones from above.
const (
	FirstPriority = 500
	LastPriority  = 4095
	// highestPriority is within what the peer takes for its own, but is given
	// to none.
	highestPriority = 4096

	securityPrefix = "k8s-azure-lb"
)

// AllowRule is the name of the security rule that lets the sources reach the
// ports by the protocol, which is as in Azure: Tcp, Udp or *.
func AllowRule(f intent.Family, protocol string, sources []string, ports []uint16) string {
	sources = slices.Sorted(slices.Values(sources))
	text := protocol + "_" + strings.Join(sources, ",") + "_" + strings.Join(SortedPorts(ports), ",")
	sum := md5.Sum([]byte(text)) //nolint:gosec // the peer's names hold this hash; it protects nothing
	return securityPrefix + "_allow_" + f.String() + "_" + hex.EncodeToString(sum[:])
}

// DenyRule is the name of the security rule that denies all the rest.
func DenyRule(f intent.Family) string {
	return securityPrefix + "_deny-all_" + f.String()
}

// OwnsSecurityRule reports whether a security rule is ours.
func OwnsSecurityRule(name string, priority int) bool {
	return strings.HasPrefix(name, securityPrefix) && FirstPriority <= priority && priority <= highestPriority
}

// SortedPorts are the ports as Azure writes them, sorted as text.
func SortedPorts(ports []uint16) []string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = strconv.Itoa(int(p))
	}
	slices.Sort(out)
	return out
}
