// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation"
)

// selectors reads a list of label selectors; an empty list is nil.
func (v value) selectors() (Selectors, bool) {
	return each(value.selector)(v)
}

// selector reads one label selector in the form of the Kubernetes API.
func (v value) selector() (labels.Selector, bool) {
	matchLabels, matchExpressions := "matchLabels", "matchExpressions"
	if v.r.dialect == metallb {
		matchLabels, matchExpressions = "match-labels", "match-expressions"
	}
	var equal, more []labels.Requirement
	if !v.mapping(fields{
		matchLabels:      into(&equal, value.matchLabels),
		matchExpressions: into(&more, each(value.matchExpression)),
	}) {
		return nil, false
	}
	return newSelector(append(equal, more...)), true
}

// newSelector puts requirements into one order, so that equal selectors are
// deeply equal.
func newSelector(reqs []labels.Requirement) labels.Selector {
	if len(reqs) == 0 {
		return labels.Everything()
	}
	slices.SortStableFunc(reqs, func(a, b labels.Requirement) int {
		if c := strings.Compare(a.Key(), b.Key()); c != 0 {
			return c
		}
		return strings.Compare(a.String(), b.String())
	})
	return labels.NewSelector().Add(reqs...)
}

func (v value) matchLabels() ([]labels.Requirement, bool) {
	before := v.r.errors
	if v.node == nil || v.null() {
		return nil, true
	}
	if !v.isMapping() {
		return nil, false
	}
	var out []labels.Requirement
	seen := map[string]int{}
	for _, p := range v.pairs() {
		c := v.under(p.key.Value, p.val)
		if line, twice := seen[p.key.Value]; twice {
			v.duplicate(p.key, line)
			continue
		}
		seen[p.key.Value] = v.r.line(p.key)
		c.labelKey(p.key.Value)
		s, ok := c.labelValue()
		if !ok {
			continue
		}
		out = c.require(out, requirement{p.key.Value, selection.Equals, []string{s}})
	}
	return out, v.r.errors == before
}

func (v value) matchExpression() (labels.Requirement, bool) {
	before := v.r.errors
	var key, operator string
	var values []string
	var keyAt, operatorAt, valuesAt value
	v.mapping(fields{
		"key":      hold(&keyAt),
		"operator": hold(&operatorAt),
		"values":   hold(&valuesAt),
	}, "key", "operator")
	if v.r.errors != before {
		return labels.Requirement{}, false
	}
	key, _ = keyAt.word()
	keyAt.labelKey(key)
	operator, _ = operatorAt.word()
	values, _ = each(value.labelValue)(valuesAt)
	if v.r.errors != before {
		return labels.Requirement{}, false
	}
	var op selection.Operator
	switch metav1.LabelSelectorOperator(operator) {
	case metav1.LabelSelectorOpIn:
		op = selection.In
	case metav1.LabelSelectorOpNotIn:
		op = selection.NotIn
	case metav1.LabelSelectorOpExists:
		op = selection.Exists
	case metav1.LabelSelectorOpDoesNotExist:
		op = selection.DoesNotExist
	default:
		operatorAt.fault("no such operator", "allowed are In, NotIn, Exists and DoesNotExist")
		return labels.Requirement{}, false
	}
	wantsValues := op == selection.In || op == selection.NotIn
	if wantsValues && len(values) == 0 {
		operatorAt.fault("needs values", "list at least one under values")
	}
	if !wantsValues && len(values) > 0 {
		operatorAt.fault("takes no values", "remove values, or use In or NotIn")
	}
	if v.r.errors != before {
		return labels.Requirement{}, false
	}
	slices.Sort(values)
	out := v.require(nil, requirement{key, op, slices.Compact(values)})
	if len(out) == 0 {
		return labels.Requirement{}, false
	}
	return out[0], true
}

// requirement is what a labels.Requirement is made of.
type requirement struct {
	key    string
	op     selection.Operator
	values []string
}

// require appends the requirement, or faults when the library refuses it.
func (v value) require(to []labels.Requirement, r requirement) []labels.Requirement {
	req, err := labels.NewRequirement(r.key, r.op, r.values)
	if err != nil {
		if len(validation.IsQualifiedName(r.key)) == 0 { // else labelKey has said so
			v.fault("is refused: "+err.Error(), "correct it")
		}
		return to
	}
	return append(to, *req)
}

func (v value) labelKey(key string) {
	if len(validation.IsQualifiedName(key)) > 0 {
		v.fault("is not a label key", "write such as example.com/rack: a name of letters, digits, dots, dashes and underscores, after a domain if any")
	}
}

func (v value) labelValue() (string, bool) {
	s, ok := v.text()
	if ok && len(validation.IsValidLabelValue(s)) > 0 {
		v.fault("is not a label value", "write at most 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends")
		return "", false
	}
	return s, ok
}
