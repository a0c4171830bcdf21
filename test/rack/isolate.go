// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv marks the program that runs in namespaces of its own. The program
// is also process 1 there, so an inherited variable alone does not deceive.
const insideEnv = "FAIRLEAD_RACK_INSIDE"

// Main runs a program that uses racks and returns its exit code. It must be
// the first call of the program: it runs the program a second time in
// namespaces of its own, and only there run. It also serves the processes that
// a rack starts of this same program, such as the load of a client.
func Main(run func() int) int {
	if mode := os.Getenv(helperEnv); mode != "" {
		return helper(mode)
	}
	if inside() {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "rack:", err)
			return 1
		}
		return run()
	}
	code, err := again()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rack:", err)
		return 1
	}
	return code
}

// Missing says why no rack can be built here, and is empty when one can.
func Missing() string {
	if os.Geteuid() != 0 {
		return "this is not root"
	}
	for _, program := range []string{"ip", "nft", frrDir + "/bgpd", frrDir + "/zebra", "vtysh"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed"
		}
	}
	return ""
}

func inside() bool { return os.Getenv(insideEnv) != "" && os.Getpid() == 1 }

// again runs this program in new namespaces and waits for its end. The program
// dies with this one, and with it the kernel ends all that it has started.
func again() (int, error) {
	// The kernel sends the death signal when the thread ends that started the
	// program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(context.Background(), self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 0, fmt.Errorf("start in namespaces of its own: %w; run it as root", err)
	}
	return 0, nil
}

// furnish makes the new namespaces fit to work in: processes are seen as they
// are numbered here, and what is named or left below /run and /var/tmp stays here.
func furnish() error {
	mounts := []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/var/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	return ip(context.Background(), "", "link set lo up")
}
