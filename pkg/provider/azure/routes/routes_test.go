// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/machines"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// rig is a simulated cloud and the routes of a cluster in it.
type rig struct {
	*Routes
	cloud *azuresim.Cloud
	nodes cache.Indexer
}

// clientOf speaks to the server.
func clientOf(t *testing.T, url string) *arm.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := arm.New(arm.Options{
		Cloud:     arm.Cloud{Endpoint: url, Audience: "https://management.azure.com/", Authority: "https://login.example.com/"},
		Identity:  arm.Identity{Credential: token("a-long-enough-token")},
		Times:     arm.Times{Poll: time.Millisecond, Retry: time.Millisecond},
		Transport: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newRig(t *testing.T, edit ...func(*Options)) *rig {
	t.Helper()
	cloud := azuresim.New(azuresim.Options{MaxRetryAfter: time.Nanosecond})
	if _, err := cloud.NewSite(azuresim.SiteOptions{}); err != nil {
		t.Fatal(err)
	}
	server := cloud.Start()
	t.Cleanup(server.Close)
	client := clientOf(t, server.URL)
	o := Options{TableID: cloud.ID("rig", azuresim.RouteTables, "rig-routes"), Location: "eastus"}
	for _, e := range edit {
		e(&o)
	}
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	r := New(client, corelisters.NewNodeLister(nodes), clock.RealClock{}, o)
	ctx, cancel := context.WithCancel(t.Context())
	var ran sync.WaitGroup
	ran.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); ran.Wait() })
	return &rig{r, cloud, nodes}
}

func (r *rig) addNode(t *testing.T, n int, edits ...func(*v1.Node)) {
	t.Helper()
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", n)}}
	node.Spec.PodCIDRs = []string{cidr(n)}
	node.Status.Addresses = []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("fd00::%d", n)}, {Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.0.%d", n)}}
	for _, e := range edits {
		e(node)
	}
	if err := r.nodes.Add(node); err != nil {
		t.Fatal(err)
	}
}

func cidr(n int) string { return fmt.Sprintf("10.244.%d.0/24", n) }

func to(n int, cidr string) *cloudprovider.Route {
	return &cloudprovider.Route{TargetNode: types.NodeName(fmt.Sprintf("n%d", n)), DestinationCIDR: cidr}
}

func (r *rig) create(t *testing.T, list ...*cloudprovider.Route) []error {
	t.Helper()
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, x := range list {
		all.Go(func() { errs[i] = r.CreateRoute(t.Context(), "kubernetes", "hint", x) })
	}
	all.Wait()
	return errs
}

