// SPDX-License-Identifier: Apache-2.0

// Package cloudconfig knows the cloud-config file: it reads our versioned YAML
// and the peers' own files into the same typed objects, and says in one
// sentence each what is wrong with what it cannot use.
package cloudconfig

import (
	"fmt"
	"strings"
	"time"
)

// APIVersion and Kind are the type of our own file.
const (
	APIVersion = "config.fairlead.dev/v1alpha1"
	Kind       = "CloudConfig"
)

// Config is a cloud-config file, parsed. It holds only objects that are good;
// what was left out stands in Faults, so that one bad object never stops the
// good ones. Nothing in it tells which format the file was written in.
type Config struct {
	// Drift says how the controller compares what it made with what is there.
	Drift Drift
	// Metal is set when the file configures bare metal.
	Metal *Metal
	// Azure is set when the file configures Azure.
	Azure *Azure
	// AWS is set when the file configures AWS.
	AWS *AWS
	// Faults are the objects and fields that could not be used, in file order.
	Faults Faults

	// passwordFiles says for each peer where its passwordFile stands.
	passwordFiles map[string]Fault
	doubts        Faults
}

// Provider is the name of the provider that the file configures, as in
// --cloud-provider; empty when it configures none.
func (c *Config) Provider() string {
	switch {
	case c.Metal != nil:
		return "metal"
	case c.Azure != nil:
		return "azure"
	case c.AWS != nil:
		return "aws"
	}
	return ""
}

// DriftMode is what the drift pass does about a difference.
type DriftMode uint8

// The drift modes. The zero value is none of them.
const (
	DriftReport DriftMode = iota + 1 // events and metrics only
	DriftRepair                      // write what differs
	DriftOff                         // no drift pass
)

// String is the mode as the file writes it.
func (m DriftMode) String() string {
	switch m {
	case DriftReport:
		return "report"
	case DriftRepair:
		return "repair"
	case DriftOff:
		return "off"
	}
	return fmt.Sprintf("DriftMode(%d)", uint8(m))
}

// Drift configures the drift pass.
type Drift struct {
	Mode DriftMode
	// Interval is the time between two passes over all Services.
	Interval time.Duration
}

// Fault is one object or field of a file that cannot be used, and why.
type Fault struct {
	Line   int    // 1 is the first line; 0 when the source has no lines
	Object string // such as `pool "public"`; empty for the file itself
	Field  string // path of the field, such as metal.pools[0].addresses[1]
	Value  string // the value as written; never a secret
	Reason string // what is wrong with it
	Cure   string // what is allowed and what to do
	// Warning is true when the object is used all the same.
	Warning bool
}

// Error is the fault as one sentence, with its line.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Sentence()
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Sentence())
}

// Sentence is the fault without its line.
func (f Fault) Sentence() string {
	var b strings.Builder
	if f.Object != "" {
		fmt.Fprintf(&b, "%s: ", f.Object)
	}
	b.WriteString(f.Field)
	if f.Value != "" {
		fmt.Fprintf(&b, " %q", f.Value)
	}
	if f.Field != "" || f.Value != "" {
		b.WriteString(": ")
	}
	b.WriteString(f.Reason)
	if f.Cure != "" {
		fmt.Fprintf(&b, "; %s", f.Cure)
	}
	return b.String()
}

// Faults are the faults of one file, in file order.
type Faults []Fault

// Errors are the faults of what is left out: all but the warnings.
func (fs Faults) Errors() Faults {
	var out Faults
	for _, f := range fs {
		if !f.Warning {
			out = append(out, f)
		}
	}
	return out
}

// String is one sentence per fault, each on a line.
func (fs Faults) String() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Secret is a value that never shows: it prints as [redacted].
type Secret string

// String hides the value.
func (Secret) String() string { return redacted }

// GoString hides the value.
func (Secret) GoString() string { return redacted }

// MarshalText hides the value.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }
