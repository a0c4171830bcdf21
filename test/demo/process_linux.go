// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

// sysProcAttr makes the kernel end the program with us, however we end, and
// shields it from a Ctrl-C that is meant for us.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
