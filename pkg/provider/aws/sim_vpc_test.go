// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"net/http"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestTheVPCIsReadForThoseThatNeedIt asks who reads the VPC, and what the nodes
// let in then.
func TestTheVPCIsReadForThoseThatNeedIt(t *testing.T) {
	none := with("disable-nlb-sg", "true")
	for name, c := range map[string]struct {
		change func(*v1.Service)
		reads  int // in each full pass
		source string
	}{
		"internal":              {none, 1, `"CidrIp":"10.0.0.0/16"`},
		"internal with groups":  {func(*v1.Service) {}, 0, ""},
		"internal with clients": {all(none, sourceRanges("192.0.2.0/24")), 0, `"CidrIp":"192.0.2.0/24"`},
		"internet-facing":       {all(none, with("scheme", "internet-facing")), 0, `"CidrIp":"0.0.0.0/0"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			svc := newSite(t).service("web", external, c.change)
			l.add(t, svc)
			l.cloud.ResetCalls()
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			if n := l.cloud.Counts().Reads["ec2.DescribeVpcs"]; n != c.reads {
				t.Errorf("read %d times, want %d", n, c.reads)
			}
			if !strings.Contains(strings.ReplaceAll(string(l.cloud.State()), `": "`, `":"`), c.source) {
				t.Errorf("not let in: %s", c.source)
			}
			l.cloud.ResetCalls()
			l.must(t, 0, provider.Serve, provider.Nodes, svc)
			if n := l.cloud.Counts().Reads["ec2.DescribeVpcs"]; n != 0 {
				t.Errorf("read %d times as nodes changed", n)
			}
		})
	}
}

// TestAVPCThatMayNotBeReadFailsThoseThatNeedIt names the action.
func TestAVPCThatMayNotBeReadFailsThoseThatNeedIt(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "DescribeVpcs" {
			return nil
		}
		return &awssim.Fault{When: awssim.Before, Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation."}
	})
	s := newSite(t)
	list := []*v1.Service{s.service("web", external, with("disable-nlb-sg", "true")), s.service("other", external)}
	for _, svc := range list {
		l.add(t, svc)
	}
	d, status, err := l.pass(t, provider.Serve, provider.Edit, list...)
	if err != nil {
		t.Fatal(err)
	}
	if refused := d.Refused[plan.Key{Namespace: "default", Name: "web"}]; refused == nil || !strings.Contains(refused.Error(), "grant ec2:DescribeVpcs") {
		t.Errorf("refused: %v", refused)
	}
	if status[plan.Key{Namespace: "default", Name: "other"}] == nil {
		t.Error("the other Service is not served")
	}
}
