// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// iniSection is the first line of a section: its name and, quoted, which of
// several it is.
var iniSection = regexp.MustCompile(`^\[\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*([;#].*)?$`)

// iniOurs begins a section of a cloud.conf, even if something is wrong with it.
var iniOurs = regexp.MustCompile(`(?i)^\[\s*(global|serviceoverride)\b`)

// iniKey is the name of a key, and what follows it.
var iniKey = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*)\s*(.*)$`)

// iniKeyFirst is a key where a section is missing.
var iniKeyFirst = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*\s*=`)

// looksLikeINI reports whether the first line that says something begins a
// section, or is a key with a value. No YAML that is a cloud-config begins so.
func looksLikeINI(data []byte) bool {
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff"))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		return iniSection.MatchString(text) || iniOurs.MatchString(text) || iniKeyFirst.MatchString(text)
	}
	return false
}

// iniFile is a cloud.conf as the tree that YAML would give.
type iniFile struct {
	global    *yaml.Node
	overrides []value // with the section as the object
}

// listKeys may stand several times in a section.
func listKeys() []string { return []string{"nodeipfamilies"} }

// iniReader reads a cloud.conf line by line, in the syntax of git's config.
type iniReader struct {
	r       *reader
	lines   []string
	at      int // index of the line that is read
	file    iniFile
	section *yaml.Node // nil before the first, and in an unknown one
	begun   bool
}

// readINI reads sections and keys. Unknown sections are told and passed over.
func readINI(r *reader, data []byte) (*iniFile, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	ini := &iniReader{r: r, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	ini.file.global = &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	for ; ini.at < len(ini.lines); ini.at++ {
		if line := strings.TrimSpace(ini.lines[ini.at]); line != "" && line[0] != '#' && line[0] != ';' {
			ini.line(line)
		}
	}
	if r.errors > 0 {
		return nil, r.fatal()
	}
	return &ini.file, nil
}

// here is the value of this line, for faults.
func (ini *iniReader) here(text string) value {
	return value{r: ini.r, path: text, node: &yaml.Node{Kind: yaml.MappingNode, Line: ini.at + 1}}
}

func (ini *iniReader) line(line string) {
	if line[0] == '[' {
		ini.begin(line)
		return
	}
	m := iniKey.FindStringSubmatch(line)
	switch {
	case m == nil:
		ini.here("").fault(fmt.Sprintf("%q is neither a section nor a key", shorten(line)), "write [Global], and below it key = value")
		return
	case !ini.begun:
		ini.here(m[1]).fault("stands before the first section", "write [Global] above it")
		return
	}
	key, rest, line1 := m[1], m[2], ini.at+1
	text := "true" // a key alone
	if rest != "" && rest[0] != ';' && rest[0] != '#' {
		if rest[0] != '=' {
			ini.here(key).fault("has no =", "write "+key+" = value")
			return
		}
		var ok bool
		if text, ok = ini.value(key, rest[1:]); !ok {
			return
		}
	}
	if ini.section != nil {
		ini.add(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: line1})
	}
}

func (ini *iniReader) begin(line string) {
	ini.begun = true
	m := iniSection.FindStringSubmatch(line)
	if m == nil {
		ini.section = nil
		ini.here("").fault(fmt.Sprintf("%q is no section", shorten(line)), `write such as [Global] or [ServiceOverride "1"]`)
		return
	}
	switch strings.ToLower(m[1]) {
	case "global":
		ini.section = ini.file.global
	case "serviceoverride":
		object := fmt.Sprintf("section ServiceOverride %q", m[2])
		i := slices.IndexFunc(ini.file.overrides, func(v value) bool { return v.object == object })
		if i < 0 {
			i = len(ini.file.overrides)
			node := &yaml.Node{Kind: yaml.MappingNode, Line: ini.at + 1}
			ini.file.overrides = append(ini.file.overrides, value{r: ini.r, node: node, object: object})
		}
		ini.section = ini.file.overrides[i].node
	default:
		ini.section = nil
		cure := "it has no effect; remove it"
		if meant := suggest(m[1], []string{"Global", "ServiceOverride"}); meant != "" {
			cure = "it has no effect; did you mean " + meant + "?"
		}
		ini.here(m[1]).warn("no such section", cure)
	}
}

// value reads what stands behind the =, which may go on in the next lines.
func (ini *iniReader) value(key, rest string) (string, bool) {
	var b strings.Builder
	quoted, kept := false, 0 // spaces at the end do not count, unless quoted
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '"':
			quoted = !quoted
			kept = b.Len()
		case c == '\\':
			i++
			switch {
			case i < len(rest):
				escaped := strings.IndexByte(`"\ntb`, rest[i])
				if escaped < 0 {
					ini.here(key).fault(fmt.Sprintf("holds \\%c, which is not known", rest[i]), `write \\ for a backslash`)
					return "", false
				}
				b.WriteByte("\"\\\n\t\b"[escaped])
				kept = b.Len()
			case ini.at+1 < len(ini.lines):
				ini.at++
				rest, i = ini.lines[ini.at], -1
			}
		case !quoted && (c == ';' || c == '#'):
			return b.String()[:kept], true
		case !quoted && (c == ' ' || c == '\t'):
			if b.Len() > 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
			kept = b.Len()
		}
	}
	if quoted {
		ini.here(key).fault("has a quote that is not closed", `write " behind it`)
		return "", false
	}
	return b.String()[:kept], true
}

// add puts a key into the section: a list grows, of others the last counts.
func (ini *iniReader) add(key string, node *yaml.Node) {
	content := ini.section.Content
	for i := 0; i+1 < len(content); i += 2 {
		if !strings.EqualFold(content[i].Value, key) {
			continue
		}
		held := content[i+1]
		if slices.Contains(listKeys(), strings.ToLower(key)) {
			held.Content = append(held.Content, node)
			return
		}
		v := ini.here(key)
		v.warn(fmt.Sprintf("stands here a second time, first on line %d; this one counts", ini.r.line(held)), "leave one of them")
		content[i+1] = node
		return
	}
	if slices.Contains(listKeys(), strings.ToLower(key)) {
		node = &yaml.Node{Kind: yaml.SequenceNode, Line: node.Line, Content: []*yaml.Node{node}}
	}
	name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: ini.at + 1}
	ini.section.Content = append(ini.section.Content, name, node)
}
