// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Defaults of the drift pass.
const (
	DefaultDriftMode     = DriftReport
	DefaultDriftInterval = 10 * time.Minute
)

// FileError says why nothing of a file can be used.
type FileError struct {
	Faults Faults // at least one
}

// Error is one sentence per fault, each on a line.
func (e *FileError) Error() string { return e.Faults.String() }

// Parse reads a cloud-config: our own format, a ConfigMap that holds it or
// MetalLB's, MetalLB's alone, cloud-provider-azure's or cloud-provider-aws'. Each
// object is judged alone: what cannot be used is left out and stands in the Faults of the
// result. The error is a *FileError and means that nothing can be used.
func Parse(data []byte) (*Config, error) {
	return read(&reader{}, data, inFile)
}

// read reads a document, wherever its lines stand.
func read(r *reader, data []byte, where nesting) (*Config, error) {
	if looksLikeINI(data) {
		return parseAWS(r, data)
	}
	root, err := document(data)
	if err != nil {
		return nil, r.moved(err)
	}
	return parse(value{r: r, node: root}, where)
}

// nesting is where a document stands.
type nesting uint8

const (
	inFile nesting = iota + 1
	inConfigMap
)

const accepted = "accepted are apiVersion " + APIVersion + " with kind " + Kind +
	", a v1 ConfigMap that holds it or MetalLB's config under data.config, MetalLB's config alone (peers and address-pools at the top), the azure.json of cloud-provider-azure, and the cloud.conf of cloud-provider-aws"

// parse finds out which format the document is of and reads it.
func parse(root value, where nesting) (*Config, error) {
	if root.node.Kind != yaml.MappingNode {
		return nil, root.fatal("this is no cloud-config", accepted)
	}
	version, kind := root.scalar("apiVersion"), root.scalar("kind")
	switch {
	case kind == Kind || strings.HasPrefix(version, "config.fairlead.dev/"):
		return parseOurs(root)
	case kind == "ConfigMap" && version == "v1" && where == inFile:
		return parseConfigMap(root)
	case strings.HasPrefix(version, "metallb.io/"):
		return nil, root.child("kind").fatal("is a custom resource of MetalLB, which is not read",
			"write pools, peers and advertisements into a cloud-config by hand: docs/metal.md says how, under From MetalLB to Fairlead")
	case kind == "" && version == "" && looksLikeMetalLB(root):
		return parseMetalLB(root)
	case kind == "" && version == "" && looksLikeAzure(root):
		return parseAzure(root)
	case kind == "" && version == "":
		return nil, root.fatal("apiVersion and kind are missing", accepted)
	}
	at := root.child("kind")
	return nil, at.fatal(fmt.Sprintf("of apiVersion %q is no cloud-config", shorten(version)), accepted)
}

// document returns the one YAML document of the file.
func document(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first *yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, notYAML(data, err)
		}
		if len(doc.Content) == 0 || (doc.Content[0].Tag == "!!null" && doc.Content[0].Value == "") {
			continue
		}
		if first != nil {
			return nil, &FileError{Faults{{
				Line: doc.Content[0].Line, Reason: "a second YAML document begins here",
				Cure: "leave one document in the file",
			}}}
		}
		first = follow(doc.Content[0])
	}
	if first == nil {
		return nil, &FileError{Faults{{Reason: "the file is empty", Cure: accepted}}}
	}
	return first, nil
}

// notYAML makes a fault of the YAML library's error, which has the line in its
// text only, and counts from 0 there when the parser and not the scanner
// complains; from the first line it names none.
func notYAML(data []byte, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
		if strings.HasPrefix(text, "did not find expected ") {
			line++
		}
	}
	f := Fault{Line: line, Reason: "this is not YAML: " + text, Cure: "correct the syntax"}
	switch {
	case indentedByTab(data, line):
		f.Reason, f.Cure = "this is not YAML: a tab stands before the first word of the line", "indent with spaces"
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		f.Reason = "this is neither JSON nor YAML: " + text
	}
	return &FileError{Faults{f}}
}

// indentedByTab reports whether a tab stands in the indentation of the line,
// counted from 1.
func indentedByTab(data []byte, line int) bool {
	lines := bytes.Split(data, []byte("\n"))
	if line > len(lines) {
		return false
	}
	text := lines[line-1]
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	return bytes.ContainsRune(indent, '\t')
}

