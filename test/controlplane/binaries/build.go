// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// program is one binary and the package that it is built from.
type program struct{ name, pkg string }

// programs are all binaries, those that every test needs first.
func programs() []program {
	return []program{
		{"etcd", "go.etcd.io/etcd/server/v3"},
		{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"},
		{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
	}
}

// Build builds the binaries of the checkout at root that are missing or stale,
// tells out what it does, and returns their directory. It takes milliseconds
// when there is nothing to do. Builds of several processes wait for each other.
func Build(ctx context.Context, root string, out io.Writer) (string, error) {
	dir, src := Dir(root), filepath.Join(root, "hack", "controlplane")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	want, version, err := key(ctx, src)
	if err != nil {
		return "", err
	}
	stamp := filepath.Join(dir, ".stamp")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want { //nolint:gosec // G304: the name is ours.
		if missing(dir) == nil {
			return dir, nil
		}
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, "controlplane: "+format+"\n", args...) }
	say("building %d programs of Kubernetes %s into bin/controlplane; a first build takes about five minutes on two cores, later ones come from Go's cache", len(programs()), version)
	begin := time.Now()
	for i, p := range programs() {
		say("%d/%d %s ...", i+1, len(programs()), p.name)
		start := time.Now()
		if err := build(ctx, src, filepath.Join(dir, p.name), p.pkg, version, out); err != nil {
			return "", fmt.Errorf("build %s from %s: %w", p.name, p.pkg, err)
		}
		say("%d/%d %s took %s", i+1, len(programs()), p.name, since(start))
	}
	say("done in %s", since(begin))
	return dir, os.WriteFile(stamp, []byte(want), 0o600)
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }

// build builds one package. The binary replaces the old one only when it is
// whole, since that may be running.
func build(ctx context.Context, src, file, pkg, version string, out io.Writer) error {
	part := file + ".part"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", //nolint:gosec // G204: all arguments are ours.
		"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion="+version, "-o", part, pkg)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return err
	}
	return os.Rename(part, file)
}

// key is what the binaries depend on, and the version of Kubernetes: the
// versions that the nested module pins, and that of Go.
func key(ctx context.Context, src string) (sum, version string, err error) {
	mod, err := os.ReadFile(filepath.Join(src, "go.mod")) //nolint:gosec // G304: the name is ours.
	if err != nil {
		return "", "", err
	}
	match := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\S+)`).FindSubmatch(mod)
	if match == nil {
		return "", "", fmt.Errorf("%s/go.mod names no version of k8s.io/kubernetes", src)
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = src
	goenv, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("ask go for its version: %w", err)
	}
	hash := sha256.Sum256(append(mod, goenv...))
	return hex.EncodeToString(hash[:]) + " " + strings.Join(strings.Fields(string(goenv)), " "), string(match[1]), nil
}

// lock waits until no other process holds the file. The kernel frees it when
// the process ends, however that ends.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the name is ours.
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
