// SPDX-License-Identifier: Apache-2.0

// Gen writes all files that are made from source: `go run ./hack/gen` in the
// repository. Its test fails when one of them is stale.
package main

//go:generate go run .

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/fairlead/fairlead/pkg/intent"
)

// output is one generated file.
type output struct {
	path   string // in the repository
	render func() ([]byte, error)
}

func outputs() []output {
	registry := intent.Annotations()
	return []output{
		{"docs/annotations.md", func() ([]byte, error) { return []byte(registry.Page()), nil }},
		{"docs/aws-iam-policy.json", iamPolicy},
		{"manifests/base/admission-policy.yaml", func() ([]byte, error) {
			return manifest(registry.Policy(), intent.PolicyBinding())
		}},
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := repository()
	if err != nil {
		return err
	}
	for _, out := range outputs() {
		content, err := out.render()
		if err != nil {
			return fmt.Errorf("%s: %w", out.path, err)
		}
		if err := write(filepath.Join(root, out.path), content); err != nil {
			return err
		}
	}
	return nil
}

// modes of what is written into the repository: as git checks it out.
const (
	fileMode = 0o644
	dirMode  = 0o755
)

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	return os.WriteFile(path, content, fileMode)
}

// repository is the directory of go.mod, from the working directory upwards.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod in the working directory or above it; run gen inside the repository")
		}
		dir = parent
	}
}

// manifest prints objects as YAML, without their status.
func manifest(objects ...any) ([]byte, error) {
	content := []byte("# Generated from pkg/intent by `go run ./hack/gen`; do not edit.\n")
	for i, object := range objects {
		plain, err := fields(object)
		if err != nil {
			return nil, err
		}
		text, err := yaml.Marshal(plain)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			content = append(content, "---\n"...)
		}
		content = append(content, text...)
	}
	return content, nil
}

// fields are an object's fields without the status, which is not ours to set.
func fields(object any) (map[string]any, error) {
	text, err := yaml.Marshal(object)
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	if err := yaml.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	delete(plain, "status")
	return plain, nil
}