// fatal is the error that nothing can be read because of v.
func (v value) fatal(reason, cure string) error {
	v.fault(reason, cure)
	return v.r.fatal()
}

func (r *reader) fatal() error { return &FileError{r.sorted()} }

// sorted are the faults in file order.
func (r *reader) sorted() Faults {
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
	return r.faults
}

// provider is a section of the file of which there must be exactly one.
type provider struct {
	key  string
	read func(value, *Config)
}

// providers are the sections. A new provider is one more line.
func providers() []provider {
	return []provider{
		{"metal", readMetal},
		{"azure", readAzure},
		{"aws", readAWS},
	}
}

func parseOurs(root value) (*Config, error) {
	root.r.dialect = ours
	if kind := root.child("kind"); root.scalar("kind") != Kind {
		return nil, kind.fatal("must be "+Kind, "write kind: "+Kind)
	}
	if version := root.child("apiVersion"); root.scalar("apiVersion") != APIVersion {
		return nil, version.fatal("is no version that is known here", "write apiVersion: "+APIVersion)
	}
	c := newConfig()
	sections := make([]value, len(providers()))
	f := fields{
		"apiVersion": value.ignore, "kind": value.ignore,
		"drift": func(v value) { v.drift(&c.Drift) },
	}
	for i, p := range providers() {
		f[p.key] = hold(&sections[i])
	}
	root.mapping(f)
	var keys, found []string
	for i, p := range providers() {
		keys = append(keys, p.key)
		if sections[i].present() {
			found = append(found, p.key)
			p.read(sections[i], c)
		}
	}
	switch len(found) {
	case 0:
		return nil, root.fatal("the section of the provider is missing", "add "+strings.Join(keys, " or "))
	case 1:
		if c.Provider() == "" {
			return nil, root.r.fatal()
		}
		c.Faults = root.r.sorted()
		return c, nil
	}
	return nil, root.fatal("sections of more than one provider: "+list(found), "leave one")
}

func (v value) ignore() {}

func newConfig() *Config {
	return &Config{Drift: Drift{Mode: DefaultDriftMode, Interval: DefaultDriftInterval}}
}

// drift reads the drift section. A field with a fault keeps its default.
func (v value) drift(d *Drift) {
	const shortest, longest = 10 * time.Second, 24 * time.Hour
	v.mapping(fields{
		"mode":     into(&d.Mode, value.driftMode),
		"interval": into(&d.Interval, period(shortest, longest)),
	})
}

func (v value) driftMode() (DriftMode, bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	modes := []DriftMode{DriftReport, DriftRepair, DriftOff}
	for _, m := range modes {
		if m.String() == s {
			return m, true
		}
	}
	v.fault("no such mode", "allowed are report, repair and off")
	return 0, false
}

// parseConfigMap reads what a ConfigMap holds under data.config, or under its
// only key.
func parseConfigMap(root value) (*Config, error) {
	data := root.child("data")
	if data.node == root.node || data.node.Kind != yaml.MappingNode {
		return nil, data.fatal("the ConfigMap holds no file", "put the config under data.config")
	}
	var held *value
	for _, p := range data.pairs() {
		if p.key.Value == "config" || len(data.pairs()) == 1 {
			c := data.under(p.key.Value, p.val)
			held = &c
			break
		}
	}
	if held == nil {
		return nil, data.fatal("the ConfigMap has no key config", "put the config under data.config")
	}
	if held.node.Kind != yaml.ScalarNode {
		return nil, held.fatal("must be a text", "write config: | and the file below it, indented")
	}
	r := &reader{offset: held.node.Line}
	if held.node.Style&yaml.LiteralStyle == 0 {
		r = &reader{fixed: held.node.Line}
	}
	return read(r, []byte(held.node.Value), inConfigMap)
}

// moved gives the faults of an inner document the lines of the file.
func (r *reader) moved(err error) error {
	var fe *FileError
	if !errors.As(err, &fe) {
		return err
	}
	for i := range fe.Faults {
		fe.Faults[i].Line = r.line(&yaml.Node{Line: fe.Faults[i].Line})
	}
	return fe
}
