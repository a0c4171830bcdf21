// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "syscall"

// sysProcAttr shields the program from a Ctrl-C that is meant for us.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
