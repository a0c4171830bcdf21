// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// looks are the reads about addresses since the calls were counted anew.
func (l *live) looks() map[string]int {
	out := l.cloud.Counts().Reads
	maps.DeleteFunc(out, func(api string, _ int) bool {
		return api != "ec2.DescribeAddresses" && api != "ec2.DescribeNetworkInterfaces"
	})
	return out
}

// TestAddressesOfAPassAreLookedUpTogether has Services of which one names an
// elastic IP that is not there, and two the same one: the others are served, the
// older of the two is, and each look is one call.
func TestAddressesOfAPassAreLookedUpTogether(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s, ips := newSite(t), l.elasticIPs(t, 5)
	named := func(name string, eips ...string) *v1.Service {
		svc := s.service(name, with("subnets", strings.Join(l.site.Public[:len(eips)], ","), "eip-allocations", strings.Join(eips, ",")))
		l.add(t, svc)
		return svc
	}
	first, second, lost, other := named("first", ips[0], ips[1]), named("second", ips[2], ips[1]), named("lost", ips[3], "eipalloc-0bad"), named("other", ips[4])
	private := s.service("private", with("internal", "true", "private-ipv4-addresses", "10.0.96.50,10.0.112.50,10.0.128.50"))
	l.add(t, private)
	l.cloud.ResetCalls()
	list := []*v1.Service{first, second, lost, other, private}
	d, status, err := l.pass(t, provider.Serve, provider.Edit, list...)
	if err != nil {
		t.Fatal(err)
	}
	for svc, want := range map[*v1.Service]string{second: "Service default/first gets " + ips[1], lost: "there is no elastic IP eipalloc-0bad"} {
		if got := d.Refused[keyOf(svc)]; got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%s: %v", svc.Name, got)
		}
	}
	for _, svc := range []*v1.Service{first, other, private} {
		if len(status[keyOf(svc)].Ingress) != 1 {
			t.Errorf("%s is not served: %v", svc.Name, d.Refused[keyOf(svc)])
		}
	}
	// Those of the second are not looked up: it is refused without.
	want := map[string]int{"ec2.DescribeAddresses": 1, "ec2.DescribeNetworkInterfaces": 1}
	if diff := cmp.Diff(want, l.looks()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := l.refusedFor(t, provider.Resync, second), "load balancer "+names.LoadBalancer(first.UID)+" has "+ips[1]; !strings.Contains(got, want) {
		t.Errorf("later: %s", got)
	}
	l.must(t, -1, provider.Remove, provider.Edit, first)
	l.must(t, -1, provider.Serve, provider.Resync, second)
}

// TestWithoutTheRightToLook has an identity with an older policy: Services are
// served, AWS judges what they name, and it is told once.
func TestWithoutTheRightToLook(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action == "DescribeAddresses" || c.Action == "DescribeNetworkInterfaces" {
			return awssim.Denied(c)
		}
		return nil
	})
	var log bytes.Buffer
	l.ctx = klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))))
	s, ips := newSite(t), l.elasticIPs(t, 4)
	svc := s.service("web", with("eip-allocations", strings.Join(ips[:3], ",")))
	private := s.service("private", with("internal", "true", "private-ipv4-addresses", "10.0.96.50,10.0.112.50,10.0.128.50"))
	l.add(t, svc)
	l.add(t, private)
	l.must(t, -1, provider.Serve, provider.Edit, svc, private)
	with("eip-allocations", strings.Join(ips[1:], ","))(svc)
	l.must(t, 1, provider.Serve, provider.Edit, svc)
	for _, action := range []string{"ec2:DescribeAddresses", "ec2:DescribeNetworkInterfaces"} {
		if n := strings.Count(log.String(), "grant "+action+"\""); n != 1 {
			t.Errorf("%s is told %d times:\n%s", action, n, log.String())
		}
	}
	bad := s.service("bad", with("subnets", l.site.Public[0], "eip-allocations", "eipalloc-0bad"))
	l.add(t, bad)
	if _, _, err := l.pass(t, provider.Serve, provider.Edit, bad); err == nil || !strings.Contains(err.Error(), "AllocationIdNotFound") {
		t.Errorf("AWS does not judge it: %v", err)
	}
}

// TestALookThatFailsIsTheMatterOfThoseThatWantAddresses lets AWS refuse the look
// for another reason than a right that is missing.
func TestALookThatFailsIsTheMatterOfThoseThatWantAddresses(t *testing.T) {
	l := startLive(t, awssim.Options{})
	ids := l.elasticIPs(t, 3)
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "DescribeAddresses" {
			return nil
		}
		return &awssim.Fault{When: awssim.Before, Status: 400, Code: "UnsupportedOperation", Message: "not now"}
	})
	s := newSite(t)
	wants, other := s.service("web", with("eip-allocations", strings.Join(ids, ","))), s.service("other")
	l.add(t, wants)
	l.add(t, other)
	d, status, err := l.pass(t, provider.Serve, provider.Edit, wants, other)
	if err != nil {
		t.Fatal(err)
	}
	if refused := d.Refused[keyOf(wants)]; refused == nil || !strings.Contains(refused.Error(), "not now") {
		t.Errorf("refused: %v", refused)
	}
	if status[keyOf(other)] == nil {
		t.Error("the other Service is not served")
	}
	l.cloud.SetFault(nil)
	l.must(t, -1, provider.Serve, provider.Edit, wants, other)
}
