// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"crypto/md5" //nolint:gosec // the label's value is the peer's; nothing secret
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// LabelTagged is the label of nodes whose instances have the tags that its
// value is the sum of, as the peer has it.
const LabelTagged = "k8s.io/cloud-provider-aws"

const (
	// gatherTime is how long nodes are waited for that come together.
	gatherTime = time.Second
	// instancesPerTagging is how many instances one call tags.
	instancesPerTagging = 50
	firstRetry          = 5 * time.Second
	lastRetry           = 10 * time.Minute
)

// Tagger keeps tags on the instances of nodes.
type Tagger struct {
	reader *Reader
	client kubernetes.Interface
	clock  clock.Clock
	tags   map[string]string
	wake   chan struct{} // holds one

	mu   sync.Mutex      // guards what follows
	gone map[string]bool // instances whose nodes were deleted
	// marked are the instances of nodes that got the label, until it is seen.
	marked map[string]bool
}

// NewTagger returns a tagger of the nodes that the reader knows. Run must run,
// and Handler must be told of nodes.
func NewTagger(r *Reader, client kubernetes.Interface, c clock.Clock, tags map[string]string) *Tagger {
	return &Tagger{reader: r, client: client, clock: c, tags: maps.Clone(tags), wake: make(chan struct{}, 1), gone: map[string]bool{}, marked: map[string]bool{}}
}

// Handler receives what happens to nodes.
func (t *Tagger) Handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    t.seen,
		UpdateFunc: func(_, obj any) { t.seen(obj) },
		DeleteFunc: t.deleted,
	}
}

func (t *Tagger) seen(obj any) {
	node, ok := obj.(*v1.Node)
	switch {
	case !ok:
	case t.wanted(node):
		t.signal()
	default:
		id, _ := instanceID(node)
		t.setMarked(id, unmarked)
	}
}

func (t *Tagger) deleted(obj any) {
	if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	node, ok := obj.(*v1.Node)
	if !ok || node.Labels[LabelTagged] == "" {
		return
	}
	if id, ok := instanceID(node); ok && kindOf(node) == ec2Instance {
		t.mu.Lock()
		t.gone[id] = true
		t.mu.Unlock()
		t.signal()
	}
}

func (t *Tagger) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// wanted reports whether the node's instance is to be tagged.
func (t *Tagger) wanted(node *v1.Node) bool {
	_, ok := instanceID(node)
	return ok && node.Spec.ProviderID != "" && kindOf(node) == ec2Instance && node.Labels[LabelTagged] != t.sum()
}

// sum is the label's value: the peer's MD5 of the tags.
func (t *Tagger) sum() string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		list = append(list, key+"="+t.tags[key])
	}
	slices.Sort(list)
	sum := md5.Sum([]byte(strings.Join(list, ","))) //nolint:gosec // the label's value is the peer's; nothing secret
	return hex.EncodeToString(sum[:])
}

// Run tags until the context ends: nodes that come together in one call.
func (t *Tagger) Run(ctx context.Context) {
	var retry time.Duration
	again := make(<-chan time.Time)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-again:
		}
		if !t.wait(ctx, max(gatherTime, retry)) {
			return
		}
		waiting, err := t.round(ctx)
		again = nil
		switch {
		case err != nil:
			klog.FromContext(ctx).Error(err, "Instances of nodes are not tagged yet")
			retry = min(max(2*retry, firstRetry), lastRetry) //nolint:mnd // doubles
			again = t.clock.After(0)
		case waiting:
			retry, again = 0, t.clock.After(firstRetry)
		default:
			retry = 0
		}
	}
}

