// SPDX-License-Identifier: Apache-2.0

package instances_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead/fairlead/pkg/provider/aws/instances"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// tagged is a rig with a tagger that runs, and a cluster whose changes it sees.
type tagged struct {
	*rig
	client *fake.Clientset
	tagger *instances.Tagger
}

func startTagger(t *testing.T, r *rig, tags map[string]string) *tagged {
	t.Helper()
	x := &tagged{rig: r, client: fake.NewClientset()}
	for _, obj := range r.indexer.List() {
		if node, ok := obj.(*v1.Node); ok {
			x.create(t, node)
		}
	}
	x.tagger = instances.NewTagger(r.Reader, x.client, r.clock, tags)
	changes, err := x.client.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { x.tagger.Run(ctx) })
	all.Go(func() { x.follow(changes) })
	t.Cleanup(func() { cancel(); changes.Stop(); all.Wait() })
	for _, obj := range r.indexer.List() {
		x.tagger.Handler().OnAdd(obj, true)
	}
	return x
}

func (x *tagged) create(t *testing.T, node *v1.Node) {
	t.Helper()
	if _, err := x.client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// follow is what an informer does.
func (x *tagged) follow(changes watch.Interface) {
	for e := range changes.ResultChan() {
		node, ok := e.Object.(*v1.Node)
		if !ok {
			continue
		}
		if e.Type == watch.Deleted {
			_ = x.indexer.Delete(node)
			x.tagger.Handler().OnDelete(cache.DeletedFinalStateUnknown{Key: node.Name, Obj: node})
			continue
		}
		_ = x.indexer.Update(node)
		x.tagger.Handler().OnUpdate(nil, node)
	}
}

// until waits, and lets time pass for whoever waits for it.
func (x *tagged) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if x.clock.HasWaiters() {
			x.clock.Step(time.Second)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// labelled counts the nodes with the label.
func (x *tagged) labelled() int {
	n := 0
	for _, obj := range x.indexer.List() {
		if node, ok := obj.(*v1.Node); ok && node.Labels[instances.LabelTagged] != "" {
			n++
		}
	}
	return n
}

// patches counts how often a node was given the label.
func (x *tagged) patches() int {
	n := 0
	for _, action := range x.client.Actions() {
		if action.Matches("patch", "nodes") {
			n++
		}
	}
	return n
}

// with counts what has a tag in the cloud.
func (x *tagged) with(text string) int { return strings.Count(string(x.cloud.State()), text) }

func (x *tagged) writes() map[string]int { return x.cloud.Counts().Writes }

const teamTag = `"team"`

func TestInstancesOfNodesAreTagged(t *testing.T) {
	r := newRig(t, awssim.Options{})
	r.launch(t, 70)
	r.node(t, "hybrid", "eks-hybrid:///us-east-1/cluster/mi-0123456789abcdef0")
	r.node(t, "lost", "aws:///us-east-1a/i-0123456789abcdef0")
	x := startTagger(t, r, map[string]string{"team": "web", "a": "b"})
	x.until(t, "labels", func() bool { return x.labelled() == 70 })
	if n := x.with(teamTag); n != 70 {
		t.Errorf("%d have the tag", n)
	}
	if n := x.writes()["ec2.CreateTags"]; n != 2 {
		t.Errorf("%d calls", n)
	}
	// The value is the peer's: MD5 of "a=b,team=web".
	if got := x.client.Actions(); !strings.Contains(fmt.Sprintf("%s", got[len(got)-1]), "6778882f6d43c314c5e49f70612e988e") {
		t.Errorf("label: %s", got[len(got)-1])
	}
}

// TestWhatThePeerTaggedIsNotWritten begins with tags, and with labels.
func TestWhatThePeerTaggedIsNotWritten(t *testing.T) {
	r := newRig(t, awssim.Options{})
	nodes := r.launch(t, 2)
	x := startTagger(t, r, map[string]string{"team": "web"})
	x.until(t, "labels", func() bool { return x.labelled() == 2 })
	x.cloud.ResetCalls()
	x.clock.Step(2 * time.Minute) // what was read before the tags came is too old now
	again := nodes[0].DeepCopy()
	if _, err := x.client.CoreV1().Nodes().Update(t.Context(), again, metav1.UpdateOptions{}); err != nil { // without the label
		t.Fatal(err)
	}
	x.until(t, "the label", func() bool { return x.patches() == 3 && x.labelled() == 2 })
	if w := x.writes(); len(w) > 0 {
		t.Errorf("written: %v", w)
	}
}

// TestAnInstanceThatLivesOnLosesItsTags deletes a node, and another whose
// instance is gone.
func TestAnInstanceThatLivesOnLosesItsTags(t *testing.T) {
	r := newRig(t, awssim.Options{})
	nodes := r.launch(t, 3)
	x := startTagger(t, r, map[string]string{"team": "web"})
	x.until(t, "labels", func() bool { return x.labelled() == 3 })
	id := nodes[1].Spec.ProviderID[strings.LastIndex(nodes[1].Spec.ProviderID, "/")+1:]
	x.cloud.Forget(id)
	for _, n := range nodes[:2] {
		if err := x.client.CoreV1().Nodes().Delete(t.Context(), n.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	x.until(t, "one tag", func() bool { return x.with(teamTag) == 1 })
	if c := x.cloud.Counts(); c.Writes["ec2.DeleteTags"] > 3 {
		t.Errorf("written: %v", c.Writes)
	}
}

// TestTaggingIsTriedAgain lets it fail, and lets AWS show an instance late.
func TestTaggingIsTriedAgain(t *testing.T) {
	r := newRig(t, awssim.Options{})
	r.launch(t, 1)
	var mu sync.Mutex
	left := 2
	r.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		mu.Lock()
		defer mu.Unlock()
		if c.Action == "CreateTags" && left > 0 {
			left--
			return awssim.Refuse(403, "UnauthorizedOperation")
		}
		return nil
	})
	r.node(t, "new", "aws:///us-east-1a/i-0123456789abcdef0", young(r))
	x := startTagger(t, r, map[string]string{"team": "web"})
	x.until(t, "the label", func() bool { return x.labelled() == 1 })
}

// TestInstancesThatCannotBeTaggedYetAreTaggedLater names two of twenty in a
// refusal, and one that is no id in the next.
func TestInstancesThatCannotBeTaggedYetAreTaggedLater(t *testing.T) {
	r := newRig(t, awssim.Options{})
	var ids []string
	for _, n := range r.launch(t, 20) {
		ids = append(ids, n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:])
	}
	refusals := []*awssim.Fault{
		{When: awssim.Before, Status: 400, Code: "InvalidInstanceID.NotFound", Message: fmt.Sprintf("The instance IDs '%s, %s' do not exist", ids[3], ids[7])},
		{When: awssim.Before, Status: 400, Code: "InvalidID", Message: fmt.Sprintf("The ID '%s' is not valid", ids[5])},
	}
	var mu sync.Mutex
	var sizes []int
	r.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "CreateTags" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for key := range c.Form {
			if strings.HasPrefix(key, "ResourceId.") {
				n++
			}
		}
		sizes = append(sizes, n)
		if len(refusals) == 0 {
			return nil
		}
		f := refusals[0]
		refusals = refusals[1:]
		return f
	})
	x := startTagger(t, r, map[string]string{"team": "web"})
	x.until(t, "labels", func() bool { return x.labelled() == 20 })
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(sizes); got != "[20 18 17 3]" {
		t.Errorf("instances of each call: %s", got)
	}
}
