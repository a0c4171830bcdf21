// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
)

const prefix = "service.beta.kubernetes.io/"

// world is a cloud with a cluster, and the controller that lives now.
type world struct {
	sim     *azuresim.Cloud
	site    *azuresim.Site
	server  *httptest.Server
	cluster *rig.Cluster
	config  string            // more keys of the cloud-config
	sets    map[string]string // scale sets' ids by name
	lives   []life
	// start lets a new controller live.
	start func(context.Context) error

	// refuses is asked about the body of each write. Nil refuses nothing.
	refuses atomic.Pointer[refusal]
}

// refusal refuses the writes that is says yes to, with that status and code.
type refusal struct {
	is     func(path, body string) bool
	status int
	code   string
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

// newWorld makes a cloud with two scale sets, of which the first one's machines
// are nodes, and with what others made in it.
func newWorld(pools string) (*world, error) {
	w := &world{sim: azuresim.New(azuresim.Options{}), cluster: rig.NewCluster(), sets: map[string]string{}}
	var err error
	w.site, err = w.sim.NewSite(azuresim.SiteOptions{Group: "rig", Prefixes: []netip.Prefix{
		netip.MustParsePrefix("10.240.0.0/20"), netip.MustParsePrefix("fd00:10:240::/64"),
	}})
	if err != nil {
		return nil, err
	}
	w.sets["pool1"] = w.site.UniformScaleSet("pool1", 2)
	w.sets["pool2"] = w.site.UniformScaleSet("pool2", 1)
	for i := range 2 {
		if err := w.addNode("pool1", i); err != nil {
			return nil, err
		}
	}
	if err := w.addForeign(); err != nil {
		return nil, err
	}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	w.config = `, "loadBalancerBackendPoolConfigurationType": "` + pools + `"`
	w.start = w.startWithin
	return w, nil
}

// serve answers for the cloud.
func (w *world) serve(out http.ResponseWriter, r *http.Request) {
	if refuses := w.refuses.Load(); refuses != nil && r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if refuses.is(r.URL.Path, string(body)) {
			out.Header().Set("Content-Type", "application/json")
			out.WriteHeader(refuses.status)
			fmt.Fprintf(out, `{"error":{"code":%q,"message":"Something in it is not allowed."}}`, refuses.code)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.sim.ServeHTTP(out, r)
}

func (w *world) startWithin(ctx context.Context) error {
	conf, err := rig.Config(w.site, w.config)
	if err != nil {
		return err
	}
	client, err := rig.Client(w.server.URL)
	if err != nil {
		return err
	}
	w.lives = append(w.lives, &within{Controller: rig.Start(ctx, w.cluster, client, conf), cluster: w.cluster})
	return nil
}

// startProcess starts a controller in a process of its own.
func (w *world) startProcess(ctx context.Context) error {
	p, err := startProcess(ctx, w.cluster, w.server.URL, rig.ConfigText(w.site, w.config))
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

// node is one of a scale set's machines.
func (w *world) node(set string, i int) *v1.Node {
	host := 4 + i
	if set == "pool2" {
		host += 100
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", set, i), Labels: map[string]string{}},
		Spec:       v1.NodeSpec{ProviderID: fmt.Sprintf("azure://%s/virtualMachines/%d", w.sets[set], i)},
		Status: v1.NodeStatus{Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.240.0.%d", host)},
			{Type: v1.NodeInternalIP, Address: fmt.Sprintf("fd00:10:240::%x", host)},
		}},
	}
}

func (w *world) addNode(set string, i int) error { return w.cluster.Nodes.Add(w.node(set, i)) }

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
			failed, errs = append(failed, name), append(errs, err)
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
			case svc.DeletionTimestamp != nil:
				err = l.Delete(ctx, svc)
			case nodes:
				err = l.UpdateLoadBalancer(ctx, "kubernetes", svc, nil)
			default:
				err = l.Ensure(ctx, svc)
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

// newService is a Service with a port for each of the texts, such as TCP:80.
func newService(name string, number int, ports ...string) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(fmt.Sprintf("%08d-0000-4000-8000-000000000000", number)),
			Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"}, Annotations: map[string]string{},
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

func addPort(svc *v1.Service, text string, nodePort int32) {
	var port v1.ServicePort
	if _, err := fmt.Sscanf(text[4:], "%d", &port.Port); err != nil {
		panic(err)
	}
	port.Name, port.Protocol, port.NodePort = "port"+text[4:], v1.Protocol(text[:3]), nodePort
	svc.Spec.Ports = append(svc.Spec.Ports, port)
}

// picture is the state of the cloud and the Services' addresses as text. What
// depends on which of two calls came first is taken out: a public IP's address
// is written as its name, and elements with names are in their order.
func (w *world) picture() (string, error) {
	state := w.sim.State()
	addresses := map[string]any{}
	docs := make([]any, len(state))
	for i, raw := range state {
		if err := json.Unmarshal(raw, &docs[i]); err != nil {
			return "", err
		}
		doc, _ := docs[i].(map[string]any)
		properties, _ := doc["properties"].(map[string]any)
		if ip, ok := properties["ipAddress"].(string); ok && doc["type"] == azuresim.PublicIPs {
			addresses[ip] = "address of " + fmt.Sprint(doc["name"])
		}
	}
	for i, doc := range docs {
		raw, err := json.Marshal(canonical(doc, addresses))
		if err != nil {
			return "", err
		}
		state[i] = raw
	}
	text, err := azuresim.Normalise(state)
	for _, name := range w.names() {
		status := ""
		for _, in := range w.service(name).Status.LoadBalancer.Ingress {
			if of, known := addresses[in.IP]; known {
				status += fmt.Sprintf(" [%v]", of)
			} else {
				status += " " + in.IP
			}
		}
		text += fmt.Sprintf("Service %s:%s\n", name, status)
	}
	return text, err
}

func canonical(value any, addresses map[string]any) any {
	switch v := value.(type) {
	case string:
		if name, ok := addresses[v]; ok {
			return name
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = canonical(v[key], addresses)
		}
	case []any:
		for i := range v {
			v[i] = canonical(v[i], addresses)
		}
		slices.SortStableFunc(v, func(a, b any) int { return slices.Compare([]byte(order(a)), []byte(order(b))) })
	}
	return value
}

// order is what an element of an array is sorted by.
func order(element any) string {
	switch e := element.(type) {
	case string:
		return e
	case map[string]any:
		if name, ok := e["name"].(string); ok {
			return name
		}
		id, _ := e["id"].(string)
		return id
	}
	return ""
}

// begun is a world with a controller, which ends with the test.
func begun(t *testing.T, pools string) *world {
	t.Helper()
	w, err := newWorld(pools)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if err := w.start(quiet(t)); err != nil {
		t.Fatal(err)
	}
	return w
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

// within is the controller that lives in this process now.
func (w *world) within(t *testing.T) *within {
	t.Helper()
	l, is := w.now().(*within)
	if !is {
		t.Fatal("the controller lives in another process")
	}
	return l
}
