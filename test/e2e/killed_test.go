// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// fewKills is how many trials there are when not all are asked for.
const fewKills = 6

// mortal is a controller manager before a simulated cloud, which is killed and
// started again.
type mortal struct {
	*stand

	clusterName string
	watch       func(see func(sim.Moment, int) sim.Verdict)
	forget      func()
	writes      func() int
	balancing   func(*testing.T) string
	begin       func(*testing.T) *program
	annotate    map[string]string // of the first of two Services

	mu  sync.Mutex // guards all below
	now *program
}

// The controller manager is killed before and after writes to the cloud, with all
// that it runs: the next one takes the lease over and goes on.
func TestKilledManager(t *testing.T) {
	bin := buildCommands(t, controller, plugin)
	t.Run("AWS", func(t *testing.T) { killedOnAWS(t, bin) })
	t.Run("Azure", func(t *testing.T) { killedOnAzure(t, bin) })
}

func killedOnAWS(t *testing.T, bin string) {
	t.Helper()
	cloud := awssim.New(awssim.Options{})
	site := cloud.NewSite(awssim.SiteOptions{Zones: 2})
	site.Launch(2)
	s := newAWSStand(t, bin, cloud, site, "NLBSecurityGroupMode = Managed")
	for _, m := range s.machines(t) {
		s.createNode(t, m.Node())
	}
	m := &mortal{
		stand: s.stand, clusterName: web.ClusterName, forget: cloud.ResetCalls, balancing: s.balancing,
		watch: func(see func(sim.Moment, int) sim.Verdict) {
			cloud.SetHook(func(at sim.Moment, c awssim.Call) sim.Verdict { return see(at, c.Write) })
		},
		writes:   func() int { return sim.Total(cloud.Counts().Writes) },
		begin:    func(t *testing.T) *program { t.Helper(); return s.manage(t, shortLease()...) },
		annotate: map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"},
	}
	m.trials(t)
}

