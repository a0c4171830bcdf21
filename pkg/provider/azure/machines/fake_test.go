// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
	"github.com/fairlead/fairlead/pkg/provider/azure/document"
)

const subscription = "11111111-1111-1111-1111-111111111111"

// fakeARM answers as Azure Resource Manager does, as far as machines go.
type fakeARM struct {
	mu    sync.Mutex
	docs  map[string]json.RawMessage // by id in lower case
	order []string
	calls []string          // method and path, and the query's keys
	fail  map[string]error  // by the path of a call
	hold  chan struct{}     // lists wait for it; nil: they do not
	spoil func(id string)   // called before a PUT is judged
	sent  []json.RawMessage // bodies of PUTs
}

func newFake(t *testing.T) *fakeARM {
	t.Helper()
	f := &fakeARM{docs: map[string]json.RawMessage{}, fail: map[string]error{}}
	raw, err := os.ReadFile("testdata/cluster.json")
	if err != nil {
		t.Fatal(err)
	}
	var docs []json.RawMessage
	if err := json.Unmarshal(raw, &docs); err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		f.add(t, d)
	}
	return f
}

func (f *fakeARM) add(t *testing.T, doc json.RawMessage) {
	t.Helper()
	var id subResource
	if err := json.Unmarshal(doc, &id); err != nil || id.ID == "" {
		t.Fatalf("document without id: %s", doc)
	}
	key := strings.ToLower(id.ID)
	if f.docs[key] == nil {
		f.order = append(f.order, key)
	}
	f.docs[key] = doc
}

func (f *fakeARM) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.docs, strings.ToLower(id))
}

// edit sets a value in a document.
func (f *fakeARM) edit(t *testing.T, id, value string, path ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	key := strings.ToLower(id)
	doc, err := document.Set(f.docs[key], json.RawMessage(value), path...)
	if err != nil {
		t.Fatal(err)
	}
	f.docs[key] = doc
}

func (f *fakeARM) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// answer is what an error of the cloud looks like.
func answer(code int, name string) error {
	kind := plan.Transient
	switch code {
	case http.StatusPreconditionFailed:
		kind = plan.Conflict
	case http.StatusForbidden:
		kind = plan.Denied
	}
	return &plan.Error{Kind: kind, Reason: name, Err: &azcore.ResponseError{StatusCode: code, ErrorCode: name}}
}

func (f *fakeARM) note(method, path string, query url.Values) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	f.calls = append(f.calls, strings.TrimSpace(method+" "+strings.ToLower(path)+" "+strings.Join(keys, " ")))
	return f.fail[strings.ToLower(path)]
}

func (f *fakeARM) List(ctx context.Context, path string, query url.Values) ([]json.RawMessage, error) {
	err := f.note("LIST", path, query)
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := strings.NewReplacer("/networkinterfaces", "/virtualmachines/[^/]+/networkinterfaces", "/publicipaddresses", "/virtualmachines/.*/publicipaddresses")
	pattern := strings.ToLower(path)
	switch {
	case strings.Contains(pattern, "virtualmachinescalesets/"):
		pattern = one.Replace(pattern)
	case !strings.Contains(pattern, "/resourcegroups/"):
		pattern = strings.Replace(pattern, "/providers/", "/resourcegroups/[^/]+/providers/", 1)
	}
	re := regexp.MustCompile("^" + pattern + "/[^/]+$")
	var out []json.RawMessage
	for _, id := range f.order {
		doc, ok := f.docs[id]
		if !ok || !re.MatchString(id) {
			continue
		}
		if set := query.Get("$filter"); set != "" && !strings.Contains(strings.ToLower(string(doc)), strings.ToLower(strings.Trim(strings.TrimPrefix(set, "'virtualMachineScaleSet/id' eq "), "'"))) {
			continue
		}
		out = append(out, f.view(doc, query))
	}
	return out, nil
}

// view leaves the instance view out unless it is asked for.
func (f *fakeARM) view(doc json.RawMessage, query url.Values) json.RawMessage {
	if query.Has("$expand") || query.Has("statusOnly") {
		return doc
	}
	out, err := document.Remove(doc, "properties", "instanceView")
	if err != nil {
		panic(err)
	}
	return out
}

func (f *fakeARM) Get(_ context.Context, id string, query url.Values) (json.RawMessage, error) {
	if err := f.note("GET", id, query); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	doc, ok := f.docs[strings.ToLower(id)]
	if !ok {
		return nil, answer(http.StatusNotFound, "ResourceNotFound")
	}
	return f.view(doc, query), nil
}

func (f *fakeARM) Put(_ context.Context, id string, body json.RawMessage, etag string) (json.RawMessage, error) {
	if f.spoil != nil {
		f.spoil(id)
	}
	if err := f.note("PUT", id, nil); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := strings.ToLower(id)
	doc, ok := f.docs[key]
	switch {
	case !ok:
		return nil, answer(http.StatusNotFound, "ResourceNotFound")
	case etag != "" && etag != arm.EtagOf(doc):
		return nil, answer(http.StatusPreconditionFailed, "PreconditionFailed")
	}
	f.sent = append(f.sent, body)
	path := []string{"properties", "ipConfigurations"}
	switch {
	case strings.Contains(key, "/virtualmachines/") && strings.Contains(key, "/virtualmachinescalesets/"):
		path = instanceForm.path()
	case strings.Contains(key, "/virtualmachinescalesets/"):
		path = modelForm.path()
	}
	value, ok := document.Get(body, path...)
	if !ok {
		return nil, answer(http.StatusBadRequest, "InvalidRequest")
	}
	doc, err := document.Set(doc, value, path...)
	if err != nil {
		return nil, err
	}
	doc, err = document.Set(doc, json.RawMessage(fmt.Sprintf("%q", fmt.Sprintf("\"new%d\"", len(f.sent)))), "etag")
	f.docs[key] = doc
	return doc, err
}

func rig(what string) string { return groupPath("rig", what) }

func groupPath(name, what string) string { return newGroup(subscription, name).path(what) }

func uniformID(instance string) string {
	return rig("Microsoft.Compute/virtualMachineScaleSets/np-uniform/virtualMachines/" + instance)
}

// node makes a node; id may be empty.
func node(name, id string, edits ...func(*v1.Node)) *v1.Node {
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if id != "" {
		n.Spec.ProviderID = "azure://" + id
	}
	for _, e := range edits {
		e(n)
	}
	return n
}

func labelled(key, value string) func(*v1.Node) {
	return func(n *v1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, key, value) }
}

func created(at time.Time) func(*v1.Node) {
	return func(n *v1.Node) { n.CreationTimestamp = metav1.NewTime(at) }
}

func options() Options {
	return Options{Subscription: subscription, ResourceGroup: "rig", VMType: VMSS}
}

func newTestReader(f *fakeARM, o Options) (*Reader, *clocktesting.FakePassiveClock) {
	c := clocktesting.NewFakePassiveClock(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	return NewReader(f, c, o), c
}
