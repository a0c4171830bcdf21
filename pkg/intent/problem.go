// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/plan"
)

// Severity says what becomes of a Service that has a problem. The zero value
// is none.
type Severity uint8

// The severities, the weakest first.
const (
	// Note: the Service is served as written; the user should know something.
	Note Severity = iota + 1
	// Warn: the Service is served, but something in it has no effect, or
	// another one than written.
	Warn
	// Refuse: the Service is not served in this form.
	Refuse
)

// The reasons of problems. They are those of events and conditions, and never
// change.
const (
	// ReasonInvalidAnnotation: a value that is not allowed.
	ReasonInvalidAnnotation = "InvalidAnnotation"
	// ReasonUnknownAnnotation: a key that nobody knows, under a prefix where
	// all keys are known.
	ReasonUnknownAnnotation = "UnknownAnnotation"
	// ReasonConflictingAnnotations: two keys of one annotation differ.
	ReasonConflictingAnnotations = "ConflictingAnnotations"
	// ReasonDeprecatedAnnotation: a key that has a newer name.
	ReasonDeprecatedAnnotation = "DeprecatedAnnotation"
	// ReasonIgnoredAnnotation: an annotation without effect on this provider.
	ReasonIgnoredAnnotation = "IgnoredAnnotation"
	// ReasonConflictingAddresses: spec.loadBalancerIP and the annotation ask
	// for different addresses.
	ReasonConflictingAddresses = "ConflictingAddresses"
	// ReasonAddressFamilyMismatch: an address of a family that the Service
	// does not have.
	ReasonAddressFamilyMismatch = "AddressFamilyMismatch"
	// ReasonInvalidField: a field of the spec that cannot be used.
	ReasonInvalidField = "InvalidField"
)

// Problem is one thing that is wrong with a Service, or that its user should
// know.
type Problem struct {
	Severity Severity
	Reason   string // one of the reasons above
	Field    string // such as spec.loadBalancerIP, or metadata.annotations[KEY]
	Value    string // as written
	Sentence string // names the field, the value, what is allowed, the cure
}

// Error is the sentence.
func (p Problem) Error() string { return p.Sentence }

// Refusal joins the problems that refuse the Service into one *plan.Error of
// kind Invalid, with the reason of the first. It is nil when there are none.
func Refusal(problems []Problem) error {
	var errs []error
	var reason string
	for _, p := range problems {
		if p.Severity != Refuse {
			continue
		}
		if reason == "" {
			reason = p.Reason
		}
		errs = append(errs, p)
	}
	if len(errs) == 0 {
		return nil
	}
	return &plan.Error{Kind: plan.Invalid, Reason: reason, Err: joined(errs)}
}

// joined are errors that print on one line, as events and conditions want.
type joined []error

// sentenceSeparator stands between two sentences of one message.
const sentenceSeparator = "; also "

// Error is all sentences on one line.
func (j joined) Error() string {
	sentences := make([]string, len(j))
	for i, err := range j {
		sentences[i] = err.Error()
	}
	return strings.Join(sentences, sentenceSeparator)
}

// Unwrap returns the single errors.
func (j joined) Unwrap() []error { return j }

// withoutMeanings takes away what an annotation's bad value counts as, where the
// value is refused by another rule: it counts as nothing then.
func withoutMeanings(problems []Problem) []Problem {
	refused := map[string]bool{}
	for _, p := range problems {
		if p.Severity == Refuse {
			refused[p.Field] = true
		}
	}
	return slices.DeleteFunc(problems, func(p Problem) bool {
		return p.Severity == Warn && p.Reason == ReasonInvalidAnnotation && refused[p.Field]
	})
}

// sortProblems puts what refuses first, then orders by field and sentence.
func sortProblems(problems []Problem) {
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Sentence, b.Sentence),
		)
	})
}
