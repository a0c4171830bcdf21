// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

const prefix = "service.beta.kubernetes.io/aws-load-balancer-"

// Keys of the cloud-config.
const (
	managed = "nlbSecurityGroupMode: Managed"
	claim   = "loadBalancerController: {claim: true, clusterName: rig}"
)

// TestMain lets this program be a controller as well, in a process of its own
// that tests can kill.
func TestMain(m *testing.M) {
	for name, value := range rig.Environment() {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	harness.Main(m, rig.Starter)
}

// world is a cloud with a cluster, and the controller that lives now.
type world struct {
	*harness.World
	sim      *awssim.Cloud
	site     *awssim.Site
	server   *sim.Server
	machines []string
}

// newWorld makes a cloud with that many machines, all but the last of which are
// nodes, and with what others made in it. More keys of the cloud-config may be
// given.
func newWorld(o awssim.Options, machines int, config ...string) (*world, error) {
	return newWorldAt(awssim.SiteOptions{}, o, machines, config...)
}

// newWorldAt is newWorld for a site of its own kind.
func newWorldAt(site awssim.SiteOptions, o awssim.Options, machines int, config ...string) (*world, error) {
	w := &world{sim: awssim.New(o)}
	w.site = w.sim.NewSite(site)
	w.World = &harness.World{
		Cluster: harness.NewCluster(), Starter: rig.Starter,
		Config: func() string { return rig.ConfigText(w.site, w.server.URL, config...) },
	}
	w.machines = w.site.Launch(machines)
	for i := range machines - 1 {
		if err := w.Nodes.Add(w.node(i)); err != nil {
			return nil, err
		}
	}
	if err := w.addForeign(); err != nil {
		return nil, err
	}
	w.sim.Advance(time.Hour) // all of it is old
	w.server = w.sim.Start()
	return w, nil
}

// Close ends all.
func (w *world) Close() {
	w.World.Close()
	w.server.Close()
}

// Watch implements [harness.Subject].
func (w *world) Watch(see func(sim.Moment, int) sim.Verdict) {
	w.sim.SetHook(func(m sim.Moment, call awssim.Call) sim.Verdict { return see(m, call.Write) })
}

// Calm implements [harness.Subject].
func (w *world) Calm() {
	w.sim.SetHook(nil)
	w.sim.SetFault(nil)
}

// Writes implements [harness.Subject].
func (w *world) Writes() map[string]int { return w.sim.Counts().Writes }

// Forget implements [harness.Subject].
func (w *world) Forget() { w.sim.ResetCalls() }

// node is that of a machine.
func (w *world) node(i int) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{"number": fmt.Sprint(i)}},
		Spec:       v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + w.machines[i]},
	}
}

// newService is a Service with a network load balancer, and a port for each of
// the texts, such as TCP:80.
func newService(name string, number int, ports ...string) *v1.Service {
	return with(harness.NewService(name, number, ports...), "type", "nlb")
}

// classic lets the Service have a classic load balancer.
func classic(svc *v1.Service) *v1.Service {
	delete(svc.Annotations, prefix+"type")
	return svc
}

// with adds annotations, keys and values in turn.
func with(svc *v1.Service, pairs ...string) *v1.Service {
	for pair := range slices.Chunk(pairs, 2) {
		svc.Annotations[prefix+pair[0]] = pair[1]
	}
	return svc
}

