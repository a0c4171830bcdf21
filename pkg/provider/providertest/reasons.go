// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Reasons are what the table of reasons on a page must tell of: those that are
// constants of the packages in the folders, but for Others, which are of other
// clouds or no reasons of events.
type Reasons struct {
	Page    string
	Folders []string
	Others  []string
}

// Documented holds the page against the code.
func (r Reasons) Documented(t *testing.T) {
	t.Helper()
	rows := r.rows(t)
	all := r.constants(t)
	for _, reason := range all {
		if told := slices.Contains(rows, reason); told == slices.Contains(r.Others, reason) {
			t.Errorf("%s is told of in the table of %s: %t", reason, r.Page, told)
		}
	}
	for _, reason := range r.Others {
		if !slices.Contains(all, reason) {
			t.Errorf("there is no reason %s to be left out", reason)
		}
	}
}

// rows are the reasons that begin the rows of the table.
func (r Reasons) rows(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(r.Page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n| reason |")
	if !found {
		t.Fatalf("%s has no table of reasons", r.Page)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var out []string
	for line := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// constants are the reasons in the code of the folders.
func (r Reasons) constants(t *testing.T) []string {
	t.Helper()
	constant := regexp.MustCompile(`(?m)^(?:const|\t) ?[rR]eason\w+ += "(\w+)"`)
	var out []string
	for _, folder := range r.Folders {
		files, err := fs.Glob(os.DirFS(folder), "*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("there is no code in %s (%v)", folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			code, err := fs.ReadFile(os.DirFS(folder), file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range constant.FindAllStringSubmatch(string(code), -1) {
				out = append(out, m[1])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
