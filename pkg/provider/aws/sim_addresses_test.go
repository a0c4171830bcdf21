// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// refusedFor is the sentence with which a pass refuses the Service alone,
// annotations by their suffixes. Nothing is written for it.
func (l *live) refusedFor(t *testing.T, cause provider.Cause, svc *v1.Service) string {
	t.Helper()
	before := string(l.cloud.State())
	l.cloud.ResetCalls()
	d, _, err := l.pass(t, provider.Serve, cause, svc)
	if err != nil {
		t.Fatal(err)
	}
	if after := string(l.cloud.State()); after != before || total(l.cloud.Counts().Writes) > 0 {
		t.Errorf("it writes %v: %s", l.cloud.Counts().Writes, cmp.Diff(before, after))
	}
	refused := d.Refused[keyOf(svc)]
	if refused == nil {
		t.Fatalf("it is not refused:\n%s", d.Plan)
	}
	if kind := plan.KindOf(refused); kind != plan.Invalid {
		t.Errorf("kind %d", kind)
	}
	return strings.ReplaceAll(refused.Error(), annotation, "")
}

// noAddress is a Service with one address that AWS would refuse, in three zones.
type noAddress struct {
	key  string
	form []func(*v1.Service)
	good []string // what the load balancer has
	free string   // what it can have in the place of the last one
	bad  func(*live) string
	want string // the sentence; BAD: the address
}

func noAddresses(t *testing.T, l *live) map[string]noAddress {
	t.Helper()
	eips := l.elasticIPs(t, 4)
	private := []string{"10.0.96.50", "10.0.112.50", "10.0.128.50"}
	six := []string{"2600:1f18:1000:6::50", "2600:1f18:1000:7::50", "2600:1f18:1000:8::50"}
	const elastic = "; write the ids of elastic IPs of this account and region that nothing else uses"
	const free = "; write addresses of the subnets that are free"
	ofNode := func(l *live) string {
		id := l.elasticIPs(t, 1)[0]
		if err := l.cloud.Apply("ec2.AssociateAddress", url.Values{"AllocationId": {id}, "InstanceId": {idOf(l.nodes[2])}}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	internal, dualstack := with("internal", "true"), with("scheme", "internal", "ip-address-type", "dualstack")
	node := "network interface ENI of instance " + idOf(l.nodes[2]) + " has BAD"
	return map[string]noAddress{
		"an elastic IP that is not there": {
			"eip-allocations", nil, eips[:3], eips[3], func(*live) string { return "eipalloc-0deadbeef" },
			"there is no elastic IP BAD in this account and region" + elastic,
		},
		"the same, external": {
			"eip-allocations",
			[]func(*v1.Service){external, with("scheme", "internet-facing")},
			eips[:3], eips[3], func(*live) string { return "eipalloc-0deadbeef" },
			"there is no elastic IP BAD in this account and region" + elastic,
		},
		"an elastic IP of a machine": {"eip-allocations", nil, eips[:3], eips[3], ofNode, node + elastic},
		"an elastic IP twice":        {"eip-allocations", nil, eips[:3], eips[3], func(*live) string { return eips[0] }, "BAD is there twice" + elastic},
		"an elastic IP of a local zone": {"eip-allocations", nil, eips[:3], eips[3], func(l *live) string {
			l.cloud.LocalZone("us-east-1f")
			return l.elasticIPs(t, 1, "us-east-1f")[0]
		}, "BAD is of network border group us-east-1f, and zone us-east-1c is of us-east-1" + elastic},
		"a private address of a machine": {"private-ipv4-addresses", []func(*v1.Service){internal}, private, "10.0.128.60", func(*live) string { return "10.0.128.4" }, node + free},
		"a private address of a pod": {"private-ipv4-addresses", []func(*v1.Service){external}, private, "10.0.128.60", func(l *live) string {
			pod, err := l.cloud.Pod(idOf(l.nodes[2]))
			if err != nil {
				t.Fatal(err)
			}
			return pod
		}, node + free},
		"a private address that AWS keeps": {
			"private-ipv4-addresses",
			[]func(*v1.Service){external},
			private, "10.0.128.60", func(*live) string { return "10.0.143.255" },
			"asks for BAD in subnet SUBNET, which AWS keeps for itself, as the first four addresses and the last of each subnet; write another one of 10.0.128.0/20",
		},
		"an IPv6 address of a machine": {"ipv6-addresses", []func(*v1.Service){external, dualstack}, six, "2600:1f18:1000:8::60", func(*live) string { return "2600:1f18:1000:8::4" }, node + free},
	}
}

// interfaceOf is the id of the node's network interface.
func (l *live) interfaceOf(t *testing.T, n *v1.Node) string {
	t.Helper()
	client, err := api.New(t.Context(), l.config, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := client.EC2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("attachment.instance-id"), Values: []string{idOf(n)}}},
	})
	if err != nil || len(page.NetworkInterfaces) != 1 {
		t.Fatalf("%v, %v", page, err)
	}
	return awssdk.ToString(page.NetworkInterfaces[0].NetworkInterfaceId)
}

