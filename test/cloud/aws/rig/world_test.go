// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
)

const prefix = "service.beta.kubernetes.io/aws-load-balancer-"

// world is a cloud with a cluster, and the controller that lives now.
type world struct {
	sim      *awssim.Cloud
	site     *awssim.Site
	server   *awssim.Server
	cluster  *rig.Cluster
	config   []string // more keys of the cloud-config
	machines []string
	lives    []life
	// start lets a new controller live.
	start func(context.Context) error
}

// life is one life of a controller.
type life interface {
	// reconcile does once what the upstream controller does for each of the
	// Services, side by side, and returns those that failed.
	reconcile(ctx context.Context, services []string, nodes bool) (failed []string, err error)
	dead() bool
	close()
}

// within is a controller in this process.
type within struct {
	*rig.Controller
	cluster *rig.Cluster
}

func (*within) dead() bool { return false }
func (l *within) close()   { l.Close() }

// newWorld makes a cloud with that many machines, all but the last of which are
// nodes, and with what others made in it.
func newWorld(o awssim.Options, machines int, config ...string) (*world, error) {
	w := &world{sim: awssim.New(o), cluster: rig.NewCluster(), config: config}
	w.site = w.sim.NewSite(awssim.SiteOptions{})
	w.machines = w.site.Launch(machines)
	for i := range machines - 1 {
		if err := w.cluster.Nodes.Add(w.node(i)); err != nil {
			return nil, err
		}
	}
	if err := w.addForeign(); err != nil {
		return nil, err
	}
	w.server = w.sim.Start()
	w.start = w.startWithin
	return w, nil
}

func (w *world) configText() string { return rig.ConfigText(w.site, w.server.URL, w.config...) }

// startController starts a controller for a cloud-config.
func startController(ctx context.Context, cluster *rig.Cluster, text string) (*within, error) {
	conf, err := rig.Config(text)
	if err != nil {
		return nil, err
	}
	client, err := rig.Client(ctx, conf, rig.NoLimits())
	if err != nil {
		return nil, err
	}
	return &within{Controller: rig.Start(ctx, cluster, client, conf), cluster: cluster}, nil
}

func (w *world) startWithin(ctx context.Context) error {
	l, err := startController(ctx, w.cluster, w.configText())
	if err == nil {
		w.lives = append(w.lives, l)
	}
	return err
}

// startProcess starts a controller in a process of its own.
func (w *world) startProcess(ctx context.Context) error {
	p, err := startProcess(ctx, w.cluster, w.configText())
	if err == nil {
		w.lives = append(w.lives, p)
	}
	return err
}

func (w *world) now() life { return w.lives[len(w.lives)-1] }

// close ends all.
func (w *world) close() {
	for _, l := range w.lives {
		l.close()
	}
	w.server.Close()
}

// node is that of a machine.
func (w *world) node(i int) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{"number": fmt.Sprint(i)}},
		Spec:       v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + w.machines[i]},
	}
}

// service is a Service of the cluster as it is now, for changes; nil when it is
// not there.
func (w *world) service(name string) *v1.Service { return serviceOf(w.cluster, name) }

func serviceOf(c *rig.Cluster, name string) *v1.Service {
	obj, ok, _ := c.Services.GetByKey("shop/" + name)
	svc, is := obj.(*v1.Service)
	if !ok || !is {
		return nil
	}
	return svc.DeepCopy()
}

// names are those of all Services.
func (w *world) names() []string {
	var out []string
	for _, key := range w.cluster.Services.ListKeys() {
		out = append(out, key[len("shop/"):])
	}
	slices.Sort(out)
	return out
}