// wait reports false when the context ended.
func (t *Tagger) wait(ctx context.Context, d time.Duration) bool {
	timer := t.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// round tags the instances of all nodes that need it, and takes the tags from
// those whose nodes were deleted. It reports whether instances of new nodes are
// not shown yet, or cannot be tagged yet.
func (t *Tagger) round(ctx context.Context) (waiting bool, err error) {
	known := t.allMarked() // before the list, which has the label of whatever is unmarked meanwhile
	all, err := t.reader.options.Nodes.List(labels.Everything())
	if err != nil {
		return false, err
	}
	nodes := map[string]*v1.Node{}
	for _, n := range all {
		if id, _ := instanceID(n); t.wanted(n) && !known[id] {
			nodes[id] = n
		}
	}
	waiting, err = t.tag(ctx, nodes)
	return waiting, errors.Join(err, t.untag(ctx))
}

func (t *Tagger) tag(ctx context.Context, nodes map[string]*v1.Node) (waiting bool, err error) {
	ids := slices.Sorted(maps.Keys(nodes))
	found, err := t.reader.Find(ctx, ids, t.reader.clock.Now().Add(-hitAge))
	if err != nil {
		return false, err
	}
	var done, missing []string
	for _, id := range ids {
		x := found[id]
		switch {
		case x == nil || ended(x):
			waiting = waiting || (x == nil && t.reader.isNew(nodes[id]))
		case t.has(x):
			done = append(done, id)
		default:
			missing = append(missing, id)
		}
	}
	var errs []error
	for chunk := range slices.Chunk(missing, instancesPerTagging) {
		tagged, absent, err := callForKnown(ctx, chunk, func(ctx context.Context, part []string) error {
			_, err := api.Call(ctx, t.reader.client.EC2.CreateTags, &ec2.CreateTagsInput{Resources: part, Tags: t.ec2Tags()})
			return err
		})
		done, errs = append(done, tagged...), append(errs, err)
		waiting = waiting || len(absent) > 0 // lists show an instance before it can be tagged
	}
	for _, id := range done {
		t.setMarked(id, marked) // before anybody can see it
		err := t.mark(ctx, nodes[id])
		if err != nil {
			t.setMarked(id, unmarked)
		}
		errs = append(errs, err)
	}
	return waiting, errors.Join(errs...)
}

func (t *Tagger) has(x *Instance) bool {
	for key, want := range t.tags {
		if have, ok := x.Tags[key]; !ok || have != want {
			return false
		}
	}
	return true
}

func (t *Tagger) ec2Tags() []ec2types.Tag {
	var out []ec2types.Tag
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		out = append(out, ec2types.Tag{Key: awssdk.String(key), Value: awssdk.String(t.tags[key])})
	}
	return out
}

// mark is whether a node got the label that is not seen yet. The zero value is
// none.
type mark uint8

const (
	unmarked mark = iota + 1
	marked
)

func (t *Tagger) setMarked(id string, m mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m == marked {
		t.marked[id] = true
	} else {
		delete(t.marked, id)
	}
}

func (t *Tagger) allMarked() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.marked)
}

// mark notes on a node that its instance has the tags.
func (t *Tagger) mark(ctx context.Context, node *v1.Node) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{LabelTagged: t.sum()}}})
	if err != nil {
		return err
	}
	_, err = t.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("label node %s: %w", node.Name, err)
	}
	return nil
}

// untag takes the tags from instances that live on without a node.
func (t *Tagger) untag(ctx context.Context) error {
	t.mu.Lock()
	ids := slices.Sorted(maps.Keys(t.gone))
	t.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	all, err := t.reader.options.Nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	inUse := map[string]bool{}
	for _, n := range all {
		id, ok := instanceID(n)
		inUse[id] = ok
	}
	found, err := t.reader.Find(ctx, ids, t.reader.clock.Now().Add(-hitAge))
	if err != nil {
		return err
	}
	var list []string
	for _, id := range ids {
		if x := found[id]; x != nil && !ended(x) && !inUse[id] {
			list = append(list, id)
		}
	}
	for chunk := range slices.Chunk(list, instancesPerTagging) {
		_, _, err := callForKnown(ctx, chunk, func(ctx context.Context, part []string) error {
			_, err := api.Call(ctx, t.reader.client.EC2.DeleteTags, &ec2.DeleteTagsInput{Resources: part, Tags: t.ec2Tags()})
			return err
		})
		if err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.gone, id)
		delete(t.marked, id)
	}
	return nil
}
