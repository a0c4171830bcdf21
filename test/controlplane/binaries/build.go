// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"bytes"
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
	"sync"
	"syscall"
	"time"
)

// reportEvery is how often a long build says how far it is.
const reportEvery = 10 * time.Second

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
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		if missing(dir) == nil {
			return dir, nil
		}
	}
	if err := (builder{src: src, dir: dir, version: version, out: out}).all(ctx); err != nil {
		return "", err
	}
	return dir, os.WriteFile(stamp, []byte(want), 0o600)
}

// builder builds the programs of the module at src into dir.
type builder struct {
	src, dir, version string
	out               io.Writer
}

func (b builder) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, "controlplane: "+format+"\n", args...)
}

func (b builder) all(ctx context.Context) error {
	b.say("building %d programs of Kubernetes %s into bin/controlplane", len(programs()), b.version)
	b.say("the first build takes about five minutes on two cores; it is cached for all later ones")
	begin := time.Now()
	for i, p := range programs() {
		start := time.Now()
		title := fmt.Sprintf("%d/%d %s", i+1, len(programs()), p.name)
		b.say("%s ...", title)
		err := b.one(ctx, p, func(packages int) {
			b.say("%s ... %d packages compiled, %s", title, packages, since(start))
		})
		if err != nil {
			return fmt.Errorf("build %s from %s: %w", p.name, p.pkg, err)
		}
		b.say("%s took %s", title, since(start))
	}
	b.say("done in %s", since(begin))
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }

// one builds one program, and reports every now and then how many packages were
// compiled. The binary replaces the old one only when it is whole, since
// that may be running.
func (b builder) one(ctx context.Context, p program, report func(packages int)) error {
	file := filepath.Join(b.dir, p.name)
	part := file + ".part"
	// With -v, go prints a line for each package that it compiles.
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath",
		"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion="+b.version, "-o", part, p.pkg)
	cmd.Dir = b.src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var printed lines
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			report(printed.count())
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%w; its last lines:\n%s", err, printed.last())
			}
			return os.Rename(part, file)
		}
	}
}

// lines counts the lines written to it and keeps the last ones.
type lines struct {
	mu   sync.Mutex
	n    int
	text []byte
}

// lastBytes is how much of the output is kept for an error.
const lastBytes = 4096

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += bytes.Count(p, []byte("\n"))
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-lastBytes):]
	return len(p), nil
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// key is what the binaries depend on, and the version of Kubernetes: the
// versions that the nested module pins, and that of Go.
func key(ctx context.Context, src string) (sum, version string, err error) {
	mod, err := os.ReadFile(filepath.Join(src, "go.mod"))
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
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
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
