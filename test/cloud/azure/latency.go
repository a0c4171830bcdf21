// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"net/http"
	"time"
)

// Names of the types that callers tell apart most often.
const (
	LoadBalancers    = "Microsoft.Network/loadBalancers"
	BackendPools     = "Microsoft.Network/loadBalancers/backendAddressPools"
	PublicIPs        = "Microsoft.Network/publicIPAddresses"
	PublicIPPrefixes = "Microsoft.Network/publicIPPrefixes"
	SecurityGroups   = "Microsoft.Network/networkSecurityGroups"
	RouteTables      = "Microsoft.Network/routeTables"
	VirtualNetworks  = "Microsoft.Network/virtualNetworks"
	Subnets          = "Microsoft.Network/virtualNetworks/subnets"
	PrivateLinks     = "Microsoft.Network/privateLinkServices"
	Interfaces       = "Microsoft.Network/networkInterfaces"
	ScaleSets        = "Microsoft.Compute/virtualMachineScaleSets"
	Instances        = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
	Machines         = "Microsoft.Compute/virtualMachines"
	AvailabilitySets = "Microsoft.Compute/availabilitySets"
)

// Latencies says how long calls take. The zero value is no latency at all.
type Latencies struct {
	// Read is of each GET and each page of a LIST.
	Read time.Duration
	// Poll is of each poll of an operation.
	Poll time.Duration
	// Put is of PUTs by type, such as LoadBalancers.
	Put map[string]time.Duration
	// Write is of every other write.
	Write time.Duration
}

// BenchmarkLatencies are those that the tables of docs/benchmarks.md are made
// with.
func BenchmarkLatencies() Latencies {
	return Latencies{
		Read: 50 * time.Millisecond,
		Poll: 50 * time.Millisecond,
		Put: map[string]time.Duration{
			LoadBalancers:  3 * time.Second,
			SecurityGroups: time.Second,
			PublicIPs:      time.Second,
		},
		Write: 500 * time.Millisecond,
	}
}

// of is how long a write of the type takes.
func (l Latencies) of(method, typeName string) time.Duration {
	if d, ok := l.Put[typeName]; ok && method == http.MethodPut {
		return d
	}
	return l.Write
}

// Waits of Retry-After, from recorded answers of the service. What the service
// says for other types is not known: their answers have no such header.
const (
	waitPut        = time.Second     // public IP, security group, route table
	waitPutNetwork = 3 * time.Second // virtual network
	waitDelete     = 10 * time.Second
	waitPollFirst  = 10 * time.Second // of an operation that still runs
	waitPollMax    = 80 * time.Second // polls double up to this
)

// waitAfter is the Retry-After of the answer to a write; 0 is no header.
func waitAfter(method, typeName string) time.Duration {
	if method == http.MethodDelete {
		return waitDelete
	}
	switch typeName {
	case PublicIPs, SecurityGroups, RouteTables:
		return waitPut
	case VirtualNetworks, Subnets:
		return waitPutNetwork
	default:
		return 0
	}
}

// waitPoll is the Retry-After of the nth poll, from 0, of a running operation.
func waitPoll(n int) time.Duration {
	return min(waitPollFirst<<min(n, 3), waitPollMax)
}