// routes are those in the cloud's table, as name, prefix and next hop.
func (r *rig) routes(t *testing.T) []string {
	t.Helper()
	doc, ok := r.cloud.Get(r.options.TableID)
	if !ok {
		return nil
	}
	tb, err := parseTable(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range tb.routes {
		out = append(out, x.name+" "+x.cidr+" "+x.hop)
	}
	slices.Sort(out)
	return out
}

func (r *rig) listed(t *testing.T) []string {
	t.Helper()
	list, err := r.ListRoutes(t.Context(), "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		out = append(out, string(x.TargetNode)+" "+x.DestinationCIDR)
	}
	slices.Sort(out)
	return out
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestABatchOfNodesCostsTwoWrites(t *testing.T) {
	r := newRig(t)
	r.cloud.SetLatency(azuresim.Latencies{Write: 100 * time.Millisecond})
	var list []*cloudprovider.Route
	for n := 1; n <= 100; n++ {
		r.addNode(t, n)
		list = append(list, to(n, cidr(n)))
	}
	if got := r.listed(t); len(got) != 0 {
		t.Errorf("at first: %q", got)
	}
	noErrors(t, r.create(t, list...))
	counts := r.cloud.Counts()
	if reads, writes := sim.Total(counts.Reads), sim.Total(counts.Writes); reads != 1 || writes > 3 {
		t.Errorf("%d reads and %d writes", reads, writes)
	}
	if got := r.listed(t); len(got) != 100 || got[0] != "n1 10.244.1.0/24" {
		t.Errorf("listed: %q", got)
	}
	if got := r.routes(t); len(got) != 100 || !slices.Contains(got, "n1____102441024 10.244.1.0/24 10.240.0.1") {
		t.Errorf("in the table: %q", got)
	}
}

func TestDualStackRoutesGoToTheAddressOfTheirFamily(t *testing.T) {
	r := newRig(t)
	r.addNode(t, 1)
	noErrors(t, r.create(t, to(1, cidr(1)), to(1, "fd00:244:1::/64")))
	want := []string{"n1____102441024 10.244.1.0/24 10.240.0.1", "n1____fd0024416" + "4 fd00:244:1::/64 fd00::1"}
	if diff := cmp.Diff(want, r.routes(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []string{cidr(1), "fd00:244:1::/64"} {
		if err := r.DeleteRoute(t.Context(), "kubernetes", to(1, c)); err != nil {
			t.Error(err)
		}
	}
	if got := r.routes(t); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestAMissingTableIsMade(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.TableID = strings.ReplaceAll(o.TableID, "rig-routes", "new")
		o.Tags = map[string]string{"owner": "me"}
	})
	r.addNode(t, 1)
	if got := r.listed(t); len(got) != 0 {
		t.Errorf("without a table: %q", got)
	}
	noErrors(t, r.create(t, to(1, cidr(1))))
	doc, ok := r.cloud.Get(r.options.TableID)
	if !ok || !strings.Contains(string(doc), `"owner":"me"`) {
		t.Errorf("table: %s", doc)
	}
}

func TestTagsAreCorrectedAndARestartWritesNothing(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Tags = map[string]string{"owner": "me"} })
	r.listed(t)
	r.listed(t)
	if n := sim.Total(r.cloud.Counts().Writes); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestForeignRoutesStayAndAreNobodys(t *testing.T) {
	r := newRig(t)
	r.addNode(t, 1)
	noErrors(t, r.create(t, to(1, cidr(1))))
	err := r.cloud.Edit(r.options.TableID, func(doc map[string]any) {
		props, ok := doc["properties"].(map[string]any)
		if !ok {
			t.Fatal("no properties")
		}
		list, ok := props["routes"].([]any)
		if !ok {
			t.Fatal("no routes")
		}
		props["routes"] = append(list, map[string]any{
			"name": "firewall", "properties": map[string]any{"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.9.9.9"},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.addNode(t, 2)
	noErrors(t, r.create(t, to(2, cidr(2)))) // from the old table: 412, then from the new one
	want := []string{"firewall 0.0.0.0/0 10.9.9.9", "n1____102441024 10.244.1.0/24 10.240.0.1", "n2____102442024 10.244.2.0/24 10.240.0.2"}
	if diff := cmp.Diff(want, r.routes(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"n1 10.244.1.0/24", "n2 10.244.2.0/24"}, r.listed(t)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(r.cloud.Calls(), func(c azuresim.Call) bool { return c.Status == http.StatusPreconditionFailed }) {
		t.Error("no write was conditional")
	}
	if errs := r.create(t, to(1, "0.0.0.0/0")); errs[0] == nil || plan.KindOf(errs[0]) != plan.Invalid {
		t.Errorf("a prefix that is taken: %v", errs)
	}
}

func TestAFailedWriteIsReportedToAllWhoseRoutesItHad(t *testing.T) {
	r := newRig(t)
	var list []*cloudprovider.Route
	for n := 1; n <= 5; n++ {
		r.addNode(t, n)
		list = append(list, to(n, cidr(n)))
	}
	r.cloud.SetFault(func(c azuresim.Call) *azuresim.Fault {
		if c.Method == http.MethodPut {
			return azuresim.Refuse(http.StatusForbidden, "AuthorizationFailed", 0)
		}
		return nil
	})
	for i, err := range r.create(t, list...) {
		if err == nil || plan.KindOf(err) != plan.Denied {
			t.Errorf("route %d: %v", i, err)
		}
	}
	if got := r.listed(t); len(got) != 0 {
		t.Errorf("listed: %q", got)
	}
	r.cloud.SetFault(nil)
	noErrors(t, r.create(t, list...))
}

func TestALostAnswerIsNoDoubleWork(t *testing.T) {
	r := newRig(t)
	r.addNode(t, 1)
	var once sync.Once
	r.cloud.SetFault(func(c azuresim.Call) (f *azuresim.Fault) {
		if c.Method == http.MethodPut {
			once.Do(func() { f = azuresim.Drop(azuresim.After) })
		}
		return f
	})
	if errs := r.create(t, to(1, cidr(1))); errs[0] != nil {
		t.Logf("the first one: %v", errs[0])
	}
	noErrors(t, r.create(t, to(1, cidr(1))))
	if got := r.routes(t); len(got) != 1 {
		t.Errorf("in the table: %q", got)
	}
	if n := sim.Total(r.cloud.Counts().Writes); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestNodesThatAzureDoesNotRunKeepTheirPrefixesWithoutARoute(t *testing.T) {
	r := newRig(t)
	r.addNode(t, 1, func(n *v1.Node) { n.Labels = map[string]string{machines.ManagedLabel: "false"} })
	noErrors(t, r.create(t, to(1, cidr(1))))
	if err := r.DeleteRoute(t.Context(), "kubernetes", to(1, cidr(1))); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"n1 10.244.1.0/24"}, r.listed(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := sim.Total(r.cloud.Counts().Writes); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestARouteNeedsAnAddressOfItsFamily(t *testing.T) {
	r := newRig(t)
	r.addNode(t, 1, func(n *v1.Node) { n.Status.Addresses = n.Status.Addresses[1:] })
	errs := r.create(t, to(1, "fd00:244:1::/64"))
	want := "node n1: status.addresses has no InternalIP of the family of fd00:244:1::/64, which its route would lead to"
	if errs[0] == nil || errs[0].Error() != want {
		t.Errorf("%v, want %s", errs[0], want)
	}
}

func TestThoseWhoWaitAtTheEndAreTold(t *testing.T) {
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(stuck.Close)
	r := New(clientOf(t, stuck.URL), corelisters.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})), clock.RealClock{}, Options{TableID: "/subscriptions/s/resourceGroups/rig/providers/Microsoft.Network/routeTables/t"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	errs := make(chan error, 2)
	for range 2 {
		done := make(chan error, 1)
		r.asks <- ask{operation{verb: remove, node: "n", cidr: "10.0.0.0/24"}, done}
		go func() { errs <- <-done }()
	}
	cancel()
	for range 2 {
		if err := <-errs; err == nil {
			t.Error("told that it is done")
		}
	}
	<-ended
}

// A table that somebody makes between the look and the write is not replaced.
func TestATableThatIsMadeMeanwhileIsKept(t *testing.T) {
	r := newRig(t, func(o *Options) { o.TableID = strings.ReplaceAll(o.TableID, "rig-routes", "new") })
	r.addNode(t, 1)
	var once sync.Once
	r.cloud.SetHook(func(m sim.Moment, call azuresim.Call) sim.Verdict {
		if m == sim.BeforeCommit && call.Method == http.MethodPut {
			once.Do(func() {
				if _, err := r.cloud.Make(r.options.TableID, map[string]any{"location": "eastus", "tags": map[string]any{"owner": "somebody"}}); err != nil {
					t.Error(err)
				}
			})
		}
		return sim.Proceed
	})
	noErrors(t, r.create(t, to(1, cidr(1))))
	doc, _ := r.cloud.Get(r.options.TableID)
	if !strings.Contains(string(doc), `"owner":"somebody"`) || len(r.routes(t)) == 0 {
		t.Errorf("table: %s", doc)
	}
}
