// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PolicyName is the name of the admission policy and of its binding.
const PolicyName = "fairlead-annotations"

// maxAnnotations is how many annotations of a Service the policy looks
// through: its time grows by the square.
const maxAnnotations = 1000

// Policy is the admission policy that refuses a request with a misspelt or
// invalid annotation, with the sentences that [New] would give. It judges only
// the annotations that the request adds or changes, and only Services that we
// may serve: those of type LoadBalancer without a class or with one of ours.
// Values that a peer tolerates pass, and so do Services with more annotations
// than anyone needs. It needs Kubernetes 1.30.
//
// A fault of the policy itself lets the request pass: New judges it again.
func (r *Registry) Policy() *admissionregistrationv1.ValidatingAdmissionPolicy {
	ignore := admissionregistrationv1.Ignore
	variables := []admissionregistrationv1.Variable{
		{Name: "annotations", Expression: annotationsOf("object")},
		{Name: "before", Expression: "oldObject == null ? {} : (" + annotationsOf("oldObject") + ")"},
		{Name: "changed", Expression: "variables.annotations.filter(k,\n" +
			"  !(k in variables.before) || variables.before[k] != variables.annotations[k])"},
	}
	var lists []string
	add := func(name, expression string) {
		variables = append(variables, admissionregistrationv1.Variable{Name: name, Expression: expression})
		lists = append(lists, "variables."+name)
	}
	for i := range r.annotations {
		a := &r.annotations[i]
		if !isWritten(a.Kind) && !a.unused() && a.invalid() == Refuse {
			add("invalid_"+identifier(a.Key), a.invalidCEL())
		}
	}
	for _, prefix := range r.prefixes {
		if prefix.Admit {
			continue
		}
		add("unknown_"+identifier(prefix.Name), r.unknownCEL(prefix))
	}
	variables = append(variables, admissionregistrationv1.Variable{
		Name: "problems", Expression: sumCEL(lists),
	})
	return &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: PolicyName},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    &ignore,
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: services()},
			MatchConditions: []admissionregistrationv1.MatchCondition{
				{Name: "annotations", Expression: fmt.Sprintf(
					"!has(object.metadata.annotations) || size(object.metadata.annotations) <= %d", maxAnnotations)},
				{Name: "load-balancer", Expression: "object.spec.type == 'LoadBalancer'"},
				{Name: "class", Expression: "!has(object.spec.loadBalancerClass) || " +
					"object.spec.loadBalancerClass.startsWith(" + celString(ownPrefix) + ")"},
			},
			Variables: variables,
			Validations: []admissionregistrationv1.Validation{{
				Expression:        "size(variables.problems) == 0",
				Message:           "annotations of the Service are misspelt or not allowed; docs/annotations.md lists all",
				MessageExpression: "variables.problems.join(" + celString(sentenceSeparator) + ")",
			}},
		},
	}
}

// PolicyBinding makes the policy refuse requests in all namespaces.
func PolicyBinding() *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: PolicyName},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        PolicyName,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
}

func services() []admissionregistrationv1.NamedRuleWithOperations {
	return []admissionregistrationv1.NamedRuleWithOperations{{
		RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"},
			},
		},
	}}
}

func annotationsOf(object string) string {
	return fmt.Sprintf("has(%[1]s.metadata.annotations) ? %[1]s.metadata.annotations : {}", object)
}

// invalidCEL lists the sentences about the annotation's changed keys whose
// values are not allowed. Like [Annotation.parse], it lets empty values be
// when they mean nothing.
func (a *Annotation) invalidCEL() string {
	good := fmt.Sprintf("size(v) <= %d && %s", maxValue, a.Kind.cel("v"))
	switch a.Empty {
	case EmptyUnset:
		good = "v == '' || " + good
	case BlankUnset:
		good = "v.trim() == '' || " + good
	case EmptyValue:
	}
	keys := fmt.Sprintf("%s.filter(k, k in variables.changed &&", celList(a.keys()))
	if a.isPattern() {
		keys = fmt.Sprintf("variables.changed.filter(k, k.matches(%s) &&", celString(a.patternRegexp()))
	}
	return fmt.Sprintf("%s\n  ![variables.annotations[k]].all(v, %s)).map(k,\n"+
		"  [variables.annotations[k]].map(v, %s + k + %s +\n  %s +\n  %s)[0])",
		keys, good, celString(annotationName("")), celString(isValue), quoteCEL("v"), celString(a.mustBe()))
}

