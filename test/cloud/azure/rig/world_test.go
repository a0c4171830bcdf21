// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

const prefix = "service.beta.kubernetes.io/"

// TestMain lets this program be a controller as well, in a process of its own
// that tests can kill.
func TestMain(m *testing.M) { harness.Main(m, rig.Starter) }

// world is a cloud with a cluster, and the controller that lives now.
type world struct {
	*harness.World
	sim    *azuresim.Cloud
	site   *azuresim.Site
	server *httptest.Server
	pools  string            // how nodes join them
	sets   map[string]string // scale sets' ids by name

	// refuses is asked about the body of each write. Nil refuses nothing.
	refuses atomic.Pointer[refusal]
}

// refusal refuses the writes that is says yes to, with that status and code.
type refusal struct {
	is     func(path, body string) bool
	status int
	code   string
}

// newWorld makes a cloud with two scale sets, of which the first one's machines
// are nodes, and with what others made in it.
func newWorld(pools string) (*world, error) {
	w := &world{sim: azuresim.New(azuresim.Options{}), pools: pools, sets: map[string]string{}}
	w.World = &harness.World{Cluster: harness.NewCluster(), Starter: rig.Starter, Config: w.config}
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

// config is the cloud-config of its controllers.
func (w *world) config() string {
	return rig.ConfigText(w.site, fmt.Sprintf(`, "loadBalancerBackendPoolConfigurationType": %q%s`, w.pools, rig.Endpoint(w.server.URL)))
}

// Close ends all.
func (w *world) Close() {
	w.World.Close()
	w.server.Close()
}

// Watch implements [harness.Subject].
func (w *world) Watch(see func(sim.Moment, int) sim.Verdict) {
	w.sim.SetHook(func(m sim.Moment, call azuresim.Call) sim.Verdict { return see(m, call.Write) })
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

func (w *world) addNode(set string, i int) error { return w.Nodes.Add(w.node(set, i)) }

// Picture is the state of the cloud and the Services' addresses as text. What
// depends on which of two calls came first is taken out: a public IP's address
// is written as its name, and elements with names are in their order.
func (w *world) Picture() (string, error) {
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
	for _, name := range w.Names() {
		status := ""
		for _, in := range w.Service(name).Status.LoadBalancer.Ingress {
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
	t.Cleanup(w.Close)
	if err := w.Start(harness.Quiet(t)); err != nil {
		t.Fatal(err)
	}
	return w
}
