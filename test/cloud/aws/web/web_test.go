// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
)

func TestNodesAreTheMachinesOfTheSite(t *testing.T) {
	cloud := awssim.New(awssim.Options{})
	site := cloud.NewSite(awssim.SiteOptions{Zones: 2})
	ids := site.Launch(2)
	machines, err := web.Machines(cloud.State())
	if err != nil || len(machines) != len(ids) {
		t.Fatalf("machines %+v (%v)", machines, err)
	}
	for i, m := range machines {
		zone := awssim.DefaultRegion + string(rune('a'+i))
		node := m.Node()
		if m.ID != ids[i] || node.Spec.ProviderID != "aws:///"+zone+"/"+ids[i] || !strings.HasSuffix(node.Name, ".ec2.internal") {
			t.Errorf("machine %d is %+v, its node %s %s", i, m, node.Name, node.Spec.ProviderID)
		}
	}
}

func TestBalancingComparesWithoutMachines(t *testing.T) {
	cloud := awssim.New(awssim.Options{})
	site := cloud.NewSite(awssim.SiteOptions{})
	text := func() string {
		out, err := web.Balancing(cloud.State())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := text()
	site.Launch(1)
	if after := text(); after != before {
		t.Errorf("a machine made\n%s\nof\n%s", after, before)
	}
	site.Group("more")
	if text() == before {
		t.Error("a security group is not seen")
	}
}

func TestCloudConfigIsTakenAsItStands(t *testing.T) {
	site := awssim.New(awssim.Options{}).NewSite(awssim.SiteOptions{})
	conf, err := cloudconfig.Parse(web.CloudConfig(site, "NLBSecurityGroupMode = Managed"))
	if err != nil || conf.AWS == nil || len(conf.Faults) > 0 {
		t.Fatalf("%+v, %v", conf, err)
	}
	if a := conf.AWS; a.Region != awssim.DefaultRegion || a.VPC != site.VPC || a.ClusterID != web.ClusterName || !a.ManagedNLBSecurityGroups {
		t.Errorf("it says %+v", a)
	}
}