func killedOnAzure(t *testing.T, bin string) {
	t.Helper()
	cloud := azuresim.New(azuresim.Options{MaxRetryAfter: time.Second})
	if err := votefront.Prepare(cloud, 2); err != nil {
		t.Fatal(err)
	}
	s := newAzureStand(t, bin, cloud, map[string]any{"loadBalancerBackendPoolConfigurationType": "nodeIP"})
	for i := range byte(2) {
		s.createNode(t, votefront.RegisteredNode(i))
	}
	m := &mortal{
		stand: s.stand, clusterName: votefront.ClusterName, forget: cloud.ResetCalls, balancing: s.balancing,
		watch: func(see func(sim.Moment, int) sim.Verdict) {
			cloud.SetHook(func(at sim.Moment, c azuresim.Call) sim.Verdict { return see(at, c.Write) })
		},
		writes: func() int { return sim.Total(cloud.Counts().Writes) },
		begin: func(t *testing.T) *program {
			t.Helper()
			return s.manage(t, append(shortLease(), "--configure-cloud-routes=false")...)
		},
		annotate: map[string]string{"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
	}
	m.trials(t)
}

// shortLease lets another manager lead soon after one was killed.
func shortLease() []string {
	return []string{"--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms"}
}

// trials lives once undisturbed, and then dies once in each life.
func (m *mortal) trials(t *testing.T) {
	t.Helper()
	before := m.balancing(t)
	want := m.live(t, "")
	m.gone(t, before)
	writes := m.writes()
	moments := []sim.Moment{sim.BeforeCommit, sim.AfterCommit}
	all := len(moments) * writes
	n := min(fewKills, all)
	if os.Getenv(harness.Soak) != "" {
		n = all
	}
	for i := range n {
		at := (2*i + 1) * all / (2 * n)
		moment, nth := moments[at%len(moments)], 1+at/len(moments)
		if n < all {
			moment = moments[i%len(moments)]
		}
		name := fmt.Sprintf("write %d of %d, moment %d", nth, writes, moment)
		// A life may have less writes than the undisturbed one.
		struck := func() bool { return false }
		for ; nth > 0 && !struck(); nth = min(nth-1, m.writes()) {
			struck = m.kill(moment, nth)
			m.live(t, want)
			m.gone(t, before)
		}
		if !struck() {
			t.Errorf("%s: it was never killed", name)
		}
		if t.Failed() {
			t.Fatalf("%s: it failed so", name)
		}
	}
	t.Logf("%d writes, %d trials, all with the same end", writes, n)
}

// kill lets the manager die at the first write from the nth on that comes to the
// moment.
func (m *mortal) kill(moment sim.Moment, nth int) (struck func() bool) {
	var mu sync.Mutex
	done := false
	m.watch(func(at sim.Moment, write int) sim.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if done || at != moment || write < nth {
			return sim.Proceed
		}
		done = true
		m.mu.Lock()
		defer m.mu.Unlock()
		_ = m.now.cmd.Process.Kill() // one that has ended is as dead
		<-m.now.ended
		return sim.HangUp
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
}

// keep starts a manager when there is none, as a kubelet would.
func (m *mortal) keep(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now != nil {
		select {
		case <-m.now.ended:
		default:
			return
		}
	}
	m.now = m.begin(t)
}

// until waits, with as many managers as it takes, each of which needs some time
// for the lease.
func (m *mortal) until(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		tick := time.NewTicker(step)
		for ctx.Err() == nil {
			m.keep(t)
			if last = check(ctx); last == nil {
				break
			}
			<-tick.C
		}
		tick.Stop()
		cancel()
		if last == nil {
			return
		}
	}
	t.Fatalf("waited in vain until %s: %v", what, last)
}

// live lets two Services come and change, until the cloud is as it was in the
// undisturbed life, and returns how it is. With nothing to compare it with it
// waits until there is nothing left to do.
func (m *mortal) live(t *testing.T, want string) string {
	t.Helper()
	m.forget()
	api := m.admin.CoreV1().Services("default")
	for i, name := range mortals() {
		svc := &v1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, Ports: []v1.ServicePort{
				{Name: "http", Port: 80, NodePort: int32(30100 + 10*i)},
			}},
		}
		if i == 0 {
			svc.Annotations = m.annotate
		}
		// The node ports of the last life may be free a moment after it.
		m.until(t, name+" is there", func(ctx context.Context) error {
			_, err := api.Create(ctx, svc, metav1.CreateOptions{})
			return err
		})
	}
	m.until(t, "both are served", func(ctx context.Context) error {
		for _, name := range mortals() {
			svc, err := api.Get(ctx, name, metav1.GetOptions{})
			if err != nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
				return errors.Join(err, fmt.Errorf("%s is not served", name))
			}
		}
		return nil
	})
	uids := map[string]string{}
	for _, name := range mortals() {
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			svc, err := api.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			uids[baseName(svc.UID)] = name
			svc.Spec.Ports[0].Port = 8080
			svc.Spec.Ports = append(svc.Spec.Ports, v1.ServicePort{Name: "https", Port: 443, NodePort: svc.Spec.Ports[0].NodePort + 1})
			_, err = api.Update(t.Context(), svc, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var picture string
	m.until(t, "the cloud is as the Services want it", func(ctx context.Context) error {
		if want == "" {
			if _, err := m.tryRun(ctx, 0, "plan", "--cluster-name="+m.clusterName, "--all"); err != nil {
				return err
			}
		}
		picture = portrait(m.balancing(t), uids)
		if want != "" && picture != want {
			return fmt.Errorf("-undisturbed +disturbed:\n%s", harness.Diff(want, picture))
		}
		return nil
	})
	return picture
}

// mortals are the names of the Services.
func mortals() []string { return []string{"first", "second"} }

// gone deletes the Services and checks that nothing is left of them.
func (m *mortal) gone(t *testing.T, before string) {
	t.Helper()
	api := m.admin.CoreV1().Services("default")
	for _, name := range mortals() {
		if err := api.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	m.until(t, "both are gone", func(ctx context.Context) error {
		list, err := api.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if slices.Contains(mortals(), list.Items[i].Name) {
				return fmt.Errorf("%s is there with finalizers %q", list.Items[i].Name, list.Items[i].Finalizers)
			}
		}
		return nil
	})
	if diff := harness.Diff(before, m.balancing(t)); diff != "" {
		t.Errorf("something is left (-before +after):\n%s", diff)
	}
}

// portrait is a picture without what differs from life to life: names that are
// made of UIDs, addresses, and the order that follows from them.
func portrait(picture string, uids map[string]string) string {
	for uid, name := range uids {
		picture = strings.ReplaceAll(picture, uid, name)
	}
	picture = regexp.MustCompile(`k8s-default-(\w+)-[0-9a-f]{10}`).ReplaceAllString(picture, "k8s-default-$1")
	picture = regexp.MustCompile(`\b20\.50\.\d+\.\d+\b`).ReplaceAllString(picture, "a public address")
	lines := strings.Split(picture, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], ",")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
