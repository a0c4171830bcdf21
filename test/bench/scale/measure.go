// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the kernel's USER_HZ: proc(5), sysconf(_SC_CLK_TCK) on Linux.
const clockTick = 10 * time.Millisecond

// process is a running controller manager under measurement.
type process struct {
	cmd    *exec.Cmd
	port   int
	client *http.Client
	exited chan struct{}
}

// startManager starts this program again as the controller manager.
func startManager(ctx context.Context, dir, kubeconfig string, port int) (*process, error) {
	config := filepath.Join(dir, "cloud.yaml")
	if err := os.WriteFile(config, []byte(cloudConfig), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, fmt.Sprintf("manager-%d.log", time.Now().UnixNano())))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "manager",
		"--kubeconfig="+kubeconfig, "--cloud-provider=metal", "--cloud-config="+config,
		"--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--authentication-skip-lookup", "--authorization-always-allow-paths=/metrics,/healthz,/readyz",
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port), "--cert-dir="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, port: port, exited: make(chan struct{}), client: &http.Client{
		Timeout: 5 * time.Second,
		// The certificate is made at each start, for this machine alone.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}
	go func() {
		_ = cmd.Wait() // its exit is what is awaited, not its code
		close(p.exited)
	}()
	return p, nil
}

// cloudConfig is any that can be read: the slow cloud looks at none of it.
const cloudConfig = `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
drift: {mode: "off"}
metal:
  pools:
  - {name: unused, addresses: [192.0.2.0/24]}
`

// stop ends the manager with TERM, and returns when it is gone.
func (p *process) stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// usage is what a process has used.
type usage struct {
	CPU       time.Duration
	Resident  int64   // bytes
	Allocated float64 // bytes since the start
	Steps     float64 // writes to the cloud
	Calls     float64 // answered calls of the service controller
}

// usage reads the kernel's and the process's own counters.
func (p *process) usage(ctx context.Context) (usage, error) {
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return u, err
	}
	// Fields after the name, which is in parentheses: proc_pid_stat(5).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, stime, rss = 11, 12, 21
	var n [3]int64
	for i, f := range []int{utime, stime, rss} {
		if n[i], err = strconv.ParseInt(fields[f], 10, 64); err != nil {
			return u, err
		}
	}
	u.CPU = time.Duration(n[0]+n[1]) * clockTick
	u.Resident = n[2] * int64(os.Getpagesize())
	body, err := p.metrics(ctx)
	if err != nil {
		return u, err
	}
	u.Allocated = sum(body, "go_memstats_alloc_bytes_total")
	u.Steps = sum(body, "fairlead_steps_total")
	u.Calls = sum(body, "fairlead_load_balancer_call_seconds_count")
	return u, nil
}

func (p *process) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", p.port), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("metrics: %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// sum adds up all samples of a metric.
func sum(body, name string) float64 {
	var total float64
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err == nil {
			total += value
		}
	}
	return total
}
