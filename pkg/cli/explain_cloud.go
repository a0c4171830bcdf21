// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// fewEvents is how many of a Service's events explain shows.
const fewEvents = 5

// cloudView is what explain knows of a Service of a cloud that a plan reads.
type cloudView struct {
	service *v1.Service
	lease   leaseSeen
	events  []v1.Event // by time
	group   engine.GroupPlan
	parts   []provider.Part
}

// explainOnCloud prints the tree of a Service, and true, when the cloud-config
// is for a cloud. Everything is read as a plan reads it, and nothing is written.
func (p *planner) explainOnCloud(ctx context.Context, flags *genericclioptions.ConfigFlags, arg string) (bool, error) {
	name, err := serviceName(arg)
	if err != nil {
		return false, err
	}
	client, namespace, err := connect(flags)
	if err != nil {
		return false, err
	}
	file, err := p.from.config(ctx, client)
	switch {
	case err != nil:
		return false, err
	case file.config == nil:
		return false, errors.Join(file.warn(p.ErrOut), file.unusable("nothing can be explained"))
	case file.config.Metal != nil:
		return false, nil
	}
	v, err := p.cloudView(ctx, client, plan.Key{Namespace: namespace, Name: name})
	if err != nil {
		return true, err
	}
	return true, v.print(p.Out, time.Now())
}

func (p *planner) cloudView(ctx context.Context, client kubernetes.Interface, key plan.Key) (*cloudView, error) {
	keeping := *p
	var last passKeeper
	keeping.clouds = last.clouds(p.clouds)
	groups, _, err := keeping.report(ctx, client, []plan.Key{key})
	if err != nil {
		return nil, err
	}
	v := &cloudView{group: groups[0].GroupPlan}
	explainer, ok := last.pass.(provider.Explainer)
	if !ok {
		return nil, fmt.Errorf("a plan for %s was made without looking at the cloud", key)
	}
	if v.parts, err = explainer.Explain(ctx, key); err != nil {
		return nil, err
	}
	if v.service, err = client.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err != nil {
		return nil, fmt.Errorf("read Service %s: %w", key, err)
	}
	if v.lease, err = readLease(ctx, client); err != nil {
		return nil, err
	}
	v.events, err = readEvents(ctx, client, v.service)
	return v, err
}

// readEvents lists what was told of the Service, the oldest first; none where
// events may not be read.
func readEvents(ctx context.Context, client kubernetes.Interface, svc *v1.Service) ([]v1.Event, error) {
	list, err := client.CoreV1().Events(svc.Namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.kind": "Service", "involvedObject.name": svc.Name, "involvedObject.uid": string(svc.UID),
	}.String()})
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the events of Service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	slices.SortStableFunc(list.Items, func(a, b v1.Event) int {
		return cmp.Or(eventTime(&a).Compare(eventTime(&b)), strings.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

func eventTime(e *v1.Event) time.Time {
	if e.LastTimestamp.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}

// print prints the tree.
func (v *cloudView) print(out io.Writer, now time.Time) error {
	var b strings.Builder
	v.tree(now).write(&b, "", "")
	_, err := io.WriteString(out, b.String())
	return err
}

func (v *cloudView) tree(now time.Time) tree {
	svc := v.service
	key := provider.KeyOf(svc)
	root := tree{text: fmt.Sprintf("Service %s: type %s, %s, %s", key, svc.Spec.Type, policyText(svc), addressText(svc))}
	say := func(format string, args ...any) {
		root.children = append(root.children, tree{text: fmt.Sprintf(format, args...)})
	}
	if why := v.lease.vacant(now); why != "" {
		say("no controller leads: %s; unless one runs with --leader-elect=false, nothing is written", why)
	}
	waits := waitsFor(svc)
	root.children = append(root.children, waits...)
	if refusal := v.group.Refused[key]; refusal != nil && !slices.ContainsFunc(waits, func(t tree) bool { return strings.Contains(t.text, refusal.Error()) }) {
		say("refused: %v", refusal)
	}
	for _, n := range v.group.Notices[key] {
		say("%s: %s", n.Reason, n.Message)
	}
	if n := len(v.group.Plan.Steps); n > 0 {
		say("to be written: %s; kubectl fairlead plan -n %s %s shows what, and why", count(n, "step"), key.Namespace, key.Name)
	}
	if len(v.parts) == 0 {
		say("nothing of it is in the cloud")
	}
	root.children = append(root.children, treesOf(v.parts)...)
	root.children = append(root.children, v.eventTrees(now)...)
	return root
}

func addressText(svc *v1.Service) string {
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, cmp.Or(in.IP, in.Hostname))
	}
	if len(out) == 0 {
		return "no address yet"
	}
	return "addresses " + strings.Join(out, ", ")
}

func treesOf(parts []provider.Part) []tree {
	var out []tree
	for _, p := range parts {
		t := tree{text: p.What, children: treesOf(p.Parts)}
		if p.State != "" {
			t.text += " [" + p.State + "]"
		}
		out = append(out, t)
	}
	return out
}

// eventTrees are the newest events, the oldest of them first.
func (v *cloudView) eventTrees(now time.Time) []tree {
	var out []tree
	for i := range v.events {
		e := &v.events[i]
		text := fmt.Sprintf("event %s ago: %s: %s", duration.HumanDuration(now.Sub(eventTime(e))), e.Reason, e.Message)
		if e.Count > 1 {
			text += fmt.Sprintf(" (%d times)", e.Count)
		}
		out = append(out, tree{text: text})
	}
	return out[max(0, len(out)-fewEvents):]
}

// passKeeper keeps the last pass of the providers of clouds.
type passKeeper struct{ pass provider.Pass }

// clouds are the same clouds, whose passes are kept.
func (k *passKeeper) clouds(all []ccm.Cloud) []ccm.Cloud {
	out := slices.Clone(all)
	for i := range out {
		origin := out[i].New
		out[i].New = func(ctx context.Context, d ccm.Deps) (provider.Provider, error) {
			p, err := origin(ctx, d)
			return observed{Provider: p, keeper: k}, err
		}
	}
	return out
}

// observed is a provider whose passes are kept.
type observed struct {
	provider.Provider

	keeper *passKeeper
}

// Observe keeps the pass.
func (o observed) Observe(ctx context.Context, b provider.Batch) (provider.Pass, error) {
	p, err := o.Provider.Observe(ctx, b)
	o.keeper.pass = p
	return p, err
}
