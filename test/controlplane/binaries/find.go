// SPDX-License-Identifier: Apache-2.0

// Package binaries builds the programs of a Kubernetes control plane from the
// nested module hack/controlplane into bin/controlplane of the checkout, and
// finds them there.
package binaries

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// module is the first line of the go.mod at the root of the checkout.
const module = "module github.com/fairlead/fairlead\n"

// Root is the root of the checkout that holds the working directory.
func Root() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(data, []byte(module)) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("working directory %s is in no checkout of Fairlead", wd)
		}
	}
}

// Dir is where the binaries of the checkout at root are.
func Dir(root string) string { return filepath.Join(root, "bin", "controlplane") }

// Find returns the directory of the binaries when all are there, and else an
// error that says how to build them.
func Find() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return Dir(root), missing(Dir(root))
}

// missing says which program dir lacks, if any.
func missing(dir string) error {
	for _, p := range programs() {
		file := filepath.Join(dir, p.name)
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is not built: run `make controlplane` first", file)
		} else if err != nil {
			return err
		}
	}
	return nil
}
