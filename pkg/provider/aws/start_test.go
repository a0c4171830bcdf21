// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
)

// Every field of the configuration counts from the next pass on, or from the
// next start on, where a change is told; or it is known to count elsewhere.
func TestEveryFieldOfTheConfigurationCounts(t *testing.T) {
	providertest.EveryFieldCounts(t, providertest.Fields[cloudconfig.AWS]{
		Base: func() *cloudconfig.AWS {
			c := cloudconfig.NewAWS()
			c.Controller.Claim = true
			c.Overrides = []cloudconfig.AWSServiceOverride{{Service: cloudconfig.AWSServiceEC2}}
			return c
		},
		Now:   func(c *cloudconfig.AWS) any { return NewSettings(c, "rig", "us-east-1", Self{}) },
		Start: func(c *cloudconfig.AWS) any { return atStart(c) },
		AtOnce: []string{
			"VPC", "SubnetID", "ClusterID", "LegacyClusterTag", "Tags", "UnmanagedNodeRules", "ELBSecurityGroup", "ManagedNLBSecurityGroups",
			"SecurityGroupRuleLimit", "SharedProbe", "SharedProbePort", "SharedProbePath", "Controller.ClusterName", "Controller.TargetType",
			"Controller.InternetFacing", "Controller.TLSPolicy",
		},
		Elsewhere: []string{"AllowUntagged"}, // counts at once, for whether the instance is asked who the cluster is
	})
}
