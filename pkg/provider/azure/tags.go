// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

// tag sets the tags of a public IP that was made for Services: which they are,
// those of the annotation, and those of the cloud config.
func (t *turn) tag(a *ask, p *publicIP, services string) {
	if services != p.serviceTag() {
		t.retag(a, p, services)
	}
	want := maps.Clone(t.settings.Tags)
	if want == nil {
		want = map[string]string{}
	}
	own, _ := a.options().Pairs(intent.KeyAzureTags)
	for _, k := range slices.Sorted(maps.Keys(own)) {
		if names.IsReserved(k) {
			a.warn(ReasonUnsupported, fmt.Sprintf("annotation %s has tag %s, which tells whose a public IP is; it is left out: take it away", intent.KeyAzureTags, k))
			continue
		}
		key, _ := names.FindTag(want, k)
		want[key] = own[k]
	}
	doc, diffs := t.retagged(p.raw, p.doc.Tags, names.WithLegacy(p.doc.Tags, want))
	if len(diffs) > 0 {
		p.raw = doc
		p.change(a.key, diffs...)
		p.reload()
	}
}

// tagResource sets the tags of the cloud config on a resource that Services
// share.
func (t *turn) tagResource(r *resource, key plan.Key) {
	if len(t.settings.Tags) == 0 {
		return
	}
	doc, diffs := t.retagged(r.raw, r.Tags, t.settings.Tags)
	if len(diffs) == 0 {
		return
	}
	r.raw = doc
	r.change(key, diffs...)
	fresh, err := newResource(doc)
	must(err)
	r.Tags = fresh.Tags
}

// retagged is the document with the wanted tags.
func (t *turn) retagged(doc json.RawMessage, have, want map[string]string) (json.RawMessage, []plan.Diff) {
	var diffs []plan.Diff
	more, gone := names.Retag(have, want, t.settings.SystemTags)
	for _, k := range slices.Sorted(maps.Keys(more)) {
		diffs = append(diffs, plan.Diff{Field: "tag " + k, Have: have[k], Want: more[k]})
		doc = set(doc, more[k], "tags", k)
	}
	for _, k := range gone {
		diffs = append(diffs, plan.Diff{Field: "tag " + k, Have: cmp.Or(have[k], `""`)})
		doc = unset(doc, "tags", k)
	}
	return doc, diffs
}

// MarshalJSON is the IP tag in Azure's words.
func (i ipTag) MarshalJSON() ([]byte, error) {
	return object(field{"ipTagType", i.Type}, field{"tag", i.Tag}), nil
}

func compareIPTags(a, b ipTag) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Tag, b.Tag))
}

func equalIPTags(a, b []ipTag) bool {
	a, b = slices.SortedFunc(slices.Values(a), compareIPTags), slices.SortedFunc(slices.Values(b), compareIPTags)
	return slices.Equal(a, b)
}

func ipTagsText(tags []ipTag) string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = t.Type + "=" + t.Tag
	}
	return strings.Join(out, ",")
}
