// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/cli"
	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/test/goldenfile"
)

// ran is what a command left behind.
type ran struct {
	out, errOut string
	err         error
}

// String is what golden files hold.
func (r ran) String() string {
	s := "--- out\n" + r.out + "--- err\n" + r.errOut + "--- exit\n"
	if r.err != nil {
		return s + "error: " + r.err.Error() + "\n"
	}
	return s + "ok\n"
}

type newCommand func(genericiooptions.IOStreams) *cobra.Command

// run runs a command in the folder of its test data, so that golden files hold
// plain file names.
func run(t *testing.T, command newCommand, in string, args ...string) ran {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := command(genericiooptions.IOStreams{In: strings.NewReader(in), Out: &out, ErrOut: &errOut})
	cmd.SilenceErrors = true
	cmd.SetArgs(args)
	err := cmd.Execute()
	return ran{out: out.String(), errOut: errOut.String(), err: err}
}

func TestValidate(t *testing.T) {
	t.Chdir("testdata/validate")
	metallb := "peers:\n- {peer-address: 10.0.0.1, peer-asn: 1, my-asn: 1}\n"
	for _, tc := range []struct {
		name, in string
		args     []string
	}{
		{"good_file", "", []string{"plain.yaml"}},
		{"warnings_are_no_failure", "", []string{"good.yaml"}},
		{"faults_fail", "", []string{"faults.yaml"}},
		{"every_file_is_judged", "", []string{"faults.yaml", "other_kind.yaml", "plain.yaml"}},
		{"json", "", []string{"-o", "json", "faults.yaml", "good.yaml"}},
		{"standard_input", metallb, []string{"-"}},
		{"no_such_file", "", []string{"missing.yaml", "plain.yaml"}},
		{"no_such_format", "", []string{"-o", "yaml", "plain.yaml"}},
		{"azure_json", "", []string{"azure.json"}},
		{"aws_cloud_conf", "", []string{"cloud.conf"}},
		{"allowed_and_seldom_meant", "", []string{"empty_metal.yaml", "peer_in_pool.yaml"}},
		{"no_file", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := tc.args
			if args == nil {
				args = []string{}
			}
			goldenfile.Check(t, tc.name+".txt", run(t, cli.NewValidateCommand, tc.in, args...).String())
		})
	}
}

func TestConvert(t *testing.T) {
	t.Chdir("testdata/convert")
	for _, tc := range []struct{ name, file string }{
		{"configmap_of_metallb", "configmap.yaml"},
		{"warnings_go_to_the_error_output", "full_v012.yaml"},
		{"faults_are_not_converted", "faults.yaml"},
		{"no_such_file", "missing.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			goldenfile.Check(t, tc.name+".txt", run(t, cli.NewConvertCommand, "", tc.file).String())
		})
	}
}

func TestConvertedFileMeansTheSame(t *testing.T) {
	for _, name := range []string{"configmap.yaml", "full_v012.yaml"} {
		file := filepath.Join("testdata", "convert", name)
		out := filepath.Join(t.TempDir(), "out.yaml")
		if r := run(t, cli.NewConvertCommand, "", file, "-o", out); r.err != nil || r.out != "" {
			t.Fatal(r)
		}
		want, err := cloudconfig.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cloudconfig.Load(out)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want.Metal, got.Metal) || want.Drift != got.Drift {
			t.Errorf("%s: got %+v, want %+v", name, got.Metal, want.Metal)
		}
		if got.Metal.Peers[0].Password.Inline.Reveal() == "" {
			t.Errorf("%s: the password is lost", name)
		}
		info, err := os.Stat(out)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the file with passwords has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestConvertOverwritesNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.yaml")
	if err := os.WriteFile(out, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, cli.NewConvertCommand, "", "testdata/convert/configmap.yaml", "-o", out)
	if r.err == nil || !strings.Contains(r.err.Error(), "the file exists; remove it or give another name") {
		t.Errorf("got %v", r.err)
	}
	if left, err := os.ReadFile(filepath.Clean(out)); err != nil || string(left) != "mine" {
		t.Errorf("the file holds %q, %v", left, err)
	}
}
