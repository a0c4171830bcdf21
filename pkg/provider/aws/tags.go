// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// tagChanges are the tags that a load balancer lacks, and the keys of those that
// we added to it and nothing asks for any more. Tags that somebody else added
// stay.
func (a *ask) tagChanges(have map[string]string) (missing map[string]string, surplus []string, diffs []plan.Diff) {
	want := maps.Clone(a.tags)
	if made, ok := have[names.TagMade]; ok {
		maps.Copy(want, a.marks())
		surplus = slices.DeleteFunc(strings.Fields(made), func(key string) bool {
			_, wanted := want[key]
			_, there := have[key]
			return wanted || !there
		})
	}
	diffs = changed(want, have)
	missing = map[string]string{}
	for _, d := range diffs {
		missing[d.Field] = d.Want
	}
	for _, key := range surplus {
		diffs = append(diffs, plan.Diff{Field: key, Have: have[key]})
	}
	return missing, surplus, diffs
}

// putTags brings the tags that a user's edit asks for to all that the Service
// has, and takes away those that we added and nothing asks for any more. Tags
// that somebody else added stay.
func (t *turn) putTags(a *ask, lb *Network) {
	if !a.strict() || lb.Tags == nil {
		a.tellTags(lb.Tags)
		return
	}
	have := t.tagsOf(a, lb)
	tags, surplus, diffs := a.tagChanges(have)
	if len(diffs) == 0 || !t.tagsGrow(a, have, tags, surplus) {
		return
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindTags, Name: awssdk.ToString(lb.LoadBalancerName)}, Why: diffs,
	}, t.tagCalls(a, lb, tags, surplus)...)
}

// tagCalls change the tags of the Service's target groups and listeners, and
// of its load balancer last: it tells what is done.
func (t *turn) tagCalls(a *ask, lb *Network, tags map[string]string, surplus []string) []Call {
	var arns []string
	groups := t.groupsOf(a, lb)
	chosen := t.chooseGroups(a, lb, groups)
	for _, m := range a.mappings { // what has none goes, with the same edit
		if g := chosen[m]; g != nil {
			arns = append(arns, awssdk.ToString(g.TargetGroupArn))
		}
		if l := listenerAt(lb, m.port); l != nil && t.ownsListener(a, l) {
			arns = append(arns, awssdk.ToString(l.ListenerArn))
		}
	}
	others := maps.Clone(tags)
	delete(others, names.TagMade)
	delete(others, names.TagCertificates)
	var calls []Call
	change := func(arn string, tags map[string]string) {
		if len(surplus) > 0 {
			calls = append(calls, &elbv2.RemoveTagsInput{ResourceArns: []string{arn}, TagKeys: surplus})
		}
		if len(tags) > 0 {
			calls = append(calls, &elbv2.AddTagsInput{ResourceArns: []string{arn}, Tags: elbv2Tags(tags)})
		}
	}
	for _, arn := range arns {
		change(arn, others)
	}
	change(awssdk.ToString(lb.LoadBalancerArn), tags)
	return calls
}

// tellTags tells of tags that the user asks for and that what the peer made has
// not.
func (a *ask) tellTags(have map[string]string) {
	if have == nil {
		return // not read
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(a.pairs(intent.KeyAWSTags))) {
		if want := a.tags[key]; have[key] != want {
			list = append(list, key+"="+want)
		}
	}
	if len(list) == 0 {
		return
	}
	a.warn(ReasonAdoptedAsIs, fmt.Sprintf("load balancer %s lacks the tags %s of annotation %s; it stays so until the Service is edited; set annotation %s for that",
		a.name, someOf(list), intent.KeyAWSTags, intent.KeyRepair))
}

// tagsOfBalancer are those of a load balancer that we make. Without room for
// the tag that says so it is later taken for the peer's, and stays as it is.
func (a *ask) tagsOfBalancer() map[string]string {
	out := names.As(a.tags, names.ResourceLoadBalancer)
	maps.Copy(out, a.marks())
	if len(out) > tagsMax {
		delete(out, names.TagMade)
	}
	return out
}

// marks are the tags that we need on load balancers that we make. Those of the
// AWS Load Balancer Controller's form are asked for their certificates anyway.
func (a *ask) marks() map[string]string {
	out := map[string]string{names.TagMade: a.addedTags()}
	if certificates, _ := a.item.Intent.Options.Texts(intent.KeyAWSCertificates); len(certificates) > 1 && !a.external {
		out[names.TagCertificates] = "several"
	}
	return out
}

// tagValueMax is how long the value of a tag may be: Elastic Load Balancing,
// Tag.
const tagValueMax = 256

// tagsMax is how many tags a resource may have: Elastic Load Balancing, quotas.
const tagsMax = 50

// tagsFit refuses more tags than a load balancer can have.
func (a *ask) tagsFit() error {
	if n := len(a.tagsOfBalancer()); n > tagsMax {
		return a.tooManyTags(n)
	}
	return nil
}

// tooManyTags is the refusal of so many tags of a load balancer.
func (a *ask) tooManyTags(n int) error {
	own := len(a.pairs(intent.KeyAWSTags))
	if own < n-tagsMax {
		return refuse(ReasonLimitReached, "the load balancer would have %d tags, and AWS allows %d; take %d of tags in the cloud-config away", n, tagsMax, n-tagsMax)
	}
	return refuse(intent.ReasonInvalidAnnotation, "%s, but has %d tags, with which the load balancer would have %d, and AWS allows %d; take %d away", intent.AWSSays(a.item.Service, intent.KeyAWSTags), own, n, tagsMax, n-tagsMax)
}

// tagsGrow judges the tags of a load balancer that is there when some come and
// go: it reports whether AWS has room for them. cloud-provider-aws gives network
// load balancers none later, so those of its form are left out.
func (t *turn) tagsGrow(a *ask, have, missing map[string]string, surplus []string) bool {
	all := maps.Clone(have)
	for _, key := range surplus {
		delete(all, key)
	}
	maps.Copy(all, missing)
	if len(all) <= tagsMax || len(missing) == 0 {
		return true
	}
	if err := a.tooManyTags(len(all)); a.kind == NetworkKind && !a.external {
		a.warn(intent.ReasonInvalidAnnotation, err.Error()+". No tag is changed until then")
	} else {
		t.refuse(a, err)
	}
	return false
}

// addedTags are the keys of the user's tags, with spaces between; they tell
// later which of them were taken away. It is a mere word when there are none,
// or too many.
func (a *ask) addedTags() string {
	const none = "true"
	keys := slices.Sorted(maps.Keys(a.pairs(intent.KeyAWSTags)))
	text := strings.Join(keys, " ")
	if text == "" || len(text) > tagValueMax || len(strings.Fields(text)) != len(keys) {
		return none
	}
	return text
}
