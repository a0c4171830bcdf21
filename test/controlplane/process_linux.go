// SPDX-License-Identifier: Apache-2.0

package controlplane

import "syscall"

// sysProcAttr makes the kernel kill the program when its starter dies, however
// that dies, and shields the program from a Ctrl-C meant for the starter.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