func (l *within) reconcile(ctx context.Context, services []string, nodes bool) (failed []string, err error) {
	var mu sync.Mutex
	var errs []error
	l.each(ctx, services, nodes, func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed, errs = append(failed, name), append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	slices.Sort(failed)
	return failed, errors.Join(errs...)
}

// each reconciles the Services and tells how each one ended.
func (l *within) each(ctx context.Context, services []string, nodes bool, ended func(name string, err error)) {
	var wg sync.WaitGroup
	for _, name := range services {
		svc := serviceOf(l.cluster, name)
		wg.Go(func() {
			var err error
			switch {
			case svc == nil:
			case nodes && rig.Wants(svc):
				err = l.UpdateLoadBalancer(ctx, rig.Name, svc, nil)
			default:
				err = l.Sync(ctx, svc)
			}
			ended(name, err)
		})
	}
	wg.Wait()
}

// replace lets an indexer hold these objects alone.
func replace[T any](to cache.Indexer, objects []T) error {
	list := make([]any, len(objects))
	for i := range objects {
		list[i] = objects[i]
	}
	return to.Replace(list, "")
}

// longestSettle bounds what one change may take, with all back-off.
const longestSettle = time.Minute

// settle reconciles until nothing is left to do. When the controller dies, a
// new one looks at everything, as at each start.
func (w *world) settle(ctx context.Context, services []string, nodes bool) error {
	ctx, cancel := context.WithTimeout(ctx, longestSettle)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		if w.now().dead() {
			services, nodes = w.names(), false
			if err := w.start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
		failed, err := w.now().reconcile(ctx, services, nodes)
		switch {
		case w.now().dead():
			continue
		case err == nil:
			return nil
		}
		services, last = failed, err
	}
	return errors.Join(last, ctx.Err())
}

// newService is a Service with a network load balancer, and a port for each of
// the texts, such as TCP:80.
func newService(name string, number int, ports ...string) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", number)),
			Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"}, Annotations: map[string]string{prefix + "type": "nlb"},
			CreationTimestamp: metav1.Unix(int64(number), 0),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
			IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, SessionAffinity: v1.ServiceAffinityNone, ClusterIP: "10.0.0.1",
		},
	}
	for i, p := range ports {
		addPort(svc, p, int32(30000+10*number+i))
	}
	return svc
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

// local lets only nodes with endpoints answer the health check.
func local(svc *v1.Service) *v1.Service {
	svc.Spec.ExternalTrafficPolicy = v1.ServiceExternalTrafficPolicyLocal
	svc.Spec.HealthCheckNodePort = svc.Spec.Ports[0].NodePort + 2000
	return svc
}

func addPort(svc *v1.Service, text string, nodePort int32) {
	var port v1.ServicePort
	if _, err := fmt.Sscanf(text[4:], "%d", &port.Port); err != nil {
		panic(err)
	}
	port.Name, port.Protocol, port.NodePort = "port"+text[4:], v1.Protocol(text[:3]), nodePort
	svc.Spec.Ports = append(svc.Spec.Ports, port)
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

// picture is the state of the cloud and the Services' names in DNS as text, when
// the cloud has come to rest.
func (w *world) picture() (string, error) {
	w.sim.Advance(time.Hour)
	state := w.sim.State()
	text, err := awssim.Normalise(state)
	if err != nil {
		return "", err
	}
	known, err := balancers(state)
	for _, name := range w.names() {
		status := ""
		for _, in := range w.service(name).Status.LoadBalancer.Ingress {
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

// quiet is a context whose controllers log nothing.
func quiet(t *testing.T) context.Context {
	t.Helper()
	return klog.NewContext(t.Context(), klog.Logger{})
}

// begun is a world with a controller, which ends with the test.
func begun(t *testing.T, o awssim.Options, config ...string) *world {
	t.Helper()
	w, err := newWorld(o, 4, config...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if err := w.start(quiet(t)); err != nil {
		t.Fatal(err)
	}
	return w
}

// restart ends the controller and starts another.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.now().close()
	if err := w.start(quiet(t)); err != nil {
		t.Fatal(err)
	}
}

// do plays steps to their end.
func (w *world) do(t *testing.T, steps ...step) {
	t.Helper()
	if err := w.play(quiet(t), steps); err != nil {
		t.Fatal(err)
	}
}

// pictureOf is the picture for tests that have one world.
func pictureOf(t *testing.T, w *world) string {
	t.Helper()
	text, err := w.picture()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// calls are all reads and writes since the last reset.
func (w *world) calls() (reads, writes int) {
	c := w.sim.Counts()
	return awssim.Total(c.Reads) + c.Pages, awssim.Total(c.Writes)
}

// sorted are the counts as text.
func sorted(counts map[string]int) string {
	text := ""
	for _, api := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf(" %s %d", api, counts[api])
	}
	return text
}

// within is the controller that lives in this process now.
func (w *world) within(t *testing.T) *within {
	t.Helper()
	l, is := w.now().(*within)
	if !is {
		t.Fatal("the controller lives in another process")
	}
	return l
}
