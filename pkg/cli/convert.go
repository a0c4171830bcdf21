// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// NewConvertCommand is "convert FILE": it prints a cloud-config of another
// format in ours. Warnings go to the error output. A file with faults is not
// converted, since the objects with faults would be missing from the result.
func NewConvertCommand(streams genericiooptions.IOStreams) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use:   "convert FILE",
		Short: "Print MetalLB's ConfigMap as a cloud-config of our own format",
		Long: `Print MetalLB's ConfigMap, or what it holds under config, as a cloud-config of
our own format. A file of our own format is printed without its comments and
without what equals a default. - is the standard input.

Passwords stay in the clear, so that the result works as it is; a file made with
--output can be read by its owner only.`,
		Example: `  kubectl fairlead convert metallb-config.yaml -o cloud-config.yaml
  kubectl get configmap -n metallb-system config -o yaml | kubectl fairlead convert -`,
		Args:              cobra.ExactArgs(1),
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return convert(streams, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "file to write, which must not exist; empty for the standard output")
	return cmd
}

func convert(streams genericiooptions.IOStreams, file, output string) error {
	c, err := loadConfig(streams.In, file)
	var unusable *cloudconfig.FileError
	if err != nil && !errors.As(err, &unusable) {
		return err
	}
	v := verdict{File: file}
	if unusable != nil {
		v.add(unusable.Faults)
	} else {
		v.add(c.Faults)
		v.OK = len(c.Faults.Errors()) == 0
	}
	if _, err := io.WriteString(streams.ErrOut, v.lines()); err != nil {
		return fmt.Errorf("print the faults: %w", err)
	}
	if !v.OK {
		return fmt.Errorf("%s has faults and is not converted; correct them first", file)
	}
	text, err := cloudconfig.MarshalWithSecrets(c)
	if err != nil {
		return err
	}
	if err := warnOfPasswords(streams.ErrOut, c); err != nil {
		return err
	}
	return writeOut(streams.Out, output, text)
}

// warnOfPasswords names the peers whose password is in the result.
func warnOfPasswords(errOut io.Writer, c *cloudconfig.Config) error {
	if c.Metal == nil {
		return nil
	}
	for _, p := range c.Metal.Peers {
		if p.Password.Inline == "" {
			continue
		}
		_, err := fmt.Fprintf(errOut,
			"warning: peer %q: the password is in the result in the clear; move it to a Secret and write passwordSecret, or to a file and write passwordFile\n", p.Name)
		if err != nil {
			return fmt.Errorf("print a warning: %w", err)
		}
	}
	return nil
}

func writeOut(out io.Writer, file string, text []byte) error {
	if file == "" {
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
		return nil
	}
	const ownerOnly = 0o600
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly) //nolint:gosec // G304: the file is the user's choice.
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--output %q: the file exists; remove it or give another name", file)
	}
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(fmt.Errorf("write the result: %w", err), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
