// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// configFile is a cloud-config and where it was read.
type configFile struct {
	where  string
	config *cloudconfig.Config // nil when nothing in it can be used
	faults cloudconfig.Faults  // of what is left out
}

// config reads the cloud-config. Faults in it are no error.
func (s *source) config(ctx context.Context, client kubernetes.Interface) (configFile, error) {
	if s.file != "" {
		data, err := os.ReadFile(s.file)
		if err != nil {
			return configFile{}, fmt.Errorf("read --cloud-config: %w", err)
		}
		return parseConfig(s.file, data)
	}
	where := fmt.Sprintf("ConfigMap %s/%s", s.namespace, configObject)
	cm, err := client.CoreV1().ConfigMaps(s.namespace).Get(ctx, configObject, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return configFile{}, fmt.Errorf("read %s: %w; give the file with --cloud-config", where, err)
	case err != nil:
		return configFile{}, fmt.Errorf("read %s: %w", where, err)
	}
	if len(cm.Data) != 1 {
		return configFile{}, fmt.Errorf("%s has %d keys, and the cloud-config is the only one; give the file with --cloud-config", where, len(cm.Data))
	}
	for key, data := range cm.Data {
		return parseConfig(where+" key "+key, []byte(data))
	}
	return configFile{}, errors.New("unreachable: a map of one key has one")
}

func parseConfig(where string, data []byte) (configFile, error) {
	cfg, err := cloudconfig.Parse(data)
	if unusable, ok := errors.AsType[*cloudconfig.FileError](err); ok {
		return configFile{where: where, faults: unusable.Faults.Errors()}, nil
	}
	if err != nil {
		return configFile{}, fmt.Errorf("%s: %w", where, err)
	}
	return configFile{where: where, config: cfg, faults: cfg.Faults.Errors()}, nil
}

// Why what is printed below the faults may not be what goes on.
const (
	partlyFaulty = `Below, what has a fault is left out. The controller and speakers that knew a good
form of it go on with that until they restart.`
	whollyFaulty = `Nothing of it can be used. The controller and speakers that knew a good form go
on with that until they restart.`
)

// warn prints the faults of the file, for they change what follows.
func (f configFile) warn(errOut io.Writer) error {
	if len(f.faults) == 0 {
		return nil
	}
	v := verdict{File: f.where}
	v.add(f.faults)
	note := partlyFaulty
	if f.config == nil {
		note = whollyFaulty
	}
	_, err := fmt.Fprintf(errOut, "The cloud-config has %s:\n%s%s\n\n", count(len(f.faults), "fault"), indent(v.lines()), note)
	return err
}

// unusable is the error where something needs the file, and nothing of it can be
// used. Its faults were printed by warn.
func (f configFile) unusable(what string) error {
	return fmt.Errorf("%s: the cloud-config has %s, told above, and nothing of it can be used; correct %s", what, count(len(f.faults), "fault"), f.where)
}

// indent moves lines to the right.
func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n  ") + "\n"
}
