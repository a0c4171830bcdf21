// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"cmp"
	"encoding/json"
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
		if have, ok := findFold(want, k); ok {
			want[have] = own[k]
		} else {
			want[k] = own[k]
		}
	}
	keep := []string{
		names.TagService, names.TagServiceLegacy, names.TagCluster, names.TagClusterLegacy,
		names.TagDNSService, names.TagDNSServiceLegacy,
	}
	doc, diffs := retagged(p.raw, p.doc.Tags, want, append(keep, t.settings.SystemTags...))
	if len(t.settings.SystemTags) == 0 {
		doc, diffs = retagged(p.raw, p.doc.Tags, want, []string{""})
	}
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
	keep := t.settings.SystemTags
	if len(keep) == 0 {
		keep = []string{""}
	}
	doc, diffs := retagged(r.raw, r.Tags, t.settings.Tags, keep)
	if len(diffs) == 0 {
		return
	}
	r.raw = doc
	r.change(key, diffs...)
	fresh, err := newResource(doc)
	must(err)
	r.Tags = fresh.Tags
}

// retagged is the document with the wanted tags. Keys and values are compared
// without case. Other tags stay when they begin with one of keep, which the
// empty text makes all.
func retagged(doc json.RawMessage, have, want map[string]string, keep []string) (json.RawMessage, []plan.Diff) {
	var diffs []plan.Diff
	for _, k := range slices.Sorted(maps.Keys(want)) {
		key, found := findFold(have, k)
		if found && strings.EqualFold(have[key], want[k]) {
			continue
		}
		if !found {
			key = k
		}
		diffs = append(diffs, plan.Diff{Field: "tag " + key, Have: have[key], Want: want[k]})
		doc = set(doc, want[k], "tags", key)
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		_, wanted := findFold(want, k)
		if wanted || slices.ContainsFunc(keep, func(prefix string) bool { return names.HasPrefix(k, prefix) }) {
			continue
		}
		diffs = append(diffs, plan.Diff{Field: "tag " + k, Have: cmp.Or(have[k], `""`)})
		doc = unset(doc, "tags", k)
	}
	return doc, diffs
}

// findFold is the map's key that equals key without case.
func findFold(m map[string]string, key string) (string, bool) {
	if _, ok := m[key]; ok {
		return key, true
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.EqualFold(k, key) {
			return k, true
		}
	}
	return "", false
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