// sentence is what the Service shall be told.
func (c *noAddress) sentence(t *testing.T, l *live, text, bad string) string {
	t.Helper()
	r := strings.NewReplacer("BAD", bad, "SUBNET", l.site.Private[2], "ENI", l.interfaceOf(t, l.nodes[2]))
	if strings.HasPrefix(c.want, "asks") {
		return "annotation " + c.key + " " + r.Replace(c.want)
	}
	return "annotation " + c.key + " is \"" + shortened(text) + "\", but " + r.Replace(c.want)
}

// TestAddressesThatAWSWouldRefuse are refused before anything is written: one
// that is made is not, one that is there stays in all its zones, and both are
// served when the annotation is corrected.
func TestAddressesThatAWSWouldRefuse(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(noAddresses(t, startLive(t, awssim.Options{})))) {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			c := noAddresses(t, l)[name]
			bad := c.bad(l)
			wrong := strings.Join(append(slices.Clone(c.good[:2]), bad), ",")
			svc := newSite(t).service("web", c.form...)
			with(c.key, wrong)(svc)
			l.add(t, svc)
			if got, want := l.refusedFor(t, provider.Edit, svc), c.sentence(t, l, wrong, bad); got != want {
				t.Errorf("new:\ngot  %s\nwant %s", got, want)
			}
			with(c.key, strings.Join(c.good, ","))(svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			with(c.key, wrong)(svc)
			for _, cause := range []provider.Cause{provider.Edit, provider.Resync} { // Fairlead made it
				if got, want := l.refusedFor(t, cause, svc), c.sentence(t, l, wrong, bad); got != want {
					t.Errorf("edited:\ngot  %s\nwant %s", got, want)
				}
			}
			with(c.key, strings.Join(append(slices.Clone(c.good[:2]), c.free), ","))(svc)
			l.must(t, 1, provider.Serve, provider.Edit, svc)
			l.cloud.ResetCalls()
			l.must(t, 0, provider.Serve, provider.Edit, svc)
			l.restart(t)
			l.must(t, 0, provider.Serve, provider.Resync, svc)
			if got := l.looks(); len(got) > 0 {
				t.Errorf("what the load balancer has is looked up: %v", got)
			}
		})
	}
}

// TestAnAddressOfARefusedServiceIsThatOfTheNext has two Services that name one
// elastic IP, of which the older one cannot be: the younger one gets it, in the
// same pass, and what it names besides is looked up, too.
func TestAnAddressOfARefusedServiceIsThatOfTheNext(t *testing.T) {
	l := startLive(t, awssim.Options{})
	s, ips := newSite(t), l.elasticIPs(t, 2)
	var list []*v1.Service
	for i, eips := range [][]string{{ips[0], "eipalloc-0bad"}, {ips[0], ips[1]}, {ips[1], "eipalloc-0dead"}} {
		svc := s.service(string(rune('a'+i)), with("subnets", strings.Join(l.site.Public[:2], ","), "eip-allocations", strings.Join(eips, ",")))
		l.add(t, svc)
		list = append(list, svc)
	}
	d, status, err := l.pass(t, provider.Serve, provider.Edit, list...)
	if err != nil || len(d.Refused) != 2 || len(status[keyOf(list[1])].Ingress) != 1 {
		t.Fatalf("%v, refused %v", err, d.Refused)
	}
	for api, n := range l.cloud.Counts().Failed {
		t.Errorf("%s failed %d times", api, n)
	}
}

