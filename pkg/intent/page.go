// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const pageIntro = `# Annotations of Services

Fairlead reads these annotations of Services of type LoadBalancer.

- An annotation with several keys: the first of them that is present counts,
  in the order of the table. Where another differs, the Service gets a Warning
  event that names both.
- An empty value is as none, except where the table says otherwise. White space
  around a value, or around an item of a list, does not count, except in text.
- A value that is not allowed leads to an event and a condition with one
  sentence that says what is allowed. "Refused" means that the Service is not
  served in its new form; what serves it already stays.
- A refused Service keeps all its problems in one message.
`

const pagePolicy = `
The ValidatingAdmissionPolicy ` + "`" + PolicyName + "`" + ` in
` + "`manifests/base/admission-policy.yaml`" + ` says the same sentences when the request is
made. It refuses unknown keys under the prefixes above and values that the
tables call refused. It judges only what a request adds or changes, so an old
annotation never blocks an edit of something else, and only Services without a
` + "`loadBalancerClass`" + ` or with one of ` + "`" + ownPrefix + "`" + `.
`

// Page is the reference page of all annotations, in Markdown.
func (r *Registry) Page() string {
	var b strings.Builder
	b.WriteString("<!-- Generated from pkg/intent by `go run ./hack/gen`; do not edit. -->\n\n")
	b.WriteString(pageIntro)
	for _, t := range r.tables {
		fmt.Fprintf(&b, "\n## %s\n\n", t.Title)
		if t.Note != "" {
			b.WriteString(t.Note + "\n")
		}
		b.WriteString("| Annotation | Other keys | Type | Allowed | Default | Honoured by | A value not allowed | Meaning |\n")
		b.WriteString("|---|---|---|---|---|---|---|---|\n")
		for i := range t.Annotations {
			b.WriteString(t.Annotations[i].row())
		}
	}
	b.WriteString("\n## Misspelt keys\n\nUnder these prefixes Fairlead knows all keys. Another one is a misspelling.\n\n")
	b.WriteString("| Prefix | A key that is not known |\n|---|---|\n")
	for _, p := range r.prefixes {
		what := "refused"
		if p.Unknown == Warn {
			what = "Warning event; refused by the admission policy when it is new"
		}
		if p.Admit {
			what = "Warning event"
		}
		if len(p.Providers) > 0 {
			what += " (provider " + strings.Join(p.Providers, ", ") + ")"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", code(p.Name), what)
	}
	b.WriteString(pagePolicy)
	return b.String()
}

// row is the annotation's line in its table.
func (a *Annotation) row() string {
	others := make([]string, len(a.Aliases))
	for i, alias := range a.Aliases {
		others[i] = code(alias.Key)
		if alias.Instead != "" {
			others[i] += " (deprecated)"
		}
	}
	cells := []string{
		code(a.Key), strings.Join(others, ", "), a.Kind.name(), a.allowedCell(), orNone(a.Default),
		a.honouredCell(), a.invalidCell(), a.Doc,
	}
	where := map[string][]string{} // by reason
	for _, provider := range slices.Sorted(maps.Keys(a.Elsewhere)) {
		where[a.Elsewhere[provider]] = append(where[a.Elsewhere[provider]], provider)
	}
	for _, why := range slices.Sorted(maps.Keys(where)) {
		cells[len(cells)-1] += fmt.Sprintf(" Not with provider %s: %s.", strings.Join(where[why], ", "), why)
	}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (a *Annotation) allowedCell() string {
	text := a.Kind.allowed()
	if example := a.Kind.example(); example != "" {
		text += ", such as " + code(example)
	}
	if a.Empty == EmptyValue {
		text += "; an empty value counts"
	}
	others := []string{text}
	for _, provider := range slices.Sorted(maps.Keys(a.KindFor)) {
		others = append(others, fmt.Sprintf("with %s %s", provider, a.KindFor[provider].allowed()))
	}
	return strings.Join(others, "; ")
}

func (a *Annotation) honouredCell() string {
	text := "all"
	if len(a.Providers) > 0 {
		text = strings.Join(slices.DeleteFunc(slices.Clone(a.Providers), func(p string) bool {
			return !a.honouredBy(p) || slices.Contains(a.RefusedBy, p)
		}), ", ")
	}
	if text == "" {
		return "none"
	}
	if len(a.Elsewhere) > 0 && len(a.Providers) == 0 {
		text += " but " + strings.Join(slices.Sorted(maps.Keys(a.Elsewhere)), ", ")
	}
	return text
}

func (a *Annotation) invalidCell() string {
	switch {
	case isWritten(a.Kind):
		return ""
	case a.unused():
		return "Warning event, whatever the value"
	case len(a.RefusedBy) > 0:
		return "with " + strings.Join(a.RefusedBy, ", ") + " no value is allowed yet"
	case a.invalid() == Refuse && len(a.TolerantFor) > 0:
		counts := "it does not count"
		if _, ok := a.Kind.(divisible); ok {
			counts = "the items count that are allowed"
		}
		return fmt.Sprintf("refused; with %s a Warning event, and %s", strings.Join(a.TolerantFor, ", "), counts)
	case a.invalid() == Refuse:
		return "refused"
	}
	text := "Warning event; counts as " + a.toleratedAs()
	if len(a.KindFor) > 0 {
		text += "; refused with " + strings.Join(slices.Sorted(maps.Keys(a.KindFor)), ", ")
	}
	return text
}

func isWritten(k Kind) bool {
	_, written := k.(Written)
	return written
}

func code(s string) string { return "`" + s + "`" }

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return code(s)
}