// quoteCEL is quote in CEL.
func quoteCEL(v string) string {
	return fmt.Sprintf("strings.quote(size(%[1]s) > %[2]d ? %[1]s.substring(0, %[2]d) + '…' : %[1]s)", v, shownValue)
}

// unknownCEL lists the sentences about changed keys under the prefix that
// nobody knows: unknownSentence in CEL.
func (r *Registry) unknownCEL(prefix Prefix) string {
	known := r.under(prefix)
	isKnown := []string{"k in " + celList(known)}
	for _, a := range r.annotations {
		if a.isPattern() && strings.HasPrefix(a.Key, prefix.Name) {
			isKnown = append(isKnown, "k.matches("+celString(a.patternRegexp())+")")
		}
	}
	pairs := make([]string, len(known))
	longest := 0
	for i, k := range known {
		plain := plainKey(strings.TrimPrefix(k, prefix.Name))
		longest = max(longest, len(plain))
		pairs[i] = celList([]string{plain, k})
	}
	near := "[" + strings.Join(pairs, ", ") + "].filter(n, " + oneEditCEL("p", "n[0]", longest) + ")"
	begin := celString(annotationName("")) + " + k + "
	return fmt.Sprintf("variables.changed.filter(k, k.startsWith(%s) && !(%s)).map(k,\n"+
		"  [%s].map(p,\n    %s).map(near,\n"+
		"  %ssize(near) > 0 ? %s + near[0][1] + '?' : %s)[0])",
		celString(prefix.Name), strings.Join(isKnown, " || "),
		fmt.Sprintf("k.substring(%d).lowerAscii().replace('-', '').replace('_', '')", len(prefix.Name)),
		near,
		begin+"(", celString(strings.TrimSuffix(unknownNear(""), "?")), celString(unknownFar(known))+")")
}

// oneEditCEL is oneEdit in CEL, where b has at most longest characters.
func oneEditCEL(a, b string, longest int) string {
	places := make([]string, longest+1)
	for i := range places {
		places[i] = fmt.Sprint(i)
	}
	text := `A == B || [` + strings.Join(places, ", ") + `].exists(i,
      i <= size(A) && i <= size(B) && A.substring(0, i) == B.substring(0, i) && (
      (i < size(A) && A.substring(i + 1) == B.substring(i)) ||
      (i < size(B) && A.substring(i) == B.substring(i + 1)) ||
      (i < size(A) && i < size(B) && A.substring(i + 1) == B.substring(i + 1)) ||
      (i + 1 < size(A) && i + 1 < size(B) && A.substring(i + 2) == B.substring(i + 2) &&
       A.substring(i, i + 1) == B.substring(i + 1, i + 2) &&
       A.substring(i + 1, i + 2) == B.substring(i, i + 1))))`
	return strings.NewReplacer("A", a, "B", b).Replace(text)
}

// sumCEL adds the terms in groups: CEL's parser allows 250 levels of nesting,
// and takes each plus for one.
func sumCEL(terms []string) string {
	const group = 16
	if len(terms) <= group {
		return strings.Join(terms, " +\n")
	}
	var groups []string
	for part := range slices.Chunk(terms, group) {
		groups = append(groups, "("+strings.Join(part, " +\n")+")")
	}
	return sumCEL(groups)
}

// identifier turns a key into a CEL identifier.
func identifier(key string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, key), "_")
}

// celString is a CEL string literal.
func celString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
}

// celList is a CEL list of strings.
func celList(texts []string) string {
	quoted := slices.Clone(texts)
	for i, text := range texts {
		quoted[i] = celString(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
