// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// digits are the next n of a kind's numbers, in hexadecimal: equal runs give
// equal ones.
func (c *Cloud) digits(kind string, n int) string {
	c.serials[kind]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, c.serials[kind]))
	return hex.EncodeToString(sum[:])[:n]
}

// newID is the id of a new object of EC2, such as sg-0123456789abcdef0.
func (c *Cloud) newID(prefix string) string { return prefix + "-" + c.digits(prefix, 17) }

// arn names an object of a service.
func (c *Cloud) arn(service, path string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, c.region, c.account, path)
}

// stamp is the cloud's time as answers write it.
func (c *Cloud) stamp() string { return c.now().UTC().Format(time.RFC3339) }

// Hosted zones of load balancers: the table of service endpoints of Elastic
// Load Balancing, for us-east-1.
const (
	networkZone = "Z26RNL4JYFTOTI"
	classicZone = "Z35SXDOTRQ7X7K"
)
