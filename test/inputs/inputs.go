// SPDX-License-Identifier: Apache-2.0

// Package inputs tells `go test` which files a test depends on.
package inputs

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

// Note makes the result of the test that runs depend on all files below the
// directories of the checkout, such as those that it gives to another program.
// `go test` notes what a test asks the os package about, and does not take an
// old result once that has changed.
func Note(dirs ...string) error {
	root, err := binaries.Root()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
