// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

func untagged(c *cloudconfig.AWS) { c.ClusterID, c.AllowUntagged = "", true }

// TestAClusterWithoutAnIDServes with names alone: nothing that it makes has a
// cluster's tag, and the metadata of the instance, which are not there, are not
// asked.
func TestAClusterWithoutAnIDServes(t *testing.T) {
	l := startLive(t, awssim.Options{})
	untagged(l.config)
	l.restart(t)
	before := string(l.cloud.State())
	s := newSite(t)
	list := []*v1.Service{s.service("web"), s.service("old", classic)}
	for _, svc := range list {
		l.add(t, svc)
	}
	l.must(t, -1, provider.Serve, provider.Edit, list...)
	state := string(l.cloud.State())
	for _, tag := range []string{"kubernetes.io/cluster/", "KubernetesCluster"} {
		if got, want := strings.Count(state, tag), strings.Count(before, tag); got != want {
			t.Errorf("%d tags %s, before %d", got, tag, want)
		}
	}
	if !strings.Contains(state, "kubernetes.io/service-name") {
		t.Error("no tag names the Service")
	}
	l.restart(t)
	l.must(t, 0, provider.Serve, provider.Resync, list...)
	l.must(t, -1, provider.Remove, provider.Edit, list...)
	if after := string(l.cloud.State()); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}

// TestWithoutAnIDWhatNothingProvesIsRefused asks for what clusters could share.
func TestWithoutAnIDWhatNothingProvesIsRefused(t *testing.T) {
	for name, config := range map[string]func(*cloudconfig.AWS){
		"the shared group":                        func(c *cloudconfig.AWS) { c.ManagedNLBSecurityGroups = true },
		"the Load Balancer Controller's Services": claims,
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			untagged(l.config)
			config(l.config)
			l.restart(t)
			svc := newSite(t).service("web")
			l.add(t, svc)
			_, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
			wantNoID(t, err)
		})
	}
	t.Run("leftovers", func(t *testing.T) {
		l := startLive(t, awssim.Options{})
		untagged(l.config)
		l.restart(t)
		_, err := l.provider.Leftovers(t.Context(), nil)
		wantNoID(t, err)
	})
}

func wantNoID(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*plan.Error](err); !ok || e.Kind != plan.Invalid || e.Reason != "NoClusterID" {
		t.Errorf("want NoClusterID: %v", err)
	}
}

// TestWhatAnotherClusterSharesAtItsNodesStays has the rule of path MTU discovery
// in the group of another cluster's nodes, with and without an id of our own.
func TestWhatAnotherClusterSharesAtItsNodesStays(t *testing.T) {
	for _, id := range []string{"rig", ""} {
		s := newSite(t)
		s.settings.Tags.ID = id
		s.observed.Groups["sg-other"] = &ec2types.SecurityGroup{
			GroupId: awssdk.String("sg-other"), GroupName: awssdk.String("nodes of another"), VpcId: awssdk.String(s.settings.VPC),
			Tags: []ec2types.Tag{{Key: awssdk.String("kubernetes.io/cluster/other"), Value: awssdk.String("owned")}},
			IpPermissions: []ec2types.IpPermission{{
				IpProtocol: awssdk.String("icmp"), FromPort: awssdk.Int32(3), ToPort: awssdk.Int32(4),
				IpRanges: []ec2types.IpRange{{CidrIp: awssdk.String("0.0.0.0/0"), Description: awssdk.String(names.MTURule)}},
			}},
		}
		s.service("web")
		s.settle(t, s.all(provider.Serve, provider.Edit))
		s.settle(t, s.all(provider.Remove, provider.Edit))
		if n := len(s.observed.Groups["sg-other"].IpPermissions); n != 1 {
			t.Errorf("cluster %q: %d rules of another cluster, want 1", id, n)
		}
	}
}

// TestNodesAreAnsweredForWithoutAnID where load balancers are refused.
func TestNodesAreAnsweredForWithoutAnID(t *testing.T) {
	l := startLive(t, awssim.Options{})
	untagged(l.config)
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "ip-10-0-200-9.ec2.internal"}}
	if there, err := l.provider.Machines().Instances().InstanceExists(t.Context(), node); there || err != nil {
		t.Errorf("%t, %v", there, err)
	}
}
