// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// stdin is the file name that stands for the standard input.
const stdin = "-"

// NewValidateCommand is "validate FILE...": it checks cloud-config files
// offline, without a cluster. It fails when a file has faults; warnings alone
// are no failure.
func NewValidateCommand(streams genericiooptions.IOStreams) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check cloud-config files, without a cluster",
		Long: `Check cloud-config files, without a cluster.

FILE is our own format, MetalLB's ConfigMap, what that ConfigMap holds under
config, cloud-provider-azure's azure.json or cloud-provider-aws' cloud.conf; - is
the standard input. Each fault is printed as FILE:LINE: sentence. A controller or
speaker that starts with the file uses what has no fault.

Exits with 0 when no file has a fault but warnings, else with 1.`,
		Example: `  kubectl fairlead validate cloud-config.yaml
  kubectl get configmap -n metallb-system config -o yaml | kubectl fairlead validate -`,
		Args:              cobra.MinimumNArgs(1),
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		RunE: func(_ *cobra.Command, files []string) error {
			return validate(streams, os.DirFS("/"), files, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, `"json", or empty for text`)
	return cmd
}

// validate checks the files; host is the file system that password files are
// looked for in.
func validate(streams genericiooptions.IOStreams, host fs.FS, files []string, output string) error {
	show := showText
	switch output {
	case "":
	case "json":
		show = showJSON
	default:
		return fmt.Errorf("--output %q: no such format; leave it out or write json", output)
	}
	verdicts := make([]verdict, 0, len(files))
	bad := 0
	for _, file := range files {
		v := judge(streams.In, host, file)
		verdicts = append(verdicts, v)
		if !v.OK {
			bad++
		}
	}
	if err := show(streams.Out, verdicts); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if bad > 0 {
		have := "have"
		if bad == 1 {
			have = "has"
		}
		return fmt.Errorf("%d of %s %s faults; correct them", bad, count(len(files), "file"), have)
	}
	return nil
}

// verdict is what was found out about a file, as -o json prints it.
type verdict struct {
	File           string  `json:"file"`
	OK             bool    `json:"ok"` // no faults but warnings
	Pools          int     `json:"pools"`
	Peers          int     `json:"peers"`
	Advertisements int     `json:"advertisements"`
	Zones          int     `json:"zones"`
	Faults         []fault `json:"faults"`

	cloud   string // the provider of a section without objects
	implied bool   // the advertisement is the one that a file without any has
}

// fault is a cloudconfig.Fault as -o json prints it.
type fault struct {
	Line     int    `json:"line,omitempty"`
	Object   string `json:"object,omitempty"`
	Field    string `json:"field,omitempty"`
	Value    string `json:"value,omitempty"`
	Reason   string `json:"reason"`
	Cure     string `json:"cure,omitempty"`
	Warning  bool   `json:"warning"`
	Sentence string `json:"sentence"`
}

// judge reads and checks a file.
func judge(in io.Reader, host fs.FS, file string) verdict {
	c, err := loadConfig(in, file)
	v := verdict{File: file, Faults: []fault{}}
	var unusable *cloudconfig.FileError
	switch {
	case errors.As(err, &unusable):
		v.add(unusable.Faults)
		return v
	case err != nil:
		v.add(cloudconfig.Faults{{Reason: err.Error()}})
		return v
	}
	all := slices.Concat(c.Faults, c.Doubts(), c.CheckFiles(host))
	slices.SortStableFunc(all, func(a, b cloudconfig.Fault) int { return a.Line - b.Line })
	v.add(all)
	v.OK = len(all.Errors()) == 0
	v.cloud = c.Provider()
	if m := c.Metal; m != nil {
		v.Pools, v.Peers = len(m.Pools), len(m.Peers)
		v.Advertisements, v.Zones = len(m.Advertisements), len(m.Zones)
		v.implied = v.Advertisements == 1 && m.Advertisements[0].IsDefault()
	}
	return v
}

// loadConfig parses a file or the standard input.
func loadConfig(in io.Reader, file string) (*cloudconfig.Config, error) {
	if file != stdin {
		return cloudconfig.Load(file)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read the standard input: %w", err)
	}
	return cloudconfig.Parse(data)
}

func (v *verdict) add(faults cloudconfig.Faults) {
	for _, f := range faults {
		v.Faults = append(v.Faults, fault{
			Line: f.Line, Object: f.Object, Field: f.Field, Value: f.Value,
			Reason: f.Reason, Cure: f.Cure, Warning: f.Warning, Sentence: f.Sentence(),
		})
	}
}

func showJSON(out io.Writer, verdicts []verdict) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Files []verdict `json:"files"`
	}{verdicts})
}

func showText(out io.Writer, verdicts []verdict) error {
	var b strings.Builder
	for _, v := range verdicts {
		b.WriteString(v.lines())
		b.WriteString(v.summary())
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// lines are the faults as compilers print theirs.
func (v *verdict) lines() string {
	var b strings.Builder
	for _, f := range v.Faults {
		b.WriteString(v.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
		if f.Warning {
			b.WriteString("warning: ")
		}
		b.WriteString(f.Sentence + "\n")
	}
	return b.String()
}

func (v *verdict) summary() string {
	warnings := 0
	for _, f := range v.Faults {
		if f.Warning {
			warnings++
		}
	}
	var usable []string
	for _, kind := range []struct {
		n    int
		name string
	}{{v.Pools, "pool"}, {v.Peers, "peer"}, {v.Advertisements, "advertisement"}, {v.Zones, "zone"}} {
		switch {
		case kind.n == v.Advertisements && kind.name == "advertisement" && v.implied:
			usable = append(usable, "the default advertisement")
		case kind.n > 0:
			usable = append(usable, count(kind.n, kind.name))
		}
	}
	const nothing = "no objects"
	objects := nothing
	switch {
	case len(usable) > 0:
		objects = strings.Join(usable, ", ")
	case v.cloud != "" && v.cloud != "metal":
		objects = v.cloud
	}
	switch {
	case !v.OK && objects == nothing:
		return fmt.Sprintf("%s: %s; not usable\n", v.File, count(len(v.Faults)-warnings, "fault"))
	case !v.OK:
		return fmt.Sprintf("%s: %s; usable: %s\n", v.File, count(len(v.Faults)-warnings, "fault"), objects)
	case warnings > 0:
		return fmt.Sprintf("%s: ok with %s (%s)\n", v.File, count(warnings, "warning"), objects)
	}
	return fmt.Sprintf("%s: ok (%s)\n", v.File, objects)
}

// count is a number and what is counted, such as "1 pool" or "3 pools".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
