// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingSaysHowToBuild(t *testing.T) {
	dir := t.TempDir()
	for _, p := range programs()[1:] {
		if err := os.WriteFile(filepath.Join(dir, p.name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := missing(dir)
	if want := filepath.Join(dir, "etcd") + " is not built: run `make controlplane` first"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// checkout makes a checkout with a nested module that pins version, and
// programs that the stamp says are of that version.
func checkout(t *testing.T, version string) (root, stamp string) {
	t.Helper()
	root = t.TempDir()
	src := filepath.Join(root, "hack", "controlplane")
	files := map[string]string{
		filepath.Join(src, "go.mod"): "module x\n\ngo 1.26\n\nrequire (\n\tk8s.io/kubernetes " + version + "\n)\n",
	}
	for _, p := range programs() {
		files[filepath.Join(Dir(root), p.name)] = "built before"
	}
	for file, text := range files {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, _, err := key(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	stamp = filepath.Join(Dir(root), ".stamp")
	if err := os.WriteFile(stamp, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, stamp
}

func TestBuildDoesNothingWhenAllIsUpToDate(t *testing.T) {
	root, _ := checkout(t, "v1.36.3")
	var out bytes.Buffer
	dir, err := Build(t.Context(), root, &out)
	if err != nil || dir != Dir(root) || out.Len() != 0 {
		t.Errorf("Build gives %q, %v and prints %q; want %q and nothing else", dir, err, out.String(), Dir(root))
	}
}

func TestBuildNoticesANewVersion(t *testing.T) {
	root, stamp := checkout(t, "v1.36.3")
	if err := os.WriteFile(stamp, []byte("another version"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	// The module lacks the packages, so the first build fails.
	_, err := Build(t.Context(), root, &out)
	if err == nil || !strings.Contains(err.Error(), "build etcd from go.etcd.io/etcd/server/v3") {
		t.Errorf("error %v, want one of building etcd", err)
	}
	if !strings.Contains(out.String(), "Kubernetes v1.36.3") {
		t.Errorf("printed %q, want the version that is built", out.String())
	}
	if data, _ := os.ReadFile(filepath.Join(Dir(root), "etcd")); string(data) != "built before" {
		t.Errorf("a failed build changed the binary to %q", data)
	}
}
