// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"strings"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// short is the API in few letters.
func short(api string) string {
	service, action, _ := strings.Cut(api, ".")
	if service == string(awssim.ELB) {
		action = "classic " + action
	}
	return strings.NewReplacer(
		"LoadBalancers", "LBs", "LoadBalancer", "LB", "TargetGroups", "TGs", "TargetGroup", "TG", "SecurityGroups", "SGs", "SecurityGroup", "SG",
		"Attributes", "Attr", "Instances", "Inst",
	).Replace(action)
}
