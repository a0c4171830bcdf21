// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// cluster is the Services that a provider sees, and a caller that does passes
// as the engine does.
type cluster struct {
	testing.TB

	services   cache.Indexer
	namespaces cache.Indexer
	provider   *Provider
	registry   *intent.Registry
	born       int
	seen       map[plan.Key]*v1.Service // as they were put in, to find changes
}

// outcome is what a pass came to.
type outcome struct {
	provider.Decision

	status map[plan.Key]*v1.LoadBalancerStatus
}

func newCluster(tb testing.TB, config string) *cluster {
	tb.Helper()
	c := &cluster{
		TB:         tb,
		services:   cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		namespaces: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		registry:   intent.Annotations(),
		seen:       map[plan.Key]*v1.Service{},
	}
	c.restart(config)
	return c
}

// restart makes a new provider, which remembers nothing.
func (c *cluster) restart(config string) {
	c.Helper()
	c.provider = New(Options{
		Services:   corelisters.NewServiceLister(c.services),
		Namespaces: corelisters.NewNamespaceLister(c.namespaces),
		Config:     parseConfig(c.TB, config),
	})
}

func parseConfig(tb testing.TB, text string) *cloudconfig.Config {
	tb.Helper()
	c, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// poolsConfig is a cloud-config with the pools, each NAME=RANGE[,RANGE].
func poolsConfig(pools ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetal:\n  pools:\n", cloudconfig.APIVersion, cloudconfig.Kind)
	if len(pools) == 0 {
		return strings.TrimSuffix(b.String(), "  pools:\n") + "  pools: []\n"
	}
	for _, p := range pools {
		name, ranges, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "  - name: %s\n    addresses: [%s]\n", name, ranges)
	}
	return b.String()
}

// service is a new Service with TCP port 80, IPv4 alone.
func (c *cluster) service(name string, edits ...func(*v1.Service)) *v1.Service {
	c.born++
	single := v1.IPFamilyPolicySingleStack
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID(fmt.Sprint("uid-", c.born)),
			CreationTimestamp: metav1.NewTime(time.Unix(int64(c.born), 0)),
		},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, IPFamilyPolicy: &single, IPFamilies: []v1.IPFamily{v1.IPv4Protocol},
			Ports: []v1.ServicePort{{Protocol: v1.ProtocolTCP, Port: 80}},
		},
	}
	for _, e := range edits {
		e(svc)
	}
	c.put(svc)
	return svc
}

func annotated(key, value string) func(*v1.Service) {
	return func(s *v1.Service) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, key, value) }
}

func dual(policy v1.IPFamilyPolicy) func(*v1.Service) {
	return func(s *v1.Service) {
		s.Spec.IPFamilyPolicy = &policy
		s.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
	}
}

func onPort(n int32) func(*v1.Service) {
	return func(s *v1.Service) { s.Spec.Ports[0].Port = n }
}

func withStatus(ips ...string) func(*v1.Service) {
	return func(s *v1.Service) {
		s.Status.LoadBalancer = v1.LoadBalancerStatus{}
		for _, ip := range ips {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, v1.LoadBalancerIngress{IP: ip})
		}
	}
}

func (c *cluster) put(svc *v1.Service) {
	c.Helper()
	if err := c.services.Update(svc); err != nil {
		c.Fatal(err)
	}
	c.seen[provider.KeyOf(svc)] = svc.DeepCopy()
}

func (c *cluster) get(name string) *v1.Service {
	c.Helper()
	obj, ok, err := c.services.GetByKey("default/" + name)
	if err != nil || !ok {
		c.Fatalf("Service %s: %v, %v", name, ok, err)
	}
	svc, ok := obj.(*v1.Service)
	if !ok {
		c.Fatalf("%T is no Service", obj)
	}
	return svc
}

// edit changes a Service as a user does.
func (c *cluster) edit(name string, edits ...func(*v1.Service)) {
	c.Helper()
	svc := c.get(name).DeepCopy()
	for _, e := range edits {
		e(svc)
	}
	c.put(svc)
}

// gone takes a Service out of the lister.
func (c *cluster) gone(name string) {
	c.Helper()
	if err := c.services.Delete(c.get(name)); err != nil {
		c.Fatal(err)
	}
	delete(c.seen, plan.Key{Namespace: "default", Name: name})
}