// addForeign makes what others have in the cloud: a rule of the nodes' security
// group, a group, a network load balancer with a listener, and a classic one.
func (w *world) addForeign() error {
	group := w.site.Group("theirs")
	for _, call := range []struct {
		api  string
		form url.Values
	}{
		{"ec2.AuthorizeSecurityGroupIngress", url.Values{
			"GroupId": {w.site.NodeGroup}, "IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"22"}, "IpPermissions.1.ToPort": {"22"},
			"IpPermissions.1.IpRanges.1.CidrIp": {"203.0.113.0/24"}, "IpPermissions.1.IpRanges.1.Description": {"ssh"},
		}},
		{"elbv2.CreateLoadBalancer", url.Values{
			"Name": {"theirs"}, "Type": {"network"}, "Scheme": {"internal"}, "Subnets.member.1": {w.site.Private[0]},
			"Tags.member.1.Key": {"owner"}, "Tags.member.1.Value": {"somebody"},
		}},
		{"elbv2.CreateTargetGroup", url.Values{
			"Name": {"theirs"}, "Protocol": {"TCP"}, "Port": {"30500"}, "VpcId": {w.site.VPC}, "TargetType": {"instance"},
		}},
		{"elb.CreateLoadBalancer", url.Values{
			"LoadBalancerName": {"theirs"}, "Subnets.member.1": {w.site.Public[0]}, "SecurityGroups.member.1": {group},
			"Listeners.member.1.Protocol": {"tcp"}, "Listeners.member.1.LoadBalancerPort": {"80"}, "Listeners.member.1.InstancePort": {"30501"},
		}},
	} {
		if err := w.sim.Apply(call.api, call.form); err != nil {
			return fmt.Errorf("%s: %w", call.api, err)
		}
	}
	return nil
}

// balancers are the names of load balancers by their names in DNS.
func balancers(state []byte) (map[string]string, error) {
	var doc struct {
		ClassicLoadBalancers []struct {
			LoadBalancerDescription struct{ LoadBalancerName, DNSName string }
		}
		NetworkLoadBalancers []struct {
			LoadBalancer struct{ LoadBalancerName, DNSName string }
		}
	}
	if err := json.Unmarshal(state, &doc); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, b := range doc.ClassicLoadBalancers {
		out[b.LoadBalancerDescription.DNSName] = b.LoadBalancerDescription.LoadBalancerName
	}
	for _, b := range doc.NetworkLoadBalancers {
		out[b.LoadBalancer.DNSName] = b.LoadBalancer.LoadBalancerName
	}
	return out, nil
}

// plainGroups is the state with target groups named by what they are for. Their
// names depend on which names were taken when they were made.
func plainGroups(state []byte) (string, error) {
	var doc struct {
		TargetGroups []struct {
			TargetGroup struct {
				TargetGroupName, Protocol string
				Port                      int
			}
		}
	}
	if err := json.Unmarshal(state, &doc); err != nil {
		return "", err
	}
	var pairs []string
	for _, g := range doc.TargetGroups {
		name := g.TargetGroup.TargetGroupName
		kind := strings.TrimRight(name, "0123456789abcdef")
		pairs = append(pairs, name, fmt.Sprint(kind, g.TargetGroup.Protocol, g.TargetGroup.Port))
	}
	return strings.NewReplacer(pairs...).Replace(string(state)), nil
}

// Picture is the state of the cloud and the Services' names in DNS as text, when
// the cloud has come to rest.
func (w *world) Picture() (string, error) {
	w.sim.Advance(time.Hour)
	state := w.sim.State()
	plain, err := plainGroups(state)
	if err != nil {
		return "", err
	}
	text, err := awssim.Normalise([]byte(plain))
	if err != nil {
		return "", err
	}
	known, err := balancers(state)
	for _, name := range w.Names() {
		status := ""
		for _, in := range w.Service(name).Status.LoadBalancer.Ingress {
			if of, ok := known[in.Hostname]; ok {
				status += " that of " + of
			} else {
				status += " nothing's " + in.Hostname
			}
		}
		text += fmt.Sprintf("Service %s:%s\n", name, status)
	}
	return text, err
}

// begun is a world with a controller, which ends with the test.
func begun(t *testing.T, o awssim.Options, config ...string) *world {
	t.Helper()
	w, err := newWorld(o, 4, config...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if err := w.Start(harness.Quiet(t)); err != nil {
		t.Fatal(err)
	}
	return w
}

// pictureOf is the picture for tests that have one world.
func pictureOf(t *testing.T, w *world) string {
	t.Helper()
	text, err := w.Picture()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// calls are all reads and writes since the last reset.
func (w *world) calls() (reads, writes int) {
	c := w.sim.Counts()
	return sim.Total(c.Reads) + c.Pages, sim.Total(c.Writes)
}