// TestAZoneThatIsBeingLeftHoldsTheLoadBalancersOwnAddress takes an edit back
// while AWS still has the old elastic IP at the load balancer's interface.
func TestAZoneThatIsBeingLeftHoldsTheLoadBalancersOwnAddress(t *testing.T) {
	l := startLive(t, awssim.Options{Timing: awssim.Timing{Linger: 3 * time.Minute}})
	ips := l.elasticIPs(t, 4)
	svc := newSite(t).service("web", with("eip-allocations", strings.Join(ips[:3], ",")))
	l.add(t, svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	was := l.zonesNow(t)
	leaving := func(what string) {
		t.Helper()
		d, _, err := l.pass(t, provider.Serve, provider.Edit, svc)
		if len(d.Refused) > 0 || err == nil || !strings.Contains(err.Error(), "still being left") {
			t.Errorf("%s: %v, refused %v", what, err, d.Refused)
		}
	}
	with("eip-allocations", strings.Join(append(slices.Clone(ips[:2]), ips[3]), ","))(svc)
	leaving("edited")
	with("eip-allocations", strings.Join(ips[:3], ","))(svc)
	leaving("taken back")
	l.cloud.Advance(3 * time.Minute)
	l.must(t, 1, provider.Serve, provider.Edit, svc)
	if is := l.zonesNow(t); is != was {
		t.Errorf("it is in %s, and was in %s", is, was)
	}
}

// TestAddressesOfALoadBalancerThatIsGone: AWS gives them back some minutes later,
// and another Service gets them then.
func TestAddressesOfALoadBalancerThatIsGone(t *testing.T) {
	l := startLive(t, awssim.Options{Timing: awssim.Timing{Linger: 3 * time.Minute}})
	s := newSite(t)
	edit := with("eip-allocations", strings.Join(l.elasticIPs(t, 3), ","))
	first, next := s.service("first", edit), s.service("next", edit)
	l.add(t, first)
	l.must(t, -1, provider.Serve, provider.Edit, first)
	l.must(t, -1, provider.Remove, provider.Edit, first)
	if err := l.services.Delete(first); err != nil {
		t.Fatal(err)
	}
	l.add(t, next)
	const want = "; wait some minutes when that load balancer was deleted just now, or write the ids of elastic IPs"
	if got := l.refusedFor(t, provider.Edit, next); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	l.cloud.Advance(3 * time.Minute)
	l.must(t, -1, provider.Serve, provider.Freed, next)
}

// TestAddressesOfWhatThePeerMade: the peer reads addresses when it makes a load
// balancer, so one that cannot be had does not stop an edit, and nothing moves.
func TestAddressesOfWhatThePeerMade(t *testing.T) {
	s := load(t, "nlb-default")
	svc := s.services[0]
	with("eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3")(svc)
	svc.Spec.Ports = append(svc.Spec.Ports, tcp("more", 8443, 30843))
	s.observed.Addresses = map[string]aws.Address{
		"eipalloc-1": {State: aws.AddressFree}, "eipalloc-2": {State: aws.AddressTaken, Holder: "network interface eni-1 (a NAT gateway)"}, "eipalloc-3": {State: aws.AddressFree},
	}
	r := s.compute(s.all(provider.Serve, provider.Edit))
	got := text(t, r)
	if len(r.Refused) > 0 || strings.Contains(got, "aws/loadBalancerSubnets") || !strings.Contains(got, "8443") || len(r.NewAddresses) > 0 {
		t.Errorf("new addresses %v:\n%s", r.NewAddresses, got)
	}
	if want := "network interface eni-1 (a NAT gateway) has eipalloc-2"; !strings.Contains(got, want) || !strings.Contains(got, aws.ReasonAdoptedAsIs) {
		t.Errorf("got\n%s\nwant ... %s", got, want)
	}
	s.observed.Addresses["eipalloc-2"] = aws.Address{State: aws.AddressTaken, Balancer: names.LoadBalancer(svc.UID)} // of a zone that it leaves
	if got := text(t, s.compute(s.all(provider.Serve, provider.Edit))); !strings.Contains(got, "aws/loadBalancerSubnets") {
		t.Errorf("its own address is no obstacle:\n%s", got)
	}
}

// TestAddressesMoveToTheLoadBalancerThatIsMadeInstead changes the scheme, for
// which another load balancer is made: what the old one has goes over.
func TestAddressesMoveToTheLoadBalancerThatIsMadeInstead(t *testing.T) {
	l := startClaimed(t, awssim.Options{})
	addresses := []string{"2600:1f18:1000::50", "2600:1f18:1000:1::50", "2600:1f18:1000:2::50"}
	svc := newSite(t).service("web", external, with("scheme", "internal", "ip-address-type", "dualstack",
		"subnets", strings.Join(l.site.Public, ","), "ipv6-addresses", strings.Join(addresses, ",")))
	l.add(t, svc)
	status := l.must(t, -1, provider.Serve, provider.Edit, svc)
	svc.Status.LoadBalancer = *status[keyOf(svc)]
	with("scheme", "internet-facing")(svc)
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	for _, address := range addresses {
		if n := strings.Count(string(l.cloud.State()), address); n == 0 {
			t.Errorf("nobody has %s", address)
		}
	}
	l.must(t, 0, provider.Serve, provider.Resync, svc)
}