// batch is the Services of these names, as the engine would bring them; all
// that want a load balancer or have one when none is named.
func (c *cluster) batch(cause provider.Cause, names ...string) provider.Batch {
	c.Helper()
	b := provider.Batch{Group: group}
	for _, obj := range c.services.List() {
		svc, ok := obj.(*v1.Service)
		if !ok || (len(names) > 0 && !slices.Contains(names, svc.Name)) {
			continue
		}
		it := provider.Item{Key: provider.KeyOf(svc), Service: svc, Cause: cause, Want: provider.Remove}
		if svc.DeletionTimestamp == nil && intent.Wants(svc, "", intent.ClassOf(intent.Metal)) {
			it.Want = provider.Serve
			var problems []intent.Problem
			it.Intent, problems = intent.New(svc, intent.Metal, c.registry)
			if intent.Refusal(problems) != nil {
				it.Want = provider.Keep
			}
		}
		b.Items = append(b.Items, it)
	}
	slices.SortFunc(b.Items, func(x, y provider.Item) int {
		return cmp.Or(x.Service.CreationTimestamp.Compare(y.Service.CreationTimestamp.Time), plan.CompareKeys(x.Key, y.Key))
	})
	return b
}

// look observes and decides; it checks that deciding is pure.
func (c *cluster) look(b provider.Batch) (provider.Pass, outcome) {
	c.Helper()
	p, err := c.provider.Observe(c.Context(), b)
	if err != nil {
		c.Fatal(err)
	}
	d := p.Decide()
	if diff := gocmp.Diff(fmt.Sprint(d), fmt.Sprint(p.Decide())); diff != "" {
		c.Errorf("Decide is not the same twice:\n%s", diff)
	}
	if _, err := plan.New(d.Plan.Steps); err != nil {
		c.Errorf("the plan is bad: %v", err)
	}
	out := outcome{Decision: d, status: map[plan.Key]*v1.LoadBalancerStatus{}}
	for _, it := range b.Items {
		out.status[it.Key] = p.Status(it.Key)
	}
	for key, want := range c.seen {
		if diff := gocmp.Diff(want, c.get(key.Name)); diff != "" {
			c.Errorf("%s in the cache was changed:\n%s", key, diff)
		}
	}
	return p, out
}

// pass does a pass, each step twice as after a lost answer.
func (c *cluster) pass(cause provider.Cause, names ...string) outcome {
	c.Helper()
	p, out := c.look(c.batch(cause, names...))
	for _, st := range out.Plan.Steps {
		if !st.Shared || len(st.Serves) != 1 {
			c.Errorf("step %s is shared %v and serves %v", st.Target, st.Shared, st.Serves)
		}
		for range 2 {
			if err := p.Execute(c.Context(), st, nil); err != nil {
				c.Fatal(err)
			}
		}
	}
	return out
}

// publish writes the statuses, as the upstream controller does, and takes out
// the Services whose deletion waited for that.
func (c *cluster) publish(out outcome) {
	c.Helper()
	for key, st := range out.status {
		svc := c.get(key.Name).DeepCopy()
		switch {
		case svc.DeletionTimestamp != nil:
			c.gone(key.Name)
			continue
		case out.Refused[key] != nil:
			continue
		case st == nil:
			st = &v1.LoadBalancerStatus{}
		}
		svc.Status.LoadBalancer = *st
		c.put(svc)
	}
}

// settle does a pass and publishes it.
func (c *cluster) settle(cause provider.Cause, names ...string) outcome {
	c.Helper()
	out := c.pass(cause, names...)
	c.publish(out)
	return out
}

// ips are the addresses in the status of a Service.
func (c *cluster) ips(name string) string {
	c.Helper()
	return ipsOf(&c.get(name).Status.LoadBalancer)
}

func ipsOf(s *v1.LoadBalancerStatus) string {
	if s == nil {
		return ""
	}
	var out []string
	for _, in := range s.Ingress {
		out = append(out, in.IP)
	}
	return strings.Join(out, " ")
}

func (c *cluster) wantIPs(name, want string) {
	c.Helper()
	if got := c.ips(name); got != want {
		c.Errorf("%s has %q, want %q", name, got, want)
	}
}

// steps are the steps of a plan, one on a line.
func (o outcome) steps() string {
	var b strings.Builder
	for _, s := range o.Plan.Steps {
		fmt.Fprintf(&b, "%d %s:", s.Action, s.Target)
		for _, d := range s.Why {
			fmt.Fprintf(&b, " %s %q -> %q", d.Field, d.Have, d.Want)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c *cluster) wantSteps(o outcome, want ...string) {
	c.Helper()
	text := ""
	for _, w := range want {
		text += w + "\n"
	}
	if diff := gocmp.Diff(text, o.steps()); diff != "" {
		c.Errorf("steps (-want +got):\n%s", diff)
	}
}

// told are the notices of one Service.
func (o outcome) told(name string) string {
	var out []string
	for _, n := range o.Notices[plan.Key{Namespace: "default", Name: name}] {
		kind := "Normal"
		if n.Warning {
			kind = "Warning"
		}
		out = append(out, fmt.Sprintf("%s %s: %s", kind, n.Reason, n.Message))
	}
	return strings.Join(out, "\n")
}

func (o outcome) refusal(name string) string {
	err := o.Refused[plan.Key{Namespace: "default", Name: name}]
	if err == nil {
		return ""
	}
	return err.Error()
}
