// SPDX-License-Identifier: Apache-2.0

package routes_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	cloudprovider "k8s.io/cloud-provider"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
	"github.com/fairlead/fairlead/pkg/provider/aws/routes"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// rig is the routes of a cluster in a simulated account.
type rig struct {
	*routes.Routes
	cloud   *awssim.Cloud
	site    *awssim.Site
	client  *api.Client
	clock   *testingclock.FakeClock
	nodes   cache.Indexer
	ids     []string // instances of the nodes, by number
	options routes.Options
}

func newRig(t *testing.T, o awssim.Options, nodes int) *rig {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "test")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	r := &rig{cloud: awssim.New(o), clock: testingclock.NewFakeClock(time.Now()), nodes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
	r.site = r.cloud.NewSite(awssim.SiteOptions{Families: "dualstack"})
	server := r.cloud.Start()
	t.Cleanup(server.Close)
	conf := cloudconfig.NewAWS()
	conf.Region = r.cloud.Region()
	conf.Endpoints = cloudconfig.AWSEndpoints{EC2: server.URL}
	client, err := api.New(t.Context(), conf, api.Setup{Limits: &api.Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	r.client = client
	r.options = routes.Options{
		Client: client, Nodes: corelisters.NewNodeLister(r.nodes), TableID: r.site.MainTable,
		Cluster: func(context.Context) (instances.Cluster, error) {
			return instances.Cluster{VPC: r.site.VPC, Tags: names.Cluster{ID: r.site.Cluster}}, nil
		},
	}
	r.ids = r.site.Launch(nodes)
	for n, id := range r.ids {
		r.add(t, n, "aws:///us-east-1a/"+id)
	}
	r.restart()
	return r
}

func (r *rig) restart() {
	r.options.Instances = instances.NewReader(r.client, r.clock, instances.Options{Nodes: r.options.Nodes, Cluster: r.options.Cluster})
	r.Routes = routes.New(r.clock, r.options)
}

func (r *rig) add(t *testing.T, n int, providerID string) {
	t.Helper()
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", n)}, Spec: v1.NodeSpec{ProviderID: providerID, PodCIDRs: []string{cidr(n)}}}
	if err := r.nodes.Add(node); err != nil {
		t.Fatal(err)
	}
}

func cidr(n int) string { return fmt.Sprintf("10.244.%d.0/24", n) }

func to(n int, cidr string) *cloudprovider.Route {
	return &cloudprovider.Route{TargetNode: types.NodeName(fmt.Sprint("n", n)), DestinationCIDR: cidr}
}

func (r *rig) create(t *testing.T, list ...*cloudprovider.Route) []error {
	t.Helper()
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, x := range list {
		all.Go(func() { errs[i] = r.CreateRoute(t.Context(), "rig", "hint", x) })
	}
	all.Wait()
	return errs
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// listed are the routes that are listed, as node and prefix.
func (r *rig) listed(t *testing.T) []string {
	t.Helper()
	list, err := r.ListRoutes(t.Context(), "rig")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		text := string(x.TargetNode) + " " + x.DestinationCIDR
		if x.Blackhole {
			text += " blackhole"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// inTable are the routes of the table to instances, by the numbers of nodes.
func (r *rig) inTable(t *testing.T) []string {
	t.Helper()
	page, err := r.client.EC2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{r.site.MainTable}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range page.RouteTables[0].Routes {
		if x.InstanceId == nil {
			continue
		}
		to := awssdk.ToString(x.DestinationCidrBlock) + awssdk.ToString(x.DestinationIpv6CidrBlock)
		out = append(out, fmt.Sprint("n", slices.Index(r.ids, *x.InstanceId), " ", to))
	}
	slices.Sort(out)
	return out
}

func (r *rig) same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestManyNodesShareOneRead(t *testing.T) {
	const n = 40
	r := newRig(t, awssim.Options{}, n)
	var list []*cloudprovider.Route
	for i := range n {
		list = append(list, to(i, cidr(i)))
	}
	r.same(t, "at first", r.listed(t))
	noErrors(t, r.create(t, list...))
	if c := r.cloud.Counts(); c.Reads["ec2.DescribeRouteTables"] != 1 || c.Reads["ec2.DescribeInstances"] != 1 ||
		c.Writes["ec2.CreateRoute"] != n || c.Writes["ec2.ModifyInstanceAttribute"] != n {
		t.Errorf("%v %v", c.Reads, c.Writes)
	}
	if got := r.listed(t); len(got) != n || got[0] != "n0 10.244.0.0/24" {
		t.Errorf("listed %v", got)
	}
	// Another process finds all as it is to be.
	r.cloud.ResetCalls()
	r.restart()
	noErrors(t, r.create(t, list...))
	if c := r.cloud.Counts(); len(c.Writes) > 0 {
		t.Errorf("after a restart: %v", c.Writes)
	}
}

func TestAtRestTheTableIsReadSeldom(t *testing.T) {
	r := newRig(t, awssim.Options{}, 1)
	for range 360 {
		r.listed(t)
		r.clock.Step(10 * time.Second)
	}
	if n := r.cloud.Counts().Reads["ec2.DescribeRouteTables"]; n > 30 {
		t.Errorf("%d reads an hour", n)
	}
}

func TestRoutesComeAndGo(t *testing.T) {
	r := newRig(t, awssim.Options{Lag: awssim.Lag{EC2: 0}}, 2)
	noErrors(t, r.create(t, to(0, cidr(0)), to(1, cidr(1)), to(0, "fd00:244::/64")))
	r.same(t, "in the table", r.inTable(t), "n0 10.244.0.0/24", "n0 fd00:244::/64", "n1 10.244.1.0/24")
	r.same(t, "listed", r.listed(t), "n0 10.244.0.0/24", "n0 fd00:244::/64", "n1 10.244.1.0/24")
	for range 2 {
		for _, c := range []string{cidr(0), "fd00:244::/64"} {
			if err := r.DeleteRoute(t.Context(), "rig", to(0, c)); err != nil {
				t.Error(err)
			}
		}
	}
	r.same(t, "left in the table", r.inTable(t), "n1 10.244.1.0/24")
	r.same(t, "listed at last", r.listed(t), "n1 10.244.1.0/24")
}

// TestALateAnswerDoesNotUndoWhatIsWritten reads the table before it shows the
// last writes.
func TestALateAnswerDoesNotUndoWhatIsWritten(t *testing.T) {
	r := newRig(t, awssim.Options{Lag: awssim.Lag{EC2: time.Minute}}, 1)
	r.cloud.Advance(2 * time.Minute)
	noErrors(t, r.create(t, to(0, cidr(0))))
	r.clock.Step(10 * time.Second)
	r.same(t, "listed", r.listed(t), "n0 10.244.0.0/24")
	r.clock.Step(2 * time.Minute)
	r.cloud.Advance(2 * time.Minute)
	r.same(t, "listed when it is shown", r.listed(t), "n0 10.244.0.0/24")
}

func TestWhatLeadsToNothingIsReplaced(t *testing.T) {
	r := newRig(t, awssim.Options{}, 3)
	noErrors(t, r.create(t, to(0, cidr(0)), to(1, cidr(1)), to(2, cidr(2))))
	for _, n := range []int{0, 1} {
		if err := r.cloud.SetPower(r.ids[n], "stopped"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.nodes.Delete(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.same(t, "listed", r.listed(t), " 10.244.1.0/24 blackhole", "n0 10.244.0.0/24", "n2 10.244.2.0/24")
	noErrors(t, r.create(t, to(2, cidr(1))))
	r.same(t, "in the table", r.inTable(t), "n0 10.244.0.0/24", "n2 10.244.1.0/24", "n2 10.244.2.0/24")
	if n := r.cloud.Counts().Writes["ec2.ReplaceRoute"]; n != 1 {
		t.Errorf("replaced %d times", n)
	}
}

func TestARouteToAnInstanceWithoutANodeGoes(t *testing.T) {
	r := newRig(t, awssim.Options{}, 2)
	noErrors(t, r.create(t, to(0, cidr(0)), to(1, cidr(1))))
	if err := r.nodes.Delete(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}); err != nil {
		t.Fatal(err)
	}
	r.same(t, "listed", r.listed(t), r.ids[1]+" 10.244.1.0/24", "n0 10.244.0.0/24")
	r.add(t, 5, "") // it may be that one's
	r.same(t, "listed while a node does not say", r.listed(t), "n0 10.244.0.0/24")
}

func TestForeignRoutesStay(t *testing.T) {
	r := newRig(t, awssim.Options{}, 1)
	table, err := r.client.EC2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{r.site.PublicTable}})
	if err != nil {
		t.Fatal(err)
	}
	var gateway string
	for _, x := range table.RouteTables[0].Routes {
		if x.GatewayId != nil && strings.HasPrefix(*x.GatewayId, "igw-") {
			gateway = *x.GatewayId
		}
	}
	err = r.cloud.Apply("ec2.CreateRoute", url.Values{"RouteTableId": {r.site.MainTable}, "DestinationCidrBlock": {cidr(0)}, "GatewayId": {gateway}})
	if err != nil {
		t.Fatal(err)
	}
	r.same(t, "listed", r.listed(t))
	if err := r.DeleteRoute(t.Context(), "rig", to(0, cidr(0))); err != nil {
		t.Error(err)
	}
	if errs := r.create(t, to(0, cidr(0))); plan.KindOf(errs[0]) != plan.Invalid || !strings.Contains(errs[0].Error(), "gateway") {
		t.Errorf("a prefix that is taken: %v", errs[0])
	}
	if c := r.cloud.Counts(); c.Writes["ec2.DeleteRoute"]+c.Writes["ec2.ReplaceRoute"] > 0 {
		t.Errorf("written: %v", c.Writes)
	}
}

// TestARouteThatSomebodyLedElsewhereStays replaces a route that was listed as one
// to nothing, before it is taken out.
func TestARouteThatSomebodyLedElsewhereStays(t *testing.T) {
	r := newRig(t, awssim.Options{}, 2)
	noErrors(t, r.create(t, to(0, cidr(0)), to(1, cidr(1))))
	r.clock.Step(time.Minute)
	r.listed(t)
	r.clock.Step(10 * time.Second)
	public, err := r.client.EC2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{r.site.PublicTable}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range public.RouteTables[0].Routes {
		if gateway := awssdk.ToString(x.GatewayId); strings.HasPrefix(gateway, "igw-") {
			err = r.cloud.Apply("ec2.ReplaceRoute", url.Values{"RouteTableId": {r.site.MainTable}, "DestinationCidrBlock": {cidr(0)}, "GatewayId": {gateway}})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	r.cloud.ResetCalls()
	for n := range 2 {
		if err := r.DeleteRoute(t.Context(), "rig", to(n, cidr(n))); err != nil {
			t.Error(err)
		}
	}
	if c := r.cloud.Counts(); c.Writes["ec2.DeleteRoute"] != 1 || c.Reads["ec2.DescribeRouteTables"] != 1 {
		t.Errorf("%v %v", c.Reads, c.Writes)
	}
}

// TestARouteThatSomebodyElseMadeIsFound lets the table change behind the back.
func TestARouteThatSomebodyElseMadeIsFound(t *testing.T) {
	r := newRig(t, awssim.Options{}, 2)
	r.listed(t)
	for n, target := range map[int]string{0: r.ids[0], 1: r.ids[0]} {
		err := r.cloud.Apply("ec2.CreateRoute", url.Values{"RouteTableId": {r.site.MainTable}, "DestinationCidrBlock": {cidr(n)}, "InstanceId": {target}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if errs := r.create(t, to(0, cidr(0))); errs[0] != nil {
		t.Error(errs[0])
	}
	if errs := r.create(t, to(1, cidr(1))); plan.KindOf(errs[0]) != plan.Invalid {
		t.Errorf("another node's: %v", errs[0])
	}
}

func TestNodesThatAreNoInstancesKeepTheirPrefixes(t *testing.T) {
	r := newRig(t, awssim.Options{}, 0)
	r.add(t, 7, "eks-hybrid:///us-east-1/cluster/mi-0123456789abcdef0")
	r.same(t, "listed", r.listed(t), "n7 10.244.7.0/24")
	noErrors(t, r.create(t, to(7, cidr(7))))
	if err := r.DeleteRoute(t.Context(), "rig", to(7, cidr(7))); err != nil {
		t.Error(err)
	}
	if c := r.cloud.Counts(); len(c.Writes) > 0 {
		t.Errorf("written: %v", c.Writes)
	}
}

func TestTheTableIsTheOneWithTheTag(t *testing.T) {
	r := newRig(t, awssim.Options{}, 1)
	r.options.TableID = ""
	r.restart()
	tag := func(do, table string) {
		t.Helper()
		err := r.cloud.Apply("ec2."+do, url.Values{"ResourceId.1": {table}, "Tag.1.Key": {"kubernetes.io/cluster/" + r.site.Cluster}})
		if err != nil {
			t.Fatal(err)
		}
	}
	tag("DeleteTags", r.site.MainTable)
	tag("DeleteTags", r.site.PublicTable)
	if _, err := r.ListRoutes(t.Context(), "rig"); plan.KindOf(err) != plan.Invalid || !strings.HasPrefix(err.Error(), "0 route tables of "+r.site.VPC) {
		t.Errorf("no table: %v", err)
	}
	tag("CreateTags", r.site.MainTable)
	noErrors(t, r.create(t, to(0, cidr(0))))
	r.same(t, "in the table", r.inTable(t), "n0 10.244.0.0/24")
	tag("CreateTags", r.site.PublicTable)
	r.restart()
	if _, err := r.ListRoutes(t.Context(), "rig"); err == nil || !strings.Contains(err.Error(), "set routeTableID") {
		t.Errorf("two tables: %v", err)
	}
}
