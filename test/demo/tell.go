// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// width is where paragraphs are wrapped.
	width = 78
	// lineWidth is where the text of lines is wrapped, and hangingIndent where it
	// goes on.
	lineWidth, hangingIndent = 92, 21
	// indent stands before paragraphs.
	indent = "   "
	// colourVariable says that what we write to is shown on a terminal.
	colourVariable = "FAIRLEAD_DEMO_COLOUR"
)

// The kinds of lines.
const (
	kindDone   = "ok"
	kindNode   = "node"
	kindPod    = "pod"
	kindSvc    = "svc"
	kindEvent  = "event"
	kindRouter = "router"
	kindAzure  = "azure"
	kindAWS    = "aws"
)

// teller writes the story: paragraphs that say why, and lines with the time
// since the start that say what.
type teller struct {
	begun time.Time

	mu     sync.Mutex
	out    io.Writer
	colour bool
	acts   int
}

func newTeller(out io.Writer) *teller {
	colour := isTerminal(out) || os.Getenv(colourVariable) != ""
	return &teller{begun: time.Now(), out: out, colour: colour && os.Getenv("NO_COLOR") == ""}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// redirect makes all that is told from now on go elsewhere.
func (t *teller) redirect(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out, t.colour = out, false
}

// act begins a new part of the story.
func (t *teller) act(title, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acts++
	t.write("\n%s\n%s", t.bold(fmt.Sprintf("%d. %s", t.acts, title)), wrap(text))
}

// paragraph adds to the story without a number.
func (t *teller) paragraph(title, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if title != "" {
		t.write("\n%s\n", t.bold(title))
	}
	t.write("%s", wrap(text))
}

// plain writes lines as they are.
func (t *teller) plain(lines ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range lines {
		t.write("%s\n", strings.TrimRight(indent+line, " "))
	}
}

// quote writes what a program printed, with long lines broken.
func (t *teller) quote(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		t.write("%s\n", strings.TrimRight(indent+indent+breakLine(line), " "))
	}
}

// line tells what happened just now.
func (t *teller) line(kind, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := hang(fmt.Sprintf(format, args...))
	t.write("%7.2fs  %s %s\n", time.Since(t.begun).Seconds(), t.paint(kind, fmt.Sprintf("%-6s", kind)), text)
}

// quoteWidth is where the lines of programs are broken.
const quoteWidth = lineWidth + hangingIndent - 2*len(indent)

// breakLine breaks a line of a program that is too long, and indents what
// follows beyond where it begins.
func breakLine(line string) string {
	if utf8.RuneCountInString(line) <= quoteWidth {
		return line
	}
	runes := []rune(line)
	at := strings.LastIndexByte(string(runes[:quoteWidth+1]), ' ')
	begin := len(line) - len(strings.TrimLeft(line, " "))
	if at <= begin {
		return line
	}
	hanging := line[:begin] + indent
	return line[:at] + "\n" + indent + indent + breakLine(hanging+strings.TrimLeft(line[at:], " "))
}

// hang breaks a text that is too long for its line, and indents what follows.
func hang(text string) string {
	if len(text) <= lineWidth {
		return text
	}
	at := strings.LastIndexByte(text[:lineWidth+1], ' ')
	if at <= 0 {
		return text
	}
	return text[:at] + "\n" + strings.Repeat(" ", hangingIndent) + hang(strings.TrimLeft(text[at:], " "))
}

// write ignores errors: a reader that has gone away is no reason to stop.
func (t *teller) write(format string, args ...any) { _, _ = fmt.Fprintf(t.out, format, args...) }

func (t *teller) bold(s string) string { return t.escape("1", s) }

// paint gives each kind of line a colour of its own.
func (t *teller) paint(kind, s string) string {
	switch kind {
	case kindRouter, kindAzure, kindAWS:
		return t.escape("32", s)
	case kindSvc:
		return t.escape("36", s)
	case kindEvent:
		return t.escape("33", s)
	default:
		return t.escape("2", s)
	}
}

func (t *teller) escape(code, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// wrap breaks a text into indented lines.
func wrap(text string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}
