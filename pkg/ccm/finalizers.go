// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The parts of a strategic merge patch that touch finalizers, which are a
// list of unique strings with the patch strategy merge.
const (
	patchAdd    = "finalizers"
	patchDelete = "$deleteFromPrimitiveList/finalizers"
	patchOrder  = "$setElementOrder/finalizers"
)

// translatePatch turns a strategic merge patch that the upstream controller
// made of a shown Service into one for the real Service. It returns the patch
// itself when it does not touch finalizers.
func translatePatch(patch []byte) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(patch, &doc); err != nil {
		return nil, fmt.Errorf("read the patch of a Service: %w", err)
	}
	var meta map[string]json.RawMessage
	if raw, ok := doc["metadata"]; !ok {
		return patch, nil
	} else if err := json.Unmarshal(raw, &meta); err != nil {
		return nil, fmt.Errorf("read metadata in the patch of a Service: %w", err)
	}
	changed, err := translateMeta(meta)
	if err != nil || !changed {
		return patch, err
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("write metadata in the patch of a Service: %w", err)
	}
	doc["metadata"] = raw
	return json.Marshal(doc)
}

// translateMeta changes the finalizers of a patch's metadata, and reports
// whether there are any.
func translateMeta(meta map[string]json.RawMessage) (bool, error) {
	lists := map[string][]string{}
	for _, part := range []string{patchAdd, patchDelete, patchOrder} {
		raw, ok := meta[part]
		if !ok {
			continue
		}
		var list []string
		if err := json.Unmarshal(raw, &list); err != nil {
			return false, fmt.Errorf("read %s in the patch of a Service: %w", part, err)
		}
		lists[part] = list
	}
	if len(lists) == 0 {
		return false, nil
	}
	if added, ok := lists[patchAdd]; ok && added == nil {
		// Null takes away every finalizer, those too that came since the
		// Service was read. Only the stock one was meant.
		delete(lists, patchAdd)
		delete(meta, patchAdd)
		lists[patchDelete] = []string{StockFinalizer}
	}
	adds, deletes := standsFor(lists[patchOrder])
	for part, list := range lists {
		names := adds
		if part == patchDelete {
			names = deletes
		}
		raw, err := json.Marshal(replaceStock(list, names))
		if err != nil {
			return false, err
		}
		meta[part] = raw
	}
	return true, nil
}

// standsFor says what the stock finalizer stands for, by the marks in the
// order that every patch of finalizers carries: what is added for it, and what
// is taken away.
func standsFor(order []string) (adds, deletes []string) {
	switch {
	case slices.Contains(order, markOurs):
		return []string{Finalizer}, []string{Finalizer}
	case slices.Contains(order, markBoth):
		return []string{Finalizer}, []string{Finalizer, StockFinalizer}
	default:
		return []string{StockFinalizer}, []string{StockFinalizer}
	}
}

// replaceStock returns the list with the names in place of the stock finalizer
// and without marks.
func replaceStock(list, names []string) []string {
	out := make([]string, 0, len(list)+1)
	for _, f := range list {
		switch f {
		case markOurs, markBoth:
		case StockFinalizer:
			out = append(out, names...)
		default:
			out = append(out, f)
		}
	}
	return out
}
