// SPDX-License-Identifier: Apache-2.0

package cloudconfig_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/goldenfile"
)

// eachFile runs a subtest for every YAML and INI file of a folder in testdata.
func eachFile(t *testing.T, folder string, test func(t *testing.T, data []byte, golden string)) {
	t.Helper()
	var files []string
	for _, ext := range []string{"yaml", "conf"} {
		found, err := filepath.Glob(filepath.Join("testdata", folder, "*."+ext))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("no cases in testdata/%s", folder)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			test(t, data, strings.TrimSuffix(file, filepath.Ext(file))+".txt")
		})
	}
}

// report is what a test of faults looks at: each fault as its sentence, then
// what is used all the same.
func report(t *testing.T, c *cloudconfig.Config) string {
	t.Helper()
	var b strings.Builder
	for _, f := range c.Faults {
		if f.Warning {
			b.WriteString("warning: ")
		}
		b.WriteString(f.Error() + "\n")
	}
	used := *c
	used.Faults = nil
	out, err := cloudconfig.Marshal(&used)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(out), "kind: CloudConfig\n")
	return b.String() + "--- used:\n" + body
}

func TestBadInputIsLeftOutAndTheRestUsed(t *testing.T) {
	eachFile(t, "faults", func(t *testing.T, data []byte, file string) {
		c, err := cloudconfig.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, file, report(t, c))
	})
}

func TestMetalLBIsReadAsItStands(t *testing.T) {
	eachFile(t, "metallb", func(t *testing.T, data []byte, file string) {
		c, err := cloudconfig.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, file, report(t, c))
	})
}

func TestFileThatCannotBeUsedSaysWhy(t *testing.T) {
	eachFile(t, "errors", func(t *testing.T, data []byte, file string) {
		c, err := cloudconfig.Parse(data)
		if err == nil {
			t.Fatalf("got %+v, want an error", c)
		}
		goldenfile.Check(t, file, err.Error()+"\n")
	})
}
