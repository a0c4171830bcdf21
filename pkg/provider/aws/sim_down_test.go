// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestCertificatesThatGoWhileTheControllerIsDown leave the listeners that ever
// had several; a load balancer that never had is not asked.
func TestCertificatesThatGoWhileTheControllerIsDown(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s := newSite(t)
	one, several := s.service("one", with("ssl-cert", theCertificate)), s.service("several", with("ssl-cert", theCertificate+","+theCertificate+"0,"+theCertificate+"1"))
	l.add(t, one)
	l.add(t, several)
	l.must(t, -1, provider.Serve, provider.Edit, one, several)
	asked := func(want int) {
		t.Helper()
		if n := l.cloud.Counts().Reads["elbv2.DescribeListenerCertificates"]; n != want {
			t.Errorf("asked %d times for certificates, want %d", n, want)
		}
		l.cloud.ResetCalls()
	}
	asked(0)
	l.restart(t)
	l.must(t, 0, provider.Serve, provider.Resync, one, several)
	asked(1)
	with("ssl-cert", theCertificate)(several)
	l.restart(t)
	l.must(t, 1, provider.Serve, provider.Resync, one, several)
	asked(1)
	for _, gone := range []string{"0", "1"} {
		if strings.Contains(string(l.cloud.State()), theCertificate+gone+`"`) {
			t.Errorf("certificate %s is still there", gone)
		}
	}
	l.restart(t)
	l.must(t, 0, provider.Serve, provider.Resync, one, several)
}

// TestLoadBalancerWhoseNameChangesWhileTheControllerIsDown is found by its tags,
// and serves on under its first name, as with the AWS Load Balancer Controller.
func TestLoadBalancerWhoseNameChangesWhileTheControllerIsDown(t *testing.T) {
	for name, tt := range map[string]struct {
		edit     func(*v1.Service)
		statuses bool // the Service's status was written before
	}{
		"another name":                    {with("name", "other"), true},
		"no name":                         {without("name"), true},
		"another name, no status yet":     {with("name", "other"), false},
		"no annotation, and no status":    {without("name"), false},
		"the name of somebody else's one": {with("name", "theirs"), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			s := newSite(t)
			theirs := s.service("theirs", external, with("name", "theirs"))
			l.add(t, theirs)
			l.must(t, -1, provider.Serve, provider.Edit, theirs)
			before := string(l.cloud.State())
			svc := s.service("web", external, with("name", "shop"))
			l.add(t, svc)
			status := l.must(t, -1, provider.Serve, provider.Edit, svc)[keyOf(svc)]
			if tt.statuses {
				svc.Status.LoadBalancer = *status
			}
			tt.edit(svc)
			for _, cause := range []provider.Cause{provider.Resync, provider.Nodes, provider.Edit} {
				if cause != provider.Nodes {
					l.restart(t)
				}
				got := l.must(t, 0, provider.Serve, cause, svc)[keyOf(svc)]
				if len(got.Ingress) != 1 || got.Ingress[0].Hostname != status.Ingress[0].Hostname {
					t.Errorf("cause %d: status %v, want %v", cause, got, status)
				}
			}
			l.restart(t)
			l.must(t, -1, provider.Remove, provider.Edit, svc)
			if after := string(l.cloud.State()); after != before {
				t.Errorf("left behind:\n%s", after)
			}
			if !strings.Contains(before, "theirs") {
				t.Error("the other is not there")
			}
		})
	}
}
