// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"slices"
	"strings"
)

// shownValue is how many characters of a value a sentence shows.
const shownValue = 64

// listedKeys is how many known keys a sentence lists; where there are more it
// points to the reference page.
const listedKeys = 12

// annotationField is the path of an annotation in the Service.
func annotationField(key string) string { return "metadata.annotations[" + key + "]" }

// annotationName is how sentences call an annotation.
func annotationName(key string) string { return "annotation " + key }

// quote shows a value in a sentence: on one line, shortened. It gives what
// strings.quote of CEL gives.
func quote(text string) string {
	if runes := []rune(text); len(runes) > shownValue {
		text = string(runes[:shownValue]) + "…"
	}
	return `"` + strings.NewReplacer(
		"\a", `\a`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`,
		`\`, `\\`, `"`, `\"`,
	).Replace(text) + `"`
}

// isValue stands between key and quoted value in a sentence.
const isValue = " is "

// mustBe ends the sentence about a value that is not allowed; key and quoted
// value stand before it.
func (a *Annotation) mustBe() string {
	after := ", but must be " + a.Kind.allowed() + "; "
	const orRemove = ", or remove the annotation"
	if a.invalid() == Warn {
		return after + "it counts as " + a.toleratedAs()
	}
	if _, number := a.Kind.(Int); number {
		return after + "correct it" + orRemove // its example is the least, which is no advice
	}
	return after + "write it like " + quote(a.Kind.example()) + orRemove
}

func (a *Annotation) toleratedAs() string {
	switch {
	case a.Parts:
		return "those items that are allowed"
	case a.InvalidMeans != "":
		return quote(a.InvalidMeans)
	case a.Default != "":
		return quote(a.Default)
	}
	return "not set"
}

func (a *Annotation) notAllowed(key, raw string) Problem {
	return Problem{
		Severity: a.invalid(),
		Reason:   ReasonInvalidAnnotation,
		Field:    annotationField(key),
		Value:    raw,
		Sentence: annotationName(key) + isValue + quote(raw) + a.mustBe(),
	}
}

// deprecated is the note about an old name, and false when the key is none.
func (a *Annotation) deprecated(key string) (Problem, bool) {
	i := slices.IndexFunc(a.Aliases, func(alias Alias) bool { return alias.Key == key })
	if i < 0 || a.Aliases[i].Instead == "" {
		return Problem{}, false
	}
	return Problem{
		Severity: Note,
		Reason:   ReasonDeprecatedAnnotation,
		Field:    annotationField(key),
		Sentence: fmt.Sprintf("%s is deprecated; use %s", annotationName(key), a.Aliases[i].Instead),
	}, true
}

func conflicting(used, raw, other, text string) Problem {
	return Problem{
		Severity: Warn,
		Reason:   ReasonConflictingAnnotations,
		Field:    annotationField(other),
		Value:    text,
		Sentence: fmt.Sprintf("%s is %s and %s is %s; the first counts, remove the other",
			annotationName(used), quote(raw), annotationName(other), quote(text)),
	}
}

// ignored are the warnings for an annotation without effect on the provider.
// Those of peers, which may run in the same cluster, are none of our business.
func (r *Registry) ignored(a *Annotation, annotations map[string]string, provider string) []Problem {
	var problems []Problem
	why, told := a.Elsewhere[provider]
	for _, key := range append(a.found(annotations), a.keys()[1:]...) {
		raw, ok := annotations[key]
		if !ok || (!told && !isMeant(key, provider)) {
			continue
		}
		sentence := fmt.Sprintf("%s is %s, but has no effect %s", annotationName(key), quote(raw), whereNoEffect(provider))
		if told {
			sentence += ": " + why
		} else {
			sentence += "; remove it"
		}
		problems = append(problems, Problem{
			Severity: Warn,
			Reason:   ReasonIgnoredAnnotation,
			Field:    annotationField(key),
			Value:    raw,
			Sentence: sentence,
		})
	}
	return problems
}

// unknownSentence is about a key that is none of the known ones, which are
// those of its prefix.
func unknownSentence(key string, known []string) string {
	if near, ok := nearest(key, known); ok {
		return annotationName(key) + unknownNear(near)
	}
	return annotationName(key) + unknownFar(known)
}

func unknownNear(near string) string { return " is not known; did you mean " + near + "?" }

func unknownFar(known []string) string {
	if len(known) > listedKeys {
		return " is not known; remove it, or use one of those in docs/annotations.md"
	}
	return " is not known; remove it, or use one of " + strings.Join(known, ", ")
}

// nearest is the first of the known keys that differs from key by at most one
// typing error, where case, dashes and underscores do not count.
func nearest(key string, known []string) (string, bool) {
	plain := plainKey(key)
	for _, k := range known {
		if oneEdit(plain, plainKey(k)) {
			return k, true
		}
	}
	return "", false
}

// plainKey is a key without what people get wrong most.
func plainKey(key string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(lowerASCII(key))
}

// oneEdit reports whether a becomes b by nothing, or by one character more,
// fewer, another one, or two swapped. Both are ASCII, as keys are.
func oneEdit(a, b string) bool {
	if a == b {
		return true
	}
	for i := 0; i <= len(a) && i <= len(b) && a[:i] == b[:i]; i++ {
		x, y := a[i:], b[i:]
		switch {
		case len(x) > 0 && x[1:] == y,
			len(y) > 0 && x == y[1:],
			len(x) > 0 && len(y) > 0 && x[1:] == y[1:],
			len(x) > 1 && len(y) > 1 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:]:
			return true
		}
	}
	return false
}
