// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"strings"

	"github.com/fairlead/fairlead/pkg/intent"
)

// text is the value of an annotation; empty when it is not there.
func (a *ask) text(key string) string {
	v, _ := a.item.Intent.Options.Text(key)
	return v
}

// healthPort is what health checks ask by the annotation; empty when it is not
// there.
func (a *ask) healthPort() string { return strings.TrimSpace(a.text(intent.KeyAWSHealthPort)) }

// has reports whether the annotation is there, though it be empty.
func (a *ask) has(key string) bool {
	_, ok := intent.AWSWritten(a.item.Service, key)
	return ok
}

// written is what the user wrote in an annotation; empty when it is not there.
func (a *ask) written(key string) string { return written(a.item.Service, key) }

// list are the values of an annotation of several.
func (a *ask) list(key string) []string {
	v, _ := a.item.Intent.Options.Texts(key)
	return v
}

// pairs are the key=value pairs of an annotation, never nil.
func (a *ask) pairs(key string) map[string]string {
	v, ok := a.item.Intent.Options.Pairs(key)
	if !ok {
		return map[string]string{}
	}
	return v
}

// on reports whether a switch is true.
func (a *ask) on(key string) bool {
	v, _ := a.item.Intent.Options.Bool(key)
	return v
}

// number is the value of an annotation; otherwise when there is none.
func (a *ask) number(key string, otherwise int32) int32 {
	v, ok := a.item.Intent.Options.Int(key)
	if !ok {
		return otherwise
	}
	return int32(v) //nolint:gosec // the registry has limits far below
}

// addresses are the IP addresses of an annotation.
func (a *ask) addresses(key string) []string {
	list, _ := a.item.Intent.Options.Addresses(key)
	out := make([]string, len(list))
	for i, ip := range list {
		out[i] = ip.String()
	}
	return out
}

// nodeLabels are those of the nodes that serve. They count for a Service whose
// new form is refused, too, which has no intent.
func (a *ask) nodeLabels() map[string]string {
	out := map[string]string{}
	for item := range strings.SplitSeq(a.written(intent.KeyAWSNodeLabels), ",") {
		if k, v, _ := strings.Cut(strings.TrimSpace(item), "="); k != "" {
			if !a.external {
				v, _, _ = strings.Cut(v, "=") // as the peer reads it
			}
			out[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return out
}
